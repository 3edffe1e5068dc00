"""The ground on which faults strike: a river under load, and the tally of what was done to it."""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from deploy.launcher import process
from deploy.launcher.layout import REPOSITORY, SERVICES, Layout
from deploy.launcher.programs import is_healthy
from shared.seal import Erasure, Register
from tests.faults.clock import Clock
from tests.faults.disks import Disk
from tests.faults.history import History
from tests.faults.listeners import Way, with_ways
from tests.faults.load import Load, Town
from tests.faults.needs import Needs, disks_of, put_under_a_clock, with_a_receiver
from tests.flow.river import River, flowing
from tests.processes import free_port, until

KEPT: Final = REPOSITORY / "var" / "faults" / "history"
"""Where histories lie; that of a run that failed is kept under its seed."""

_STUCK: Final = 300.0
"""Seconds in which nothing moves at all: then it is waited for in vain. A machine that is busy takes its time, and a
notice whose sender was killed over it five times is kept for more than three minutes."""

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
CREATE TABLE ever_pointed (topic text, subject text, version int);
CREATE FUNCTION remember_pointed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_pointed VALUES (new.topic, new.aggregateid, new.version);
    RETURN new;
END $$;
CREATE TRIGGER remember_pointed AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION remember_pointed();
"""
"""What was parked is deleted when it is heard: without a witness, parking would hide a relay's faults. Pointers are
deleted when they are sent: without one, nobody could tell what was published again."""

_OLDEST_POINTER: Final = "SELECT coalesce(min(id), 0) FROM outbox"
_NEWEST_POINTER: Final = "SELECT coalesce(max(id), 0) FROM outbox"
_UNSENT_BEFORE: Final = "SELECT count(*) FROM outbox WHERE id <= $1"

_SAID: Final = "SELECT subject, version FROM stream WHERE version > 0"
_HEARD: Final = "SELECT subject, version FROM heard WHERE source = $1"
_UNSENT: Final = "SELECT aggregateid AS subject, min(version) - 1 AS version FROM outbox WHERE topic IS NULL GROUP BY 1"
_CONTACTS_SAID: Final = "SELECT aggregateid AS subject, version FROM snapshot"
_CONTACTS_KEPT: Final = "SELECT dossier AS subject, version FROM contact"

_TALLIED: Final = {"TALLY_SECONDS": "1", "TALLY_ROTATION_SECONDS": "10"}
"""A lost last event is to be found while somebody watches."""

_FORGERS: Final = "forged-"
_NOTHING_MORE: Final = Needs()

HEARERS: Final = {
    "intake": ("routing", "notification", "reporting"),
    "routing": ("intake", "notification", "reporting"),
    "notification": ("intake", "reporting"),
}
"""Who hears a speaker, as docs/delivery.md says."""


@dataclass(frozen=True, slots=True)
class Undone:
    """An entry of a journal that a restore took back. ``is_first``: it was not said because of another."""

    subject: str
    version: int
    type: str
    actor: str | None
    is_first: bool


@dataclass(slots=True)
class Tally:
    """What was done, by its name, and how long it took to be over it (evidence, never asserted)."""

    done: Counter[str] = field(default_factory=Counter)
    recovered: dict[str, list[float]] = field(default_factory=dict)
    forged: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """(topic, partition, offset) of records that nobody said, and what is wrong with each."""
    lost: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """By topic and subject the versions that some hearer may have lost: those alone may be published again."""
    last_lost: list[tuple[str, str, int]] = field(default_factory=list)
    """(source, subject, version) of last events that were lost while all before them were heard."""
    undone: dict[str, dict[str, Undone]] = field(default_factory=dict)
    """By speaker and id what its journal lost when it was restored from an older copy."""

    def took(self, what: str, seconds: float) -> None:
        """One more time to recovery."""
        self.recovered.setdefault(what, []).append(seconds)

    @property
    def mails_cut_off(self) -> int:
        """How often mails in flight may have been cut off from whoever was to write down that they went out."""
        return sum(
            self.done[what]
            for what in ("notification ended", "notification suspended", "mail ended", "mail cut off", "postgres ended")
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
    hurries: bool = True
    """Whether clients make time pass fast for the dossiers that they leave alone."""

    failed: bool = False
    """Whether the history is to be kept."""

    clock: Clock | None = None
    """The time of day, where it can be set."""

    disks: dict[str, Disk] = field(default_factory=dict)
    """Those that can be filled, by what lies on them."""

    _ways: dict[str, Way] = field(default_factory=dict)

    @asynccontextmanager
    async def loaded(self, rate: float) -> AsyncIterator[Load]:
        """Clients come while the block runs. When it is left, each of them has been told, and the river is quiet."""
        load = Load(self.river, self.history, Random(self.chance.getrandbits(64)), rate, self.town)
        load.hurries = self.hurries
        self.loads.append(load)
        stop = asyncio.Event()
        running = asyncio.create_task(load.run(stop))
        try:
            yield load
            await while_it_moves(lambda: not load.not_taken, lambda: len(load.not_taken), "every step is taken")
            stop.set()
            await while_it_moves(running.done, lambda: load.under_way, "everybody is told")
            await running
        finally:
            running.cancel()
            load.break_off()
            await asyncio.gather(running, return_exceptions=True)
            await load.close()
        await self.quiet()

    def hurry(self, *, so: bool) -> None:
        """Whether clients make time pass fast from now on."""
        self.hurries = so
        for load in self.loads:
            load.hurries = so

    async def quiet(self) -> None:
        """Wait until nothing is unsent, unheard, parked or on its way to a citizen; what was forged does not count."""
        calm, reasons = 0, ["not looked at yet"]

        async def twice() -> bool:
            nonlocal calm, reasons
            reasons = await self._unquiet()
            calm = 0 if reasons else calm + 1
            return calm > 1

        began = time.monotonic()
        try:
            await while_it_moves(twice, lambda: tuple(reasons), "the river is quiet")
        except AssertionError as error:
            raise AssertionError(f"{error}: {', '.join(reasons)}") from None
        self.tally.took("drained", time.monotonic() - began)

    async def healed(self) -> None:
        """Wait until all that had been said and sent when this was called is heard, whatever was lost of it."""
        sent = {source: await self.sent_by(source) for source in HEARERS}
        contacts = await self.contacts_said()
        began, missing = time.monotonic(), 0

        async def is_heard() -> bool:
            nonlocal missing
            kept = await self._versions("notification", _CONTACTS_KEPT)
            missing = sum(kept.get(one, 0) < version for one, version in contacts.items())
            for source, hearers in HEARERS.items():
                for hearer in hearers:
                    heard = await self.heard_by(hearer, source)
                    missing += sum(heard.get(one, 0) < version for one, version in sent[source].items())
            return not missing

        await while_it_moves(is_heard, lambda: missing, "what was lost is heard")
        self.tally.took("healed", time.monotonic() - began)

    async def quiet_outboxes(self) -> None:
        """Wait until the relays have carried what was waiting; what clients say meanwhile comes and goes."""
        lowest: list[int] = []

        async def is_carried() -> bool:
            lowest.clear()
            waiting = 0
            for service in SERVICES:
                async with self.river.store(service) as store:
                    lowest.append(await store.fetchval(_OLDEST_POINTER))
                    waiting += await store.fetchval(_UNSENT_BEFORE, before[service])
            return not waiting

        before: dict[str, int] = {}
        for service in SERVICES:
            async with self.river.store(service) as store:
                before[service] = await store.fetchval(_NEWEST_POINTER)
        await while_it_moves(is_carried, lambda: tuple(lowest), "the relays have carried what was waiting")

    async def _unquiet(self) -> list[str]:
        reasons = [one for one in await self.river.unsettled() if " parked " not in one]
        for service in SERVICES:
            async with self.river.store(service) as store:
                parked = await store.fetchval(
                    "SELECT count(*) FROM parked WHERE NOT starts_with(subject, $1)", _FORGERS
                )
            if parked and not self.tally.undone:
                reasons.append(f"{service} parked {parked}")
        for service in SERVICES:
            figures = (await self.river.status(service)).get("tally", {})
            if not figures.get("compared"):
                reasons.append(f"{service} has not compared yet")
        if not self.tally.undone:
            for (source, hearer), missing in (await self.missing()).items():
                reasons.append(f"{hearer} has not heard {missing} that {source} said")
        return reasons + [f"nobody is told that {source} was restored" for source in await self._unalarmed()]

    async def _unalarmed(self) -> list[str]:
        """Speakers that were restored and have not said yet that hearers are ahead of them."""
        found = []
        for source in self.tally.undone:
            sent = await self.sent_by(source)
            hearers = [await self.heard_by(each, source) for each in HEARERS[source] if each not in self.tally.undone]
            is_ahead = any(version > sent.get(one, 0) for heard in hearers for one, version in heard.items())
            if is_ahead and b"hearer_ahead" not in self.river.layout.log(source).read_bytes():
                found.append(source)
        return found

    async def missing(self) -> dict[tuple[str, str], int]:
        """(speaker, hearer), and how many versions that were said and sent the second has not heard of the first.

        Contacts on their compacted topic are counted with intake's.
        """
        found: dict[tuple[str, str], int] = {}
        for source, hearers in HEARERS.items():
            sent = await self.sent_by(source)
            for hearer in hearers:
                heard = await self._versions(hearer, _HEARD, source)
                found[source, hearer] = sum(max(0, version - heard.get(one, 0)) for one, version in sent.items())
        said, kept = await self.contacts_said(), await self._versions("notification", _CONTACTS_KEPT)
        found["intake", "notification"] += sum(kept.get(one, 0) < version for one, version in said.items())
        return {pair: count for pair, count in found.items() if count}

    async def sent_by(self, source: str) -> dict[str, int]:
        """By subject how much a speaker has said and sent."""
        said = await self.said_by(source)
        return {**said, **await self._versions(source, _UNSENT)}

    async def said_by(self, source: str) -> dict[str, int]:
        """By subject how much a speaker has said, sent or not."""
        return await self._versions(source, _SAID)

    async def heard_by(self, hearer: str, source: str) -> dict[str, int]:
        """By subject how much a hearer has heard of a speaker."""
        return await self._versions(hearer, _HEARD, source)

    def erased(self) -> Mapping[str, Erasure]:
        """What the register of erasures has."""
        return Register(self.river.layout.erasures).erasures()

    async def contacts_said(self) -> dict[str, int]:
        """By subject the version of the contact that intake sealed last."""
        return await self._versions("intake", _CONTACTS_SAID)

    async def _versions(self, service: str, query: str, *given: str) -> dict[str, int]:
        async with self.river.store(service) as store:
            return {row["subject"]: row["version"] for row in await store.fetch(query, *given)}

    async def started(self, service: str, what: str) -> None:
        """Start a service that was ended, and wait until it is ready: it waits for servers that are not there yet."""
        began = time.monotonic()
        program = replace(self.river.programs[service], patience=_READY_WITHIN)
        self.river.running[service] = process.start(program, self.river.layout)
        await process.wait_ready(program, self.river.running[service])
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
        self.river.running[service] = process.start(self.bent(service, **given), self.river.layout)

    def bent(self, service: str, **given: str) -> process.Program:
        """A service's program, with something put into it from outside."""
        whole = self.river.programs[service]
        command = (whole.command[0], "-m", "tests.faults.process", service)
        return replace(whole, command=command, environment={**whole.environment, **given})

    async def dies(self, service: str, *, seconds: float = 300) -> bool:
        """Wait until a process ends by itself; whether it was at its crash point that it did."""
        running: process.Running = self.river.running[service]
        await until(lambda: not running.is_alive(), f"{service} comes to its crash point", seconds=seconds)
        await running.kill()
        # Its first thread may be gone before the others are, and how it ended is told when all are.
        await until(lambda: running.exit_code() is not None, f"{service} is gone altogether", seconds=seconds)
        self.ended(service)
        return running.exit_code() == -signal.SIGKILL

    def forged_subject(self) -> str:
        """A subject of which no service ever speaks."""
        return f"{_FORGERS}{self.chance.getrandbits(96):024x}"


