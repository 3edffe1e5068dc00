"""One bench at a time in a checkout, and none that leaves anything behind: its lock, its marks, how it is ended."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, TypeAlias

import psutil

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.ports import refuse_busy
from deploy.launcher.process import SIGNATURE
from tests.layouts import BENCH

_PORTS: Final = (*SERVICES, "smtp", "receiver")
_SERVERS: Final = ("postgres", *BENCH.broker_names)
"""What outlives a bench that was killed, and is used again: it is in the state file."""
_FAREWELL: Final = 10.0
_Main: TypeAlias = Callable[[], Coroutine[Any, Any, None]]


def marked(name: str) -> dict[str, str]:
    """For the environment of a process of the bench: by this the next bench finds what a killed one left."""
    return {SIGNATURE: f"{BENCH.var}:{name}"}


@contextlib.contextmanager
def alone(layout: Layout = BENCH) -> Iterator[None]:
    """Be the only bench of this checkout, with nothing of an earlier one beside it.

    SystemExit when another bench runs, or when a stranger has one of the ports.
    """
    with state.held(layout, "bench", wait=False) as is_held:
        if not is_held:
            raise SystemExit(f"✗ Another bench runs in {layout.var}: they would measure each other. Wait for its end.")
        for name in end_left_over(layout):
            sys.stderr.write(f"{name} of an earlier bench was still there, and is ended.\n")
        try:
            refuse_busy(layout, _PORTS)
        except LaunchError as error:
            raise SystemExit(f"✗ {error}\nThe ports of tests are moved by LIENTHONG_TEST_PORT.") from error
        yield


def end_left_over(layout: Layout) -> list[str]:
    """SIGKILL what a bench started that was killed itself; their names. Kafka and PostgreSQL stay: they are used again."""
    found = {}
    for each in psutil.process_iter(["pid"]):
        with contextlib.suppress(psutil.Error, OSError):
            folder, _, name = each.environ().get(SIGNATURE, "").rpartition(":")
            if folder == str(layout.var) and name not in _SERVERS:
                each.kill()
                found[each] = name
    psutil.wait_procs(list(found), timeout=_FAREWELL)
    return sorted(found.values())


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
