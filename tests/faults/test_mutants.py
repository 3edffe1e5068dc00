"""Mutants: what each guard is there for is shown by taking it away.

Every test runs the product's own statements and, beside them, a mutant that lacks one guard, through the same
interleaving, which is forced and not left to chance. The invariant holds for the one and is broken by the other; a
mutant that got away would be a guard that nothing watches. Mutants live here, never in the product.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg
import pytest

from deploy.launcher.postgres import Databases
from services.routing import store as routing_store
from shared import outbox
from shared.bus import Hearer, Waiting, hearing, rows
from shared.bus.fates import Candidate, Fates, LastHeard, Stream, sort_out
from shared.envelope import Heard
from shared.events import DossierReceived, NoticeSent
from shared.store import Queries, connect
from shared.topics import PARTITIONS, Service
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing
from tests.processes import until
from tests.telling import Story, record_of

_OUTBOX: Final = Queries(Path(outbox.__file__).parent)
_ALL_SHARDS: Final = list(range(PARTITIONS))
_LOCK_CLASS: Final = 4711
_WRITERS: Final = 12

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# --- a relay with a cursor on the id -------------------------------------------------------------------------------


async def _by_pointers(reader: Connection, _: int) -> list[int]:
    """As the relay reads: whatever is unsent, oldest first; sent pointers are deleted."""
    found = [row["id"] for row in await reader.fetch(_OUTBOX["unsent"], _ALL_SHARDS, 2000, 10**7, [], [])]
    await reader.execute(_OUTBOX["forget_sent"], found)
    return found


async def _by_cursor(reader: Connection, last: int) -> list[int]:
    """The mutant: what lies after the last id that was read."""
    return [row["id"] for row in await reader.fetch("SELECT id FROM outbox WHERE id > $1 ORDER BY id", last)]


@pytest.mark.parametrize(("read", "loses"), [(_by_pointers, 0), (_by_cursor, _WRITERS - 1)])
async def test_a_relay_with_a_cursor_loses_what_commits_late(
    routing: Routing, made: Databases, read: Callable[[Connection, int], Awaitable[list[int]]], loses: int
) -> None:
    """Twelve writers draw their ids in order and commit in the opposite one; the relay reads after every commit."""
    sent: list[int] = []
    async with AsyncExitStack() as stack:
        reader = await stack.enter_async_context(_session(made))
        writers = [await stack.enter_async_context(_session(made)) for _ in range(_WRITERS)]
        await _forget_the_seed(reader)
        for number, writer in enumerate(writers):
            await writer.execute("BEGIN")
            await writer.execute("INSERT INTO stream (subject, version) VALUES ($1, 1)", f"late-{number}")
            await _say(writer, f"late-{number}", 1)
        for writer in reversed(writers):
            await writer.execute("COMMIT")
            sent += await read(reader, max(sent, default=0))

    assert _WRITERS - len(sent) == loses


# --- several readers of one subject -------------------------------------------------------------------------------


async def _hold(reader: Connection) -> list[int]:
    """As the relay does: the shards that this session can lock, and nothing of the others."""
    return [row["shard"] for row in await reader.fetch(_OUTBOX["take_shards"], _ALL_SHARDS, _LOCK_CLASS)]


async def _oldest(reader: Connection) -> list[int]:
    found = await reader.fetch(_OUTBOX["unsent"], await _hold(reader), 1, 10**7, [], [])
    return [row["version"] for row in found]


async def _oldest_not_locked(reader: Connection) -> list[int]:
    """The mutant: any reader takes the oldest pointer that no other reader is at."""
    found = await reader.fetch("SELECT version FROM outbox ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED")
    return [row["version"] for row in found]


@pytest.mark.parametrize(("read", "order"), [(_oldest, [1]), (_oldest_not_locked, [2, 1])])
async def test_two_readers_of_one_subject_invert_its_order(
    routing: Routing, made: Databases, read: Callable[[Connection], Awaitable[list[int]]], order: list[int]
) -> None:
    """The first reader has read and is slow to send; the second reads and sends at once."""
    async with _session(made) as first, _session(made) as second:
        await _forget_the_seed(first)
        await first.execute("INSERT INTO stream (subject, version) VALUES ('hot', 2)")
        await _say(first, "hot", 1)
        await _say(first, "hot", 2)
        sent: list[int] = []
        async with first.transaction():
            slow = await read(first)
            async with second.transaction():
                sent += await read(second)
            sent += slow

    assert sent == order


# --- a joined load under the lock ----------------------------------------------------------------------------------


async def _lock_then_load(connection: Connection, dossier: str) -> tuple[int, str]:
    """As the bus does: lock, and load with a statement of its own."""
    locked = await rows.lock_heard(connection, [(dossier, Service.INTAKE)], [])
    journeys = await routing_store.journeys(connection, [dossier])
    return locked[dossier, Service.INTAKE].version, journeys[dossier].stage


async def _joined_load(connection: Connection, dossier: str) -> tuple[int, str]:
    """The mutant: one statement for both. What it waited for is new, what it joined is of its old snapshot."""
    row = await connection.fetchrow(
        "SELECT heard.version, journey.stage FROM heard JOIN journey ON journey.dossier = heard.subject "
        "WHERE heard.subject = $1 FOR UPDATE OF heard",
        dossier,
    )
    assert row is not None
    return row["version"], row["stage"]


@pytest.mark.parametrize(("load", "sees"), [(_lock_then_load, (2, "new")), (_joined_load, (2, "commune_desk"))])
async def test_a_joined_load_under_the_lock_sees_new_versions_with_old_stages(
    routing: Routing,
    made: Databases,
    load: Callable[[Connection, str], Coroutine[Any, Any, tuple[int, str]]],
    sees: tuple[int, str],
) -> None:
    dossier = await routing.receives()
    async with _session(made) as holder, _session(made) as waiter, _session(made) as onlooker:
        await holder.execute("BEGIN")
        await rows.lock_heard(holder, [(dossier, Service.INTAKE)], [])
        async with waiter.transaction():
            loading = asyncio.create_task(load(waiter, dossier))
            pid = waiter.get_server_pid()
            await until(lambda: _waits_for_a_lock(onlooker, pid), "the second one waits for the first one's lock")
            await holder.execute("UPDATE heard SET version = 2 WHERE subject = $1", dossier)
            await holder.execute("UPDATE journey SET stage = 'new' WHERE dossier = $1", dossier)
            await holder.execute("COMMIT")

            assert await loading == sees


# --- a stream that two open ----------------------------------------------------------------------------------------


async def _opened_without_looking(connection: Connection, expected: Mapping[Stream, LastHeard]) -> bool:
    """The mutant: a row that somebody wrote meanwhile is as good as one of our own."""
    for (subject, source), last in expected.items():
        await connection.execute(
            "INSERT INTO heard (subject, source, version) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
            subject,
            source.value,
            last.version,
        )
    return True


@pytest.mark.parametrize(("opened", "counted"), [(rows.open_heard, 1), (_opened_without_looking, 2)])
async def test_of_two_who_open_a_stream_the_second_is_told(
    routing: Routing,
    made: Databases,
    monkeypatch: pytest.MonkeyPatch,
    opened: Callable[[Connection, Mapping[Stream, LastHeard]], Coroutine[Any, Any, bool]],
    counted: int,
) -> None:
    """Two hearers have the same first event; the second comes while the first one's batch is not committed."""
    record = record_of(Story().received())
    heard: list[Heard] = []

    async def note(_: object, locked: object, events: Sequence[Heard]) -> list[Waiting]:
        heard.extend(events)
        return []

    hearer = Hearer(Service.ROUTING, frozenset({DossierReceived}), note)
    monkeypatch.setattr(rows, "open_heard", opened)
    async with _session(made) as first, _session(made) as second, _session(made) as onlooker:
        held = first.transaction()
        await held.start()
        await hearing.hear_batch(first, hearer, [record])
        async with second.transaction():
            hearing_it_too = asyncio.create_task(hearing.hear_batch(second, hearer, [record]))
            pid = second.get_server_pid()
            await until(lambda: _waits_for_a_lock(onlooker, pid), "the second one waits for the first one's row")
            await held.commit()
            await hearing_it_too

    assert len(heard) == counted