async def while_it_moves(
    holds: Callable[[], bool | Awaitable[bool]], moves: Callable[[], object], what: str, *, stuck: float = _STUCK
) -> None:
    """Ask again and again until it holds; fail when what ``moves`` shows has been the same for so many seconds."""
    loop = asyncio.get_running_loop()
    seen, since = moves(), loop.time()
    while True:
        answer = holds()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        if (now := moves()) != seen:
            seen, since = now, loop.time()
        if loop.time() - since > stuck:
            raise AssertionError(f"nothing moves for {stuck:.0f} s, waited for: {what} ({seen})")
        await asyncio.sleep(0.05)


@asynccontextmanager
async def ground(
    layout: Layout, seed: int, *, name: str = "history", needs: Needs = _NOTHING_MORE
) -> AsyncIterator[Ground]:
    """A fresh river, seeded with calendar, units and procedures, witnesses in its stores, and an empty history.

    ``needs``: what the strikes that it is for need besides.
    """
    history = History(_path(name, seed))
    history.open()
    try:
        _put_aside(layout.var / "log")
        with disks_of(layout, needs) as disks:
            async with _prepared(needs.laid_out(layout), seed, history, needs) as ours:
                ours.disks = disks
                yield ours
                if not ours.failed:
                    history.path.unlink()
    finally:
        history.close()


def _put_aside(logs: Path) -> None:
    """What an earlier run wrote is kept beside; the checker reads what this one does."""
    before = logs.with_name("log.before")
    shutil.rmtree(before, ignore_errors=True)
    if logs.exists():
        logs.rename(before)
    logs.mkdir(parents=True)


@asynccontextmanager
async def _prepared(layout: Layout, seed: int, history: History, needs: Needs) -> AsyncIterator[Ground]:
    async with flowing(layout) as river:
        for service in SERVICES:
            whole = river.programs[service]
            more = {"SMTP_TIMEOUT": _SMTP_TIMEOUT} if service == "notification" else {}
            river.programs[service] = replace(whole, environment={**whole.environment, **_TALLIED, **more})
            await river.running[service].stop()
        await asyncio.gather(*(river.start(service) for service in SERVICES))
        clock = None if needs.clock is None else await put_under_a_clock(river, needs.clock)
        for service in SERVICES:
            async with river.store(service) as store:
                await store.execute(_WITNESS)
        async with with_a_receiver(river, needs):
            await river.seed()
            yield Ground(river, history, Random(seed), seed, clock=clock)


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
