"""The ground itself: a river with its load, and what can be done to its processes."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from random import Random
from typing import Final

from deploy.launcher import process
from deploy.launcher.programs import is_healthy
from shared.seal import Erasure, Register
from tests.faults.clock import Clock
from tests.faults.disks import Disk
from tests.faults.ground.ends import Ends
from tests.faults.ground.tally import Tally
from tests.faults.ground.versions import Versions
from tests.faults.ground.waits import FORGERS, Waits, while_it_moves
from tests.faults.history import History
from tests.faults.listeners import Way, with_ways
from tests.faults.load import Came, Load, Town
from tests.flow.river import River
from tests.processes import free_port, until

_READY_WITHIN: Final = 600.0
"""Seconds, from the start of a process to its readiness: on a machine that is busy, with a broker that is killed again
as soon as it is ready."""


@dataclass(slots=True)
class Ground:
    """A river, its load, the chance by which faults are chosen, and the tally."""

    river: River
    history: History
    chance: Random
    seed: int
    ends: Ends
    town: Town = field(default_factory=Town)
    loads: list[Load] = field(default_factory=list)
    before: Came = field(default_factory=Came)
    """Who came in a campaign whose data this one goes on with."""

    hurries: bool = True
    """Whether clients make time pass fast for the dossiers that they leave alone."""

    failed: bool = False
    """Whether the history is to be kept."""

    provider_is_struck: bool = False
    """Whether somebody strikes at the mail provider all the while: then nobody waits for single letters meanwhile."""

    clock: Clock | None = None
    """The time of day, where it can be set."""

    disks: dict[str, Disk] = field(default_factory=dict)
    """Those that can be filled, by what lies on them."""

    versions: Versions = field(init=False)
    waits: Waits = field(init=False)
    _ways: dict[str, Way] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """How far its services are, and how it is waited for."""
        self.versions = Versions(self.river)
        self.waits = Waits(self.river, self.tally, self.versions)

    @property
    def tally(self) -> Tally:
        """What was done, and how long it took to be over it."""
        return self.ends.tally

    @asynccontextmanager
    async def loaded(self, rate: float, *, until_all_is_taken: bool = True) -> AsyncIterator[Load]:
        """Clients come while the block runs. When it is left, each of them has been told, and the river is quiet.

        ``until_all_is_taken``: they come on until somebody has taken each step of a dossier's life.
        """
        load = Load(self.river, self.history, Random(self.chance.getrandbits(64)), rate, self.town)
        load.hurries = self.hurries
        self.loads.append(load)
        stop = asyncio.Event()
        running = asyncio.create_task(load.run(stop))
        try:
            yield load
            if until_all_is_taken:
                await while_it_moves(lambda: not load.not_taken, lambda: len(load.not_taken), "every step is taken")
            stop.set()
            await while_it_moves(running.done, lambda: load.under_way, "everybody is told")
            await running
        finally:
            running.cancel()
            load.break_off()
            await asyncio.gather(running, return_exceptions=True)
            await load.close()
        await self.waits.quiet()
        self.ends.look_at_all(self.river, "all was over")

    @property
    def came(self) -> Came:
        """Who came since the river began."""
        return sum((load.came for load in self.loads), self.before)

    def hurry(self, *, so: bool) -> None:
        """Whether clients make time pass fast from now on."""
        self.hurries = so
        for load in self.loads:
            load.hurries = so

    def erased(self) -> Mapping[str, Erasure]:
        """What the register of erasures has."""
        return Register(self.river.layout.erasures).erasures()

    async def started(self, service: str, what: str) -> None:
        """Start a service that was ended, and wait until it is ready: it waits for servers that are not there yet."""
        began = time.monotonic()
        program = replace(self.river.programs[service], patience=_READY_WITHIN)
        await process.wait_ready(program, self.river.launch(program))
        self.tally.took(what, time.monotonic() - began)

    async def restarted(self, service: str, **given: str) -> None:
        """SIGTERM and a start, this once with other settings."""
        whole = self.river.programs[service]
        await self.river.running[service].stop()
        self.ended(service)
        self.river.programs[service] = replace(whole, environment={**whole.environment, **given})
        try:
            await self.started(service, f"{service} ready after SIGTERM")
        finally:
            self.river.programs[service] = whole

    def joined(self, service: str, slot: int, *, called: str | None = None) -> str:
        """The name of one more process of a service, in a slot and at a port of its own; it is not started yet."""
        name, port = called or f"{service}-{slot}", free_port()
        whole = self.river.programs[service]

        async def is_ready() -> bool:
            return await is_healthy(port)

        environment = {**whole.environment, "HTTP_PORT": str(port), "SLOT": str(slot)}
        self.river.programs[name] = replace(whole, name=name, environment=environment, is_ready=is_ready, port=port)
        return name

    def left(self, name: str) -> None:
        """One that `joined` named is over for good."""
        self.ends.look(self.river.running[name], "it was left")
        del self.river.programs[name], self.river.running[name]

    async def ways_to_kafka(self) -> dict[str, Way]:
        """A door of Kafka for each service, before which a wire can stand; the broker is restarted for it once."""
        if not self._ways:
            servers = self.river.servers
            bent, ways = with_ways(servers.programs["kafka"], self.river.layout)
            await servers.stop("kafka")
            self.tally.done["kafka ended"] += 1
            servers.programs["kafka"] = bent
            await servers.start("kafka")
            self._ways = ways
        return self._ways

    async def killed(self, service: str) -> None:
        """SIGKILL one of the four, and start it again."""
        await self.river.kill(service)
        self.ended(service)
        await self.started(service, f"{service} ready after SIGKILL")

    def ended(self, service: str) -> None:
        """Write down that a process of a service is gone."""
        self.tally.done[f"{service} ended"] += 1

    def set_off(self, service: str, **given: str) -> None:
        """Start a service with something wrong with it, and do not wait: it may die before it is ready."""
        self.river.launch(self.bent(service, **given))

    def mutate(self, service: str, mutant: str) -> None:
        """From its next start on a service lacks a guard (`tests.faults.process.mutants`)."""
        self.river.programs[service] = self.bent(service, MUTANT=mutant)

    def bent(self, service: str, **given: str) -> process.Program:
        """A service's program, with something put into it from outside."""
        whole = self.river.programs[service]
        command = (whole.command[0], "-m", "tests.faults.process", service)
        return replace(whole, command=command, environment={**whole.environment, **given})

    async def dies(self, service: str, *, seconds: float = 300) -> bool:
        """Wait until a process ends by itself; whether it was at its crash point that it did."""
        running: process.Running = self.river.running[service]
        self.ends.know(running)
        await until(lambda: not running.is_alive(), f"{service} comes to its crash point", seconds=seconds)
        await running.kill()
        # Its first thread may be gone before the others are, and how it ended is told when all are.
        await until(lambda: running.exit_code() is not None, f"{service} is gone altogether", seconds=seconds)
        self.ended(service)
        return running.exit_code() == -signal.SIGKILL

    def forged_subject(self) -> str:
        """A subject of which no service ever speaks."""
        return f"{FORGERS}{self.chance.getrandbits(96):024x}"