# --- no version check ------------------------------------------------------------------------------------------------


def _everything_is_new(
    candidates: Iterable[Candidate],
    last: Mapping[Stream, LastHeard],
    _hears: object,
    _sources: object,
) -> Fates:
    """The mutant: whatever comes is heard."""
    fates = Fates(last=dict(last))
    fates.hear = [one for one in candidates if isinstance(one.decoded, Heard)]
    return fates


@pytest.mark.parametrize(("sort", "counted"), [(sort_out, 1), (_everything_is_new, 2)])
async def test_without_the_version_check_a_repeat_counts_twice(
    intake: Intake, monkeypatch: pytest.MonkeyPatch, sort: object, counted: int
) -> None:
    dossier = (await intake.receives())["id"]
    told = Story(dossier).say(NoticeSent(notice="n", template="received", channel="email", attempts=1))
    monkeypatch.setattr(hearing, "sort_out", sort)

    await intake.hears(told)
    await intake.hears(told)

    assert (await intake.dossier(dossier)).notices_sent == counted


# --- what the tests above share ------------------------------------------------------------------------------------


@asynccontextmanager
async def _session(made: Databases) -> AsyncIterator[Connection]:
    """A connection to routing's store, as its owner."""
    connection = await connect(made.owner["routing"], name="mutants")
    try:
        yield connection
    finally:
        await connection.close()


async def _forget_the_seed(connection: Connection) -> None:
    """What units and calendars said is not what these tests look at."""
    await connection.execute("DELETE FROM outbox")


async def _say(connection: Connection, subject: str, version: int) -> None:
    await connection.execute(
        'INSERT INTO journal (aggregateid, version, id, aggregatetype, type, "timestamp", payload) '
        "VALUES ($1, $2, gen_random_uuid(), 'routing.dossier', 'StageStarted', now(), '{}')",
        subject,
        version,
    )
    await connection.execute("INSERT INTO outbox (shard, aggregateid, version) VALUES (0, $1, $2)", subject, version)


async def _waits_for_a_lock(connection: Connection, pid: int) -> bool:
    event = await connection.fetchval("SELECT wait_event_type FROM pg_stat_activity WHERE pid = $1", pid)
    return bool(event == "Lock")
