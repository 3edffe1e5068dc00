import asyncio
import contextlib
import os
import pty
import signal
import sys
from collections.abc import Callable

import pytest
from rich.console import Console

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import Layout
from deploy.launcher.process import Program, found
from deploy.launcher.progress import OnConsole, Silent
from deploy.launcher.supervisor import Supervisor

Build = Callable[..., Program]
WAITS = "mark.touch(); time.sleep(600)"


async def test_waves_are_stopped_in_the_reverse_order(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    notes = place.var / "stopped"
    writes = (
        f"def leave(*_):\n    open({str(notes)!r}, 'a').write(sys.argv[0] and NAME + ' '); sys.exit()\n"
        "signal.signal(signal.SIGTERM, leave); mark.touch(); time.sleep(600)"
    )
    supervisor = Supervisor(place, Silent())
    for name in ("first", "second", "third"):
        await supervisor.start([a_program(name, f"NAME = {name!r}\n{writes}")])
    assert [entry.name for entry in state.read(place).children] == ["first", "second", "third"]

    await supervisor.stop()

    assert notes.read_text().split() == ["third", "second", "first"]
    assert state.read(place).children == ()


async def test_a_program_that_dies_is_started_again_and_told(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    told = Told()
    supervisor = Supervisor(place, Silent())
    await supervisor.start([a_program("mortal", WAITS)])
    (first,) = state.read(place).children
    watching = asyncio.create_task(supervisor.watch(told))

    await found(first, place).kill()
    await told.hears("mortal runs again")

    (second,) = state.read(place).children
    assert second.pid != first.pid
    assert state.is_alive(second)
    assert told.heard[0] == f"mortal stopped by itself (exit code {-signal.SIGKILL}); starting it again in 1 s"
    watching.cancel()
    await supervisor.stop()


async def test_when_one_of_a_wave_fails_the_others_are_stopped_too(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    supervisor = Supervisor(place, Silent())
    good, bad = a_program("good", WAITS), a_program("bad", "sys.exit('no')")

    with pytest.raises(LaunchError, match="bad stopped"):
        await supervisor.start([good, bad])
    left = state.read(place).child("good")
    await supervisor.stop()

    assert left is not None
    assert not state.is_alive(left)


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize("gone", ["a pipe that nobody reads", "a terminal that was closed"])
async def test_whoever_looked_may_be_gone_and_all_is_stopped_all_the_same(
    place: Layout, a_program: Build, monkeypatch: pytest.MonkeyPatch, gone: str, is_terminal: bool
) -> None:
    place.var.mkdir()
    seen, shown = os.pipe() if gone.startswith("a pipe") else pty.openpty()
    output = os.fdopen(shown, "w")
    monkeypatch.setattr(sys, "stdout", output)  # rich sends standard output into nowhere when a pipe is gone
    supervisor = Supervisor(place, OnConsole(Console(file=output, force_terminal=is_terminal)))
    await supervisor.start([a_program("one", WAITS), a_program("two", WAITS)])
    children = state.read(place).children
    os.close(seen)

    await supervisor.stop()

    with contextlib.suppress(OSError):
        output.close()
    assert len(children) == 2
    assert not any(state.is_alive(entry) for entry in children)
    assert state.read(place).children == ()


async def test_the_last_word_names_what_still_runs(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    supervisor = Supervisor(place, Silent())
    await supervisor.start([a_program("one", WAITS)])

    supervisor.end("it was in a hurry")

    assert [entry.name for entry in state.read(place).children] == ["one"]
    await supervisor.stop()


async def test_the_state_file_tells_what_is_waited_for(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    supervisor = Supervisor(place, Silent())

    await supervisor.start([a_program("one", WAITS), a_program("two", WAITS)])

    assert state.read(place).stage == "starting one, two"
    assert not state.read(place).ready
    supervisor.tell_ready()
    assert state.read(place).ready
    await supervisor.stop()


class Told:
    """Hears what a person would be shown."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        self._more = asyncio.Event()

    def __call__(self, text: str) -> None:
        self.heard.append(text)
        self._more.set()

    async def hears(self, text: str) -> None:
        async with asyncio.timeout(30):
            while text not in self.heard:
                self._more.clear()
                await self._more.wait()
