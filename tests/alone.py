"""One harness, or bench, at a time in a layout; and what one that was killed has left there is ended by the next.

A harness that is killed takes nothing with it: its services, the mail catcher and the front door live on, each with the
name of its layout in its environment.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import sys
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Final

import psutil

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.ports import refuse_busy
from deploy.launcher.process import SIGNATURE
from tests.processes import until

_OURS: Final = ("door", *SERVICES, "mail", "smtp")
"""Ports of those that no state file knows of; whoever starts Kafka and PostgreSQL looks at theirs."""

_LETS_GO_WITHIN: Final = 10.0


@contextmanager
def alone(layout: Layout, what: str) -> Iterator[None]:
    """Hold a layout for as long as the block runs. LaunchError, at once, where another process holds it.

    The kernel lets go of it when its holder dies, however it dies. ``what`` is held: a river, or all that is round it.
    """
    layout.run.mkdir(parents=True, exist_ok=True)
    with (layout.run / f"{what}.lock").open("a+", encoding="ascii") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise LaunchError(
                f"The {what} in {layout.var} is in use by pid {file.read() or 'unknown'}: wait until that has ended, "
                "or test in another checkout, with LIENTHONG_TEST_PORT for ports of its own."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


async def end_leftovers(layout: Layout, *, spared: Collection[str] = ()) -> list[str]:
    """End what carries the mark of this layout, each by its own pid; their names. Whoever calls it holds the layout.

    ``spared``: names of those that outlive a run and are used again.
    """
    left = [one for one in _marked(layout) if one[0] not in spared]
    for name, one, _ in left:
        sys.stderr.write(f"an earlier run in {layout.var} has left {name} (pid {one.pid}); it is ended\n")
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()
    await until(
        lambda: all(state.birth(one.pid) != born for _, one, born in left), "what was left has ended", seconds=60
    )
    return sorted(name for name, _, _ in left)


async def refuse_strangers(
    layout: Layout, ports: Collection[str] = _OURS, *, patience: float = _LETS_GO_WITHIN
) -> None:
    """LaunchError that says who it is, where one of these ports is taken by a process that is none of ours.

    ``patience``: seconds; of a process that was ended just now a thread may still be there, and with it its port.
    """
    longest = time.monotonic() + patience
    while True:
        try:
            refuse_busy(layout, ports)
        except LaunchError:
            if time.monotonic() > longest:
                raise
            await asyncio.sleep(0.1)
        else:
            return


def _marked(layout: Layout) -> Iterator[tuple[str, psutil.Process, str]]:
    """Name, process and birth of all that were started in this layout."""
    for one in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            folder, _, name = one.environ().get(SIGNATURE, "").rpartition(":")
            born = state.birth(one.pid)
            if folder == str(layout.var) and born is not None and one.pid != os.getpid():
                yield name, one, born
