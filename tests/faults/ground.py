"""The ground on which faults strike: a river under load, and the tally of what was done to it."""

from __future__ import annotations

import asyncio
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from deploy.launcher import process
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import REPOSITORY, SERVICES, Layout
from tests.faults.history import History
from tests.faults.load import Load, Town
from tests.flow.river import River, flowing
from tests.processes import until

KEPT: Final = REPOSITORY / "var" / "faults" / "history"
"""Where histories lie; that of a run that failed is kept under its seed."""

_LAST_ANSWER: Final = 120.0
"""Seconds after the last arrival within which everybody has to be told."""

_READY_WITHIN: Final = 120.0

_SMTP_TIMEOUT: Final = "4"
"""Seconds. A killed sender's claim runs out after half as much again; nobody wants to wait half a minute for that."""

_WITNESS: Final = """
CREATE TABLE ever_parked (subject text, source text, version int, reason text, waits_for text);
CREATE FUNCTION remember_parked() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_parked VALUES (new.subject, new.source, new.version, new.reason, new.waits_for);
    RETURN new;
END $$;
CREATE TRIGGER remember_parked AFTER INSERT ON parked FOR EACH ROW EXECUTE FUNCTION remember_parked();
"""
"""What was parked is deleted when it is heard: without a witness, parking would hide a relay's faults."""

_OLDEST_UNSENT: Final = "SELECT coalesce(extract(epoch FROM clock_timestamp() - min(since)), 0)::float8 FROM outbox"

_FORGERS: Final = "forged-"


@dataclass(slots=True)
class Tally:
    """What was done, by its name, and how long it took to be over it (evidence, never asserted)."""

    done: Counter[str] = field(default_factory=Counter)
    recovered: dict[str, list[float]] = field(default_factory=dict)
    forged: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """(topic, partition, offset) of records that nobody said, and what is wrong with each."""

    def took(self, what: str, seconds: float) -> None:
        """One more time to recovery."""
        self.recovered.setdefault(what, []).append(seconds)

    @property
    def mails_cut_off(self) -> int:
        """How often mails in flight may have been cut off from whoever was to write down that they went out."""
        return sum(
            self.done[what] for what in ("notification ended", "notification suspended", "mail ended", "postgres ended")
        )


@dataclass(slots=True)
class Ground:
    """A river, its load, the chance by which faults are chosen, and the tally."""

    river: River
    history: History
    chance: Random
    seed: int
    tally: Tally = field(default_factory=Tally)
    town: Town = field(default_factory=Town)
    loads: list[Load] = field(default_factory=list)
    failed: bool = False
    """Whether the history is to be kept."""

    @asynccontextmanager
    async def loaded(self, rate: float) -> AsyncIterator[Load]:
        """Clients come while the block runs. When it is left, each of them has been told, and the river is quiet."""
        load = Load(self.river, self.history, Random(self.chance.getrandbits(64)), rate, self.town)
        self.loads.append(load)
        stop = asyncio.Event()
        running = asyncio.create_task(load.run(stop))
        try:
            yield load
            stop.set()
            await asyncio.wait_for(running, _LAST_ANSWER)
        finally:
            running.cancel()
            load.break_off()
            await asyncio.gather(running, return_exceptions=True)
            await load.close()
        await self.quiet()

    async def quiet(self, *, seconds: float = 240) -> None:
        """Wait until nothing is unsent, unheard, parked or on its way to a citizen; what was forged does not count."""
        calm, reasons = 0, ["not looked at yet"]

        async def twice() -> bool:
            nonlocal calm, reasons
            reasons = await self._unquiet()
            calm = 0 if reasons else calm + 1
            return calm > 1

        began = time.monotonic()
        try:
            await until(twice, "the river is quiet", seconds=seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}: {', '.join(reasons)}") from None
        self.tally.took("drained", time.monotonic() - began)

    async def quiet_outboxes(self, *, seconds: float = 240) -> None:
        """Wait until the relays have carried what was waiting; what clients say meanwhile comes and goes."""
        await until(self._carried, "the relays have carried what was waiting", seconds=seconds)

    async def _carried(self) -> bool:
        oldest = 0.0
        for service in SERVICES:
            async with self.river.store(service) as store:
                oldest = max(oldest, await store.fetchval(_OLDEST_UNSENT))
        return oldest < 1.0

    async def _unquiet(self) -> list[str]:
        reasons = [one for one in await self.river.unsettled() if " parked " not in one]
        for service in SERVICES:
            async with self.river.store(service) as store:
                parked = await store.fetchval(
                    "SELECT count(*) FROM parked WHERE NOT starts_with(subject, $1)", _FORGERS
                )
            if parked:
                reasons.append(f"{service} parked {parked}")
        return reasons

    async def started(self, service: str, what: str) -> None:
        """Start a service that was ended, and wait until it is ready.

        As the supervisor does, it is started again when it ends before that, because its database is not there yet.
        """
        began = time.monotonic()
        while True:
            try:
                await self.river.start(service)
            except LaunchError:
                if time.monotonic() - began > _READY_WITHIN:
                    raise
                self.tally.done["ended before it was ready"] += 1
            else:
                break
        self.tally.took(what, time.monotonic() - began)

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
        self.river.running[service] = process.start(self.bent(service, **given), self.river.layout)

    def bent(self, service: str, **given: str) -> process.Program:
        """A service's program, with something put into it from outside."""
        whole = self.river.programs[service]
        command = (whole.command[0], "-m", "tests.faults.process", service)
        return replace(whole, command=command, environment={**whole.environment, **given})

    async def dies(self, service: str, *, seconds: float = 120) -> bool:
        """Wait until a process ends by itself; whether it was at its crash point that it did."""
        running: process.Running = self.river.running[service]
        await until(lambda: not running.is_alive(), f"{service} comes to its crash point", seconds=seconds)
        await running.kill()
        self.ended(service)
        return running.exit_code() == -signal.SIGKILL

    def forged_subject(self) -> str:
        """A subject of which no service ever speaks."""
        return f"{_FORGERS}{self.chance.getrandbits(96):024x}"


@asynccontextmanager
async def ground(layout: Layout, seed: int, *, name: str = "history") -> AsyncIterator[Ground]:
    """A fresh river, seeded with calendar, units and procedures, witnesses in its stores, and an empty history."""
    history = History(_path(name, seed))
    history.open()
    try:
        async with flowing(layout) as river:
            for program in ("notification",):
                whole = river.programs[program]
                river.programs[program] = replace(
                    whole, environment={**whole.environment, "SMTP_TIMEOUT": _SMTP_TIMEOUT}
                )
                await river.running[program].stop()
                await river.start(program)
            for service in SERVICES:
                async with river.store(service) as store:
                    await store.execute(_WITNESS)
            await river.seed()
            ours = Ground(river, history, Random(seed), seed)
            yield ours
            if not ours.failed:
                history.path.unlink()
    finally:
        history.close()


def _path(name: str, seed: int) -> Path:
    return KEPT / f"{name}-{seed}.jsonl"


def described(tally: Tally) -> dict[str, Any]:
    """The tally as figures: counts, and of every recovery its median and its longest, in seconds."""
    figures: dict[str, Any] = dict(sorted(tally.done.items()))
    for what, seconds in sorted(tally.recovered.items()):
        ordered = sorted(seconds)
        figures[what] = {
            "times": len(ordered),
            "median_s": round(ordered[len(ordered) // 2], 2),
            "longest_s": round(ordered[-1], 2),
        }
    return figures
