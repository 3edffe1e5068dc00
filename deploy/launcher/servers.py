"""Kafka and PostgreSQL for a test session: started once, used again by the next session, killed at will.

    servers = await start_servers(Layout.of(os.environ, folder=REPOSITORY / "var" / "test", port=18080))
    servers.kafka                      # "127.0.0.1:18087"
    servers.databases.login["intake"]  # postgresql://intake:…@127.0.0.1:18089/intake
    servers.databases.owner["intake"]  # for migrations

They outlive the session, so that the next one finds them warm; `stop_servers(layout)` ends them.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import psutil

from deploy.launcher import kafka, postgres, process, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import Layout
from deploy.launcher.ports import refuse_busy
from deploy.launcher.progress import Progress, Silent

if TYPE_CHECKING:
    from deploy.launcher.postgres import Databases
    from deploy.launcher.process import Program, Running

_LONGEST_FAREWELL: Final = 60.0
_LOOK_EVERY: Final = 0.02

STOP_SIGNALS = {"postgres": signal.SIGINT}
_STOP_PATIENCE: Final = {"postgres": postgres.STOP_PATIENCE, "kafka": kafka.STOP_PATIENCE}


@dataclass(slots=True)
class Servers:
    """Both servers, ready; each can be killed, suspended and started again by its name.

    Where the layout has several brokers, each is a process of its own: `kafka`, `kafka-2`, ….
    """

    layout: Layout
    databases: Databases
    programs: dict[str, Program]
    running: dict[str, Running] = field(default_factory=dict)

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap addresses."""
        return self.layout.kafka_servers

    async def kill(self, name: str) -> None:
        """SIGKILL `postgres` or `kafka`; returns when it is gone, and with it its own processes.

        PostgreSQL's backends notice a moment later, and until then a new one does not start on the data.
        """
        own: dict[int, str | None] = {}
        with contextlib.suppress(psutil.Error):
            children = psutil.Process(self.running[name].pid).children(recursive=True)
            own = {each.pid: state.birth(each.pid) for each in children}
        await self.running[name].kill()
        until = time.monotonic() + _LONGEST_FAREWELL
        while left := [pid for pid, born in own.items() if born is not None and state.birth(pid) == born]:
            if time.monotonic() > until:
                raise LaunchError(f"{name} is killed, and {len(left)} of its own processes are still there.")
            await asyncio.sleep(_LOOK_EVERY)

    def suspend(self, name: str) -> None:
        """SIGSTOP `postgres` (its backends go on: they are processes of their own) or `kafka`."""
        self.running[name].suspend()

    def resume(self, name: str) -> None:
        """SIGCONT."""
        self.running[name].resume()

    async def stop(self, name: str) -> None:
        """Stop one in good order."""
        await self.running[name].stop()

    async def start(self, name: str) -> None:
        """Start one that was killed or stopped; returns when it is ready. Nothing happens when it runs."""
        if not self.running[name].is_alive():
            self.running[name] = _start(self.programs[name], self.layout)
        await process.wait_ready(self.programs[name], self.running[name])

    async def restart(self, name: str) -> None:
        """Stop in good order and start again."""
        await self.stop(name)
        await self.start(name)


async def start_servers(layout: Layout, progress: Progress | None = None) -> Servers:
    """Both servers, ready, with roles and the four databases; those that still run are used again.

    Takes 5 to 8 s cold, well under a second warm (and some 20 s on a machine that has no jars yet). Topics are the
    caller's: `await topics.create(servers.kafka, TOPICS)`. Raises LaunchError. Safe to call from two sessions at once:
    the second waits and then uses what the first started.
    """
    with state.held(layout, "servers"):
        programs = {
            "postgres": postgres.prepare(layout, progress or Silent()),
            **kafka.prepare(layout, progress or Silent()),
        }
        known = state.read(layout)
        running = {}
        for name, program in programs.items():
            entry = known.child(name)
            if entry is not None and state.is_alive(entry):
                running[name] = _found(entry, layout)
                running[name].resume()
            else:
                refuse_busy(layout, [name])
                running[name] = _start(program, layout)
        await asyncio.gather(*(process.wait_ready(programs[name], running[name]) for name in programs))
        return Servers(layout, await postgres.make_databases(layout), programs, running)


async def stop_servers(layout: Layout) -> None:
    """End what `start_servers` started in this layout, Kafka first; nothing happens when nothing runs."""
    with state.held(layout, "servers"):
        await end_all(layout)


async def end_all(layout: Layout) -> list[str]:
    """End every process that the state file names and that still is what it names, last started first; their names."""
    ended = []
    for entry in reversed(state.read(layout).children):
        if state.is_alive(entry):
            await _found(entry, layout).stop()
            ended.append(entry.name)
        process.end_group(entry, layout)
    state.write(layout, state.State(children=state.read(layout).alive))
    return ended


def _found(entry: state.Entry, layout: Layout) -> Running:
    """With the signal and the patience that its program has: a checkpoint at the end takes PostgreSQL a while."""
    kind = entry.name.partition("-")[0]
    patience = _STOP_PATIENCE.get(kind, process.STOP_PATIENCE)
    return process.found(entry, layout, STOP_SIGNALS.get(kind, signal.SIGTERM), patience)


def _start(program: Program, layout: Layout) -> Running:
    if program.name == "postgres":
        postgres.forget_stale_pid(layout)
    running = process.start(program, layout)
    state.write(layout, state.read(layout).with_child(running.entry))
    return running
