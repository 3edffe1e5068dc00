"""Starts processes in order, watches them, starts a dead one again, stops all in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deploy.launcher import postgres, process, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.progress import Told

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from deploy.launcher.layout import Layout
    from deploy.launcher.process import Program, Running
    from deploy.launcher.progress import Progress

log = logging.getLogger(__name__)

_FIRST_PAUSE = 1.0
_LONGEST_PAUSE = 30.0
_STEADY_AFTER = 60.0


@dataclass(slots=True)
class _Kept:
    """A process that is kept running: how to start it, what runs now, and how patiently to start it again."""

    program: Program
    running: Running
    since: float
    pause: float = _FIRST_PAUSE


class Supervisor:
    """The processes of one layout. Its holder has the lock `supervisor`; nobody else writes the state file.

    `progress` shows a step and puts it into the state file.
    """

    def __init__(self, layout: Layout, progress: Progress, external: tuple[str, ...] = ()) -> None:
        self._layout = layout
        self.progress: Progress = Told(progress, self.tell)
        self._waves: list[list[_Kept]] = []
        self._state = state.State(
            supervisor=state.entry_of("supervisor", os.getpid()), external=external, port=layout.port
        )
        self._write()

    def tell(self, stage: str) -> None:
        """Put into the state file what is being waited for."""
        self._state = replace(self._state, stage=stage)
        with contextlib.suppress(OSError):
            self._write()

    def tell_ready(self) -> None:
        """Say in the state file that everything runs."""
        self._state = replace(self._state, ready=True, stage="running")
        self._write()

    async def start(self, programs: Sequence[Program]) -> None:
        """Start these in order, then wait until every one is ready. Raises LaunchError when one is not."""
        names = ", ".join(program.name for program in programs)
        if not programs:
            return
        with self.progress.step(f"starting {names}") as shown:
            wave: list[_Kept] = []
            self._waves.append(wave)
            for program in programs:
                self._keep_running(program, wave)
            waiting = {program.name for program in programs}

            async def wait(kept: _Kept) -> None:
                await process.wait_ready(kept.program, kept.running)
                waiting.discard(kept.program.name)
                if waiting:
                    shown(f"starting {names}; waiting for {', '.join(sorted(waiting))}")

            await _all_or_first_failure([wait(kept) for kept in wave])

    async def watch(self, told: Callable[[str], None]) -> None:
        """Start what dies again, with a growing pause, until cancelled. `told` gets a sentence for each death."""
        everything = [kept for wave in self._waves for kept in wave]
        async with asyncio.TaskGroup() as group:
            for kept in everything:
                group.create_task(self._keep(kept, told))

    async def stop(self) -> None:
        """Stop all, last started first; within a wave at the same time. Returns when all are gone."""
        self._state = replace(self._state, ready=False)
        while self._waves:
            wave = self._waves.pop()
            names = ", ".join(kept.program.name for kept in reversed(wave))
            with self.progress.step(f"stopping {names}"):
                await asyncio.gather(*(kept.running.stop() for kept in reversed(wave)))
            for kept in wave:
                if not kept.running.is_alive():
                    self._state = self._state.without_child(kept.program.name)
            with contextlib.suppress(OSError):  # a full disk must not keep the rest running
                self._write()

    def end(self, failure: str = "") -> None:
        """Leave a last word in the state file: nothing runs (or what would not be stopped), and why."""
        self._state = state.State(children=self._state.alive, failure=failure)
        self._write()

    async def _keep(self, kept: _Kept, told: Callable[[str], None]) -> None:
        while True:
            await kept.running.gone(math.inf)
            name = kept.program.name
            if time.monotonic() - kept.since > _STEADY_AFTER:
                kept.pause = _FIRST_PAUSE
            code = kept.running.exit_code()
            log.warning("process_died", extra={"program": name, "exit_code": code, "pause_seconds": kept.pause})
            told(f"{name} stopped by itself (exit code {code}); starting it again in {kept.pause:.0f} s")
            process.end_group(kept.running.entry, self._layout)
            await asyncio.sleep(kept.pause)
            kept.pause = min(2 * kept.pause, _LONGEST_PAUSE)
            kept.since = time.monotonic()
            with contextlib.suppress(LaunchError, OSError):
                kept.running = self._launch(kept.program)
                self._record(kept.running)
                await process.wait_ready(kept.program, kept.running)
                log.info("process_restarted", extra={"program": name, "pid": kept.running.pid})
                told(f"{name} runs again")

    def _keep_running(self, program: Program, wave: list[_Kept]) -> None:
        """Start it and put it among those that are stopped in the end, also when the next one fails."""
        kept = _Kept(program, self._launch(program), time.monotonic())
        wave.append(kept)
        self._record(kept.running)

    def _launch(self, program: Program) -> Running:
        if program.name == "postgres":
            postgres.forget_stale_pid(self._layout)
        return process.start(program, self._layout)

    def _record(self, running: Running) -> None:
        self._state = self._state.with_child(running.entry)
        self._write()

    def _write(self) -> None:
        state.write(self._layout, self._state)


async def _all_or_first_failure(waits: Sequence[Coroutine[None, None, None]]) -> None:
    """Wait for all; the first failure is raised at once, without waiting for those that still hope."""
    tasks = [asyncio.ensure_future(each) for each in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
