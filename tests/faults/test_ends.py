"""A process that ended by itself, or not when it was told to, is told of whatever is done to it next."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from deploy.launcher import process
from deploy.launcher.layout import Layout
from deploy.launcher.process import Program, Running
from tests.faults.ground import Tally
from tests.faults.ground.ends import Ends
from tests.processes import until

_WAITS = "mark.touch(); time.sleep(600)"
_ENDS = "mark.touch(); sys.exit('I cannot go on')"
_STUBBORN = "signal.signal(signal.SIGTERM, signal.SIG_IGN); mark.touch(); time.sleep(600)"


@asynccontextmanager
async def _a_process(folder: Path, ends: Ends, code: str, *, patience: float = 10) -> AsyncIterator[Running]:
    """One that is looked after; when this is entered it has touched its mark."""
    layout, mark = Layout(folder / "var"), folder / "mark"

    async def is_ready() -> bool:
        return mark.exists()

    whole = f"import pathlib, signal, sys, time\nmark = pathlib.Path({str(mark)!r})\n{code}"
    program = Program("intake", (sys.executable, "-c", whole), dict(os.environ), is_ready, stop_patience=patience)
    running = ends.started(process.start(program, layout))
    try:
        await until(is_ready, "it has come so far")
        yield running
    finally:
        await Running.kill(running)


async def test_who_was_struck_while_he_lived_ended_by_that(tmp_path: Path) -> None:
    ends = Ends(Tally())
    async with _a_process(tmp_path, ends, _WAITS) as running:
        running.suspend()
        await running.stop()
        await running.kill()
        ends.replaced(running)

    assert (ends.tally.ended_by_itself, ends.tally.had_to_be_killed) == ([], [])
    assert ends.tally.looked_at
    assert ends.tally.told_to_end == 1


async def test_who_was_not_there_any_more_ended_by_himself_and_is_told_of_once(tmp_path: Path) -> None:
    ends = Ends(Tally())
    async with _a_process(tmp_path, ends, _ENDS) as running:
        await until(lambda: running.exit_code() is not None, "it has ended")
        await running.stop()
        await running.kill()

    (told,) = ends.tally.ended_by_itself
    assert told == "intake ended by itself (exit code 1) before SIGTERM: I cannot go on"


async def test_who_may_end_is_no_fault(tmp_path: Path) -> None:
    ends = Ends(Tally())
    async with _a_process(tmp_path, ends, _ENDS) as running:
        await until(lambda: running.exit_code() is not None, "it has ended")
        with ends.may_end("intake"):
            await running.kill()

    assert ends.tally.ended_by_itself == []
    assert ends.tally.done["intake ended by itself, as it may"] == 1


async def test_who_does_not_end_when_he_is_told_to_is_killed_and_told_of(tmp_path: Path) -> None:
    ends = Ends(Tally())
    async with _a_process(tmp_path, ends, _STUBBORN, patience=0) as running:
        await running.stop()

        assert running.exit_code() == -signal.SIGKILL
    assert ends.tally.had_to_be_killed == ["intake did not end within 0 s of SIGTERM: (it wrote nothing)"]
