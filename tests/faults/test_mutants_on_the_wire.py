"""Mutants that only a broker can show: a process of its own hears from real Kafka, and is killed at a bad instant."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import psutil
import pytest

from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared.bus import Bus, Cadence, Control
from shared.bus.tally.asking import Asker
from shared.bus.tally.telling import Teller
from shared.bus.tally.wire import Message
from shared.outbox import Relay
from shared.store import Database
from shared.topics import CONTROL, INTAKE, Service
from tests.flow.rough import a_process, cut, is_committed, make_anew, publish, rough_servers
from tests.layouts import ROUGH
from tests.listening import Listener, emptied, listening, speak
from tests.processes import until
from tests.telling import Story, record_of

_OFTEN: Final = Cadence(every=0.2, rotation=1.0)
_DOSSIERS = 20
_HEARD = "SELECT count(*) FROM told"


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with rough_servers() as ours:
        yield ours


@pytest.fixture(scope="module")
async def made(servers: Servers) -> AsyncIterator[Databases]:
    async with listening(ROUGH, "_mutants") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases, servers: Servers) -> AsyncIterator[Database]:
    await make_anew(servers.kafka)
    async with emptied(made, "reporting") as ours:
        yield ours


@pytest.mark.parametrize(("mutant", "loses"), [("", False), ("offset-first", True)])
async def test_an_offset_that_is_committed_first_loses_what_was_not_heard_yet(
    servers: Servers, made: Databases, database: Database, mutant: str, loses: bool
) -> None:
    """Killed in the middle of its first batch; the one who comes after hears what the offsets have left.

    What comes before the topics' ids are known is heard from its beginning by whoever learns them.
    """
    url = made.login["reporting"]
    records = [record_of(Story().received()) for _ in range(_DOSSIERS)]
    async with a_process("ear", "reporting", url, servers.kafka, mutant=mutant, stands_still="copy") as killed:
        await until(lambda: _knows_its_topic(database), "the topic's id is known", seconds=60)
        await publish(servers.kafka, records)
        await until(lambda: _is_stopped(killed.pid), "it stands in the middle of a batch", seconds=60)
        killed.kill()
        await killed.wait()

    async with a_process("ear", "reporting", url, servers.kafka), database.pool.acquire() as connection:

        async def is_through() -> bool:
            return await is_committed(servers.kafka, "reporting", INTAKE)

        await until(is_through, "whatever is left is heard", seconds=60)
        heard = await connection.fetchval(_HEARD)

    assert (heard < _DOSSIERS) == loses


async def _knows_its_topic(database: Database) -> bool:
    async with database.pool.acquire() as connection:
        known: int = await connection.fetchval("SELECT count(*) FROM incarnation WHERE topic = $1", INTAKE.name)
    return known == INTAKE.partitions


async def _tell_nothing(*_: object) -> list[object]:
    return []


@dataclass(slots=True)
class _Rotations:
    """Counts, at the speaker, the rotations in which all that was said is told of once, be it told or not."""

    look: Callable[[Teller, float], Awaitable[list[Message]]]
    passed: int = 0
    following: float = 0.0

    async def count(self, teller: Teller, now: float) -> list[Message]:
        """One more look at what is to be told."""
        if now >= self.following:
            self.passed += 1
            self.following = now + teller.rotation
        return await self.look(teller, now)


_ANTI_ENTROPY: Final[dict[str, tuple[type, str]]] = {
    "nobody tells": (Teller, "look"),
    "nobody asks": (Asker, "look"),
}
_MANY_ROTATIONS: Final = 20
"""In which whatever can heal has healed: with all guards in their places no more of them are waited for."""


@pytest.mark.parametrize("mutant", ["", *_ANTI_ENTROPY])
async def test_without_anti_entropy_a_lost_last_event_is_never_heard(
    servers: Servers, made: Databases, database: Database, mutant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hearer is away while the last event of a dossier is said, sent and lost; what comes after it, it hears.

    Product and mutant are given the same time: many rotations at the speaker.
    """
    await make_anew(servers.kafka, [CONTROL])
    if mutant:
        monkeypatch.setattr(*_ANTI_ENTROPY[mutant], _tell_nothing)
    rotations = _Rotations(Teller.look)

    async def counted(teller: Teller, now: float) -> list[Message]:
        return await rotations.count(teller, now)

    monkeypatch.setattr(Teller, "look", counted)
    dossier, event = Story().subject, Story().received().event
    async with emptied(made, "intake") as speaking, AsyncExitStack() as stack:
        relay = Relay(Service.INTAKE, made.login["intake"], servers.kafka, speaking.committed)
        await stack.enter_async_context(_for_ever(relay.run()))
        silent = Bus(Listener(Service.INTAKE).hearer(), speaking, servers.kafka)
        await stack.enter_async_context(_for_ever(Control(silent, relay, _OFTEN).run()))
        async with _hearing(database, servers.kafka):
            await speak(speaking, Service.INTAKE, [(dossier, event)])
            await until(partial(_has_heard, database, dossier, 1), "the first event is heard", seconds=60)
        await speak(speaking, Service.INTAKE, [(dossier, event)])
        await until(lambda: relay.sent == 2, "the last event is sent", seconds=60)
        await cut(servers.kafka, [INTAKE])

        async with _hearing(database, servers.kafka):
            other = Story().subject
            await speak(speaking, Service.INTAKE, [(other, event)])
            await until(partial(_has_heard, database, other, 1), "it hears on", seconds=60)
            enough = rotations.passed + _MANY_ROTATIONS
            await until(lambda: rotations.passed >= enough, "many rotations have passed at the speaker", seconds=120)

    async with database.pool.acquire() as connection:
        heard = await connection.fetchval("SELECT version FROM heard WHERE subject = $1", dossier)
    assert (heard < 2) == bool(mutant)


async def _has_heard(database: Database, subject: str, version: int) -> bool:
    async with database.pool.acquire() as connection:
        heard: int | None = await connection.fetchval("SELECT version FROM heard WHERE subject = $1", subject)
        return (heard or 0) >= version


@asynccontextmanager
async def _hearing(database: Database, kafka: str) -> AsyncIterator[None]:
    """A hearer with its part of anti-entropy, until the block is left."""
    bus = Bus(Listener(Service.REPORTING).hearer(), database, kafka)
    await bus.start()
    try:
        async with _for_ever(Control(bus, None, _OFTEN).run()):
            yield
    finally:
        await bus.stop()


@asynccontextmanager
async def _for_ever(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED
