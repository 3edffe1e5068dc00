"""One bench at a time in a checkout, and none that leaves anything behind: its lock, its marks, how it is ended."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Final, TypeAlias

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.process import SIGNATURE
from tests.alone import alone, end_leftovers, refuse_strangers
from tests.layouts import BENCH

_PORTS: Final = (*SERVICES, "smtp", "receiver")
SERVERS: Final = ("postgres", *BENCH.broker_names)
"""What outlives a bench that was killed, and is used again: it is in the state file."""
_Main: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


def marked(name: str) -> dict[str, str]:
    """For the environment of a process of the bench: by this the next bench finds what a killed one left."""
    return {SIGNATURE: f"{BENCH.var}:{name}"}


@asynccontextmanager
async def by_itself(layout: Layout = BENCH) -> AsyncIterator[None]:
    """Be the only bench of this checkout, with nothing of an earlier one beside it.

    LaunchError when another bench runs, or when a stranger has one of the ports.
    """
    with alone(layout, "bench"):
        await end_leftovers(layout, spared=SERVERS)
        await refuse_strangers(layout, _PORTS)
        yield


def run(main: _Main, runner: Callable[[Coroutine[Any, Any, None]], object] = asyncio.run) -> None:
    """Run a program of the bench; SIGTERM and SIGHUP end it as Ctrl-C does: what it started is ended first."""
    try:
        runner(_ended_by_signals(main))
    except (asyncio.CancelledError, KeyboardInterrupt):
        raise SystemExit("✗ Ended before all was measured.") from None
    except LaunchError as error:
        raise SystemExit(f"✗ {error}") from error


async def _ended_by_signals(main: _Main) -> None:
    task = asyncio.current_task()
    assert task is not None

    def end() -> None:
        if not task.cancelling():
            task.cancel()

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            asyncio.get_running_loop().add_signal_handler(number, end)
    await main()
