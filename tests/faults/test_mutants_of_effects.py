"""Mutants of what must lie in one transaction, and of what must be looked at again under the lock.

As in `test_mutants`: the product's own way and a mutant beside it go through the same interleaving.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, timedelta
from functools import partial
from typing import TypeAlias

import asyncpg
import pytest

from deploy.launcher.postgres import Databases
from services.intake import store as intake_store
from services.routing import store as routing_store
from services.routing.values import Timer
from shared import journal
from shared.bus import Hearer, Waiting, hear_batch
from shared.envelope import Heard, Record, decode
from shared.events import DossierReceived
from shared.journal import Stream
from shared.store import Transaction, connect
from shared.topics import Service
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing
from tests.telling import Story, record_of

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Take: TypeAlias = Callable[[Transaction, Mapping[tuple[str, date], int]], Awaitable[dict[tuple[str, date], int]]]

# --- what was heard, marked in another transaction -------------------------------------------------------------------

_EFFECT = "INSERT INTO effect VALUES ($1)"


async def _note(tx: Transaction, _: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
    for one in events:
        await tx.execute(_EFFECT, one.subject)
    return []


async def _in_one(effect: Connection, _: Connection, record: Record) -> None:
    """As the bus does: what was heard is written down where its effect is."""
    await hear_batch(effect, Hearer(Service.ROUTING, frozenset({DossierReceived}), _note), [record])


async def _marked_first(effect: Connection, mark: Connection, record: Record) -> None:
    """The mutant: a transaction of its own for what was heard, and then one for the effect."""
    marked: list[Heard] = []

    async def mark_only(tx: Transaction, locked: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
        marked.extend(events)
        return []

    async with mark.transaction():
        await hear_batch(mark, Hearer(Service.ROUTING, frozenset({DossierReceived}), mark_only), [record])
    await _note(effect, {}, marked)


async def _effect_first(effect: Connection, mark: Connection, record: Record) -> None:
    """The other mutant: the effect at once, and a transaction for what was heard, of which nothing came."""
    heard = decode(record)
    assert isinstance(heard, Heard)
    async with mark.transaction():
        await mark.execute(_EFFECT, heard.subject)
    await hear_batch(effect, Hearer(Service.ROUTING, frozenset(), _note), [record])


@pytest.mark.parametrize(("hear", "effects"), [(_in_one, 1), (_marked_first, 0), (_effect_first, 2)])
async def test_what_was_heard_is_marked_where_its_effect_is_or_a_lost_connection_loses_or_doubles_it(
    routing: Routing,
    made: Databases,
    hear: Callable[[Connection, Connection, Record], Awaitable[None]],
    effects: int,
) -> None:
    """The first try is rolled back before its commit, as it is when the connection is lost; the second goes through."""
    record = record_of(Story().received())
    async with _session(made) as effect, _session(made) as mark:
        await mark.execute("CREATE TABLE effect (subject text)")
        try:
            lost = effect.transaction()
            await lost.start()
            await hear(effect, mark, record)
            await lost.rollback()
            async with effect.transaction():
                await hear(effect, mark, record)

            assert await mark.fetchval("SELECT count(*) FROM effect") == effects
        finally:
            await mark.execute("DROP TABLE effect")


# --- a timer from memory ---------------------------------------------------------------------------------------------


def _from_memory(remembered: dict[str, list[Timer]]) -> Callable[[Transaction, Sequence[str]], Awaitable[object]]:
    async def timers_of(_: Transaction, dossiers: Sequence[str]) -> dict[str, list[Timer]]:
        return {dossier: remembered[dossier] for dossier in dossiers}

    return timers_of


@pytest.mark.parametrize(("from_memory", "times"), [(False, 1), (True, 2)])
async def test_a_timer_that_fires_from_memory_is_said_twice(
    routing: Routing, made: Databases, monkeypatch: pytest.MonkeyPatch, from_memory: bool, times: int
) -> None:
    """Two processes have seen that a deadline is due; the second comes to fire it when the first one has."""
    dossier = await routing.receives()
    async with _session(made) as owner:
        await owner.execute(
            "UPDATE timer SET dossier_at = clock_timestamp() - $2::interval WHERE dossier = $1",
            dossier,
            timedelta(seconds=1),
        )
        seen = {dossier: list((await routing_store.timers_of(owner, [dossier]))[dossier])}
        await routing.fires(dossier)
        if from_memory:
            monkeypatch.setattr(routing_store, "timers_of", _from_memory(seen))
        await routing.fires(dossier)

        said = "SELECT count(*) FROM journal WHERE aggregateid = $1 AND type LIKE 'Deadline%'"
        assert await owner.fetchval(said, dossier) == times


# --- a printed number from outside the transaction -------------------------------------------------------------------


async def _numbers_of_their_own(
    take: Take, numbers: Connection, _: Transaction, wanted: Mapping[tuple[str, date], int]
) -> dict[tuple[str, date], int]:
    """The mutant: numbers come from a counter that commits by itself, as a sequence does."""
    return await take(numbers, wanted)


@pytest.mark.parametrize(("of_their_own", "second"), [(False, 2), (True, 3)])
async def test_a_counter_outside_the_transaction_leaves_a_hole_in_the_printed_numbers(
    intake: Intake, made: Databases, monkeypatch: pytest.MonkeyPatch, of_their_own: bool, second: int
) -> None:
    """A reception loses its connection after it was numbered, and is tried again."""
    first = await intake.receives()
    begin = journal.begin

    async def loses_its_connection(*_: object) -> None:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async with _session(made, "intake") as numbers:
        if of_their_own:
            mutant = partial(_numbers_of_their_own, intake_store.take_numbers, numbers)
            monkeypatch.setattr(intake_store, "take_numbers", mutant)
        monkeypatch.setattr(journal, "begin", loses_its_connection)
        with pytest.raises(asyncpg.ConnectionDoesNotExistError):
            await intake.receives()
        monkeypatch.setattr(journal, "begin", begin)

        again = await intake.receives()

    assert (_ordinal(first), _ordinal(again)) == (1, second)


def _ordinal(receipt: Mapping[str, str]) -> int:
    return int(receipt["code"].rpartition("-")[2])


@asynccontextmanager
async def _session(made: Databases, service: str = "routing") -> AsyncIterator[Connection]:
    """A connection to a service's store, as its owner."""
    connection = await connect(made.owner[service], name="mutants")
    try:
        yield connection
    finally:
        await connection.close()
