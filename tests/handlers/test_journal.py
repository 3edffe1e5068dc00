"""The journal on real PostgreSQL: versions under lock, what is kept, and the answers of commands."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import journal
from shared.envelope import Cause
from shared.events import StageStarted, SupplementReceived
from shared.journal import Answer, CommandKey, Saying, Stream, VersionsLostError, shard_of
from shared.store import Database, Transaction
from shared.topics import CONTACT, PARTITIONS, Service
from tests.listening import emptied, listening
from tests.telling import MORNING

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_journal") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases) -> AsyncIterator[Database]:
    async with emptied(made, "intake") as ours:
        yield ours


def a_subject() -> str:
    return str(uuid.uuid4())


async def announce(tx: Transaction, *sayings: Saying) -> dict[str, Stream]:
    locked = await journal.lock(tx, {saying.subject for saying in sayings})
    await journal.announce(tx, Service.INTAKE, locked, sayings)
    return locked


async def test_versions_count_from_one_and_go_on_in_the_next_transaction(database: Database) -> None:
    subject = a_subject()
    saying = Saying(subject, SupplementReceived(), MORNING)

    async with database.transaction() as tx:
        await announce(tx, saying, saying)
    async with database.transaction() as tx:
        locked = await announce(tx, saying)
        said = await journal.said_since(tx, subject, 1)

    assert locked[subject] == Stream(3, MORNING)
    assert [one["version"] for one in said] == [2, 3]


async def test_what_is_rolled_back_was_never_said(database: Database) -> None:
    subject = a_subject()

    async def fail() -> None:
        async with database.transaction() as tx:
            await announce(tx, Saying(subject, SupplementReceived(), MORNING))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    async with database.transaction() as tx:
        assert await journal.lock_known(tx, [subject]) == {}
        assert await tx.fetchval("SELECT count(*) FROM outbox") == 0


async def test_who_speaks_without_the_lock_is_stopped(database: Database) -> None:
    async with database.transaction() as tx:
        with pytest.raises(VersionsLostError):
            await journal.announce(tx, Service.INTAKE, {}, [Saying(a_subject(), SupplementReceived(), MORNING)])


async def test_speaking_twice_from_one_old_lock_is_stopped_by_the_journal(database: Database) -> None:
    subject = a_subject()
    saying = Saying(subject, SupplementReceived(), MORNING)

    async with database.transaction() as tx:
        locked = await journal.lock(tx, [subject])
        await journal.announce(tx, Service.INTAKE, dict(locked), [saying])
        with pytest.raises(asyncpg.UniqueViolationError):
            await journal.announce(tx, Service.INTAKE, dict(locked), [saying])


async def test_twelve_speakers_of_the_same_subjects_draw_every_version_once_and_never_deadlock(
    database: Database,
) -> None:
    subjects = [a_subject() for _ in range(5)]

    async def speak(turn: int) -> None:
        for _ in range(10):
            async with database.transaction() as tx:
                # each in an order of his own: the lock sorts them
                ordered = subjects[turn % 5 :] + subjects[: turn % 5]
                await announce(tx, *(Saying(subject, SupplementReceived(), MORNING) for subject in ordered))

    await asyncio.gather(*(speak(turn) for turn in range(12)))

    async with database.transaction() as tx:
        rows = await tx.fetch(
            "SELECT aggregateid, array_agg(version ORDER BY version) AS versions FROM journal GROUP BY 1"
        )
        backwards = await tx.fetchval(
            "SELECT count(*) FROM outbox a JOIN outbox b USING (aggregateid)"
            " WHERE a.id < b.id AND a.version > b.version"
        )
    assert {row["aggregateid"]: row["versions"] for row in rows} == {
        subject: list(range(1, 121)) for subject in subjects
    }
    assert backwards == 0


async def test_time_does_not_run_back_in_a_stream_not_even_within_one_transaction(database: Database) -> None:
    subject = a_subject()

    async with database.transaction() as tx:
        await announce(
            tx,
            Saying(subject, SupplementReceived(), MORNING),
            Saying(subject, SupplementReceived(), MORNING - HOUR),
            Saying(subject, SupplementReceived(), MORNING + HOUR),
        )
    async with database.transaction() as tx:
        await announce(tx, Saying(subject, SupplementReceived(), MORNING))
        times = [row["timestamp"] for row in await tx.fetch('SELECT "timestamp" FROM journal ORDER BY version')]

    assert times == [MORNING, MORNING, MORNING + HOUR, MORNING + HOUR]


async def test_cause_origin_actor_and_trace_are_kept(database: Database) -> None:
    saying = Saying(
        a_subject(),
        StageStarted(stage="desk", run=1, unit="H41"),
        MORNING,
        Cause(Service.ROUTING, 4),
        "history",
        "officer-7",
        "00-1",
    )

    async with database.transaction() as tx:
        await announce(tx, saying)
        row = await tx.fetchrow("SELECT * FROM journal")

    assert row is not None
    assert (row["cause_source"], row["cause_version"], row["origin"]) == ("routing", 4, "history")
    assert (row["actor"], row["tracingspancontext"], row["type"]) == ("officer-7", "00-1", "StageStarted")
    assert row["aggregatetype"] == "intake.dossier"


async def test_a_body_that_no_hearer_would_take_is_not_committed(database: Database) -> None:
    huge = SupplementReceived(components=("x" * 1_000_000,))

    with pytest.raises(asyncpg.CheckViolationError):
        async with database.transaction() as tx:
            await announce(tx, Saying(a_subject(), huge, MORNING))


@pytest.mark.parametrize("saying", [{"actor": "a" * 201}, {"origin": "o" * 201}, {"subject": "s" * 201}])
async def test_headers_that_no_hearer_would_take_are_not_committed(database: Database, saying: dict[str, str]) -> None:
    with pytest.raises(asyncpg.CheckViolationError):
        async with database.transaction() as tx:
            await announce(
                tx,
                Saying(
                    saying.get("subject", a_subject()),
                    SupplementReceived(),
                    MORNING,
                    origin=saying.get("origin"),
                    actor=saying.get("actor"),
                ),
            )


async def test_an_unknown_subject_gets_no_row_from_looking(database: Database) -> None:
    async with database.transaction() as tx:
        assert await journal.lock_known(tx, [a_subject()]) == {}
        assert await journal.lock(tx, []) == {}
        assert await tx.fetchval("SELECT count(*) FROM stream") == 0


async def test_a_snapshot_is_replaced_and_pointed_at_again(database: Database) -> None:
    subject = a_subject()

    async with database.transaction() as tx:
        await journal.put_snapshots(tx, CONTACT, [(subject, 1, "sealed")])
        await journal.put_snapshots(tx, CONTACT, [(subject, 2, None)])
        await journal.put_snapshots(tx, CONTACT, [])
        kept = await tx.fetch("SELECT version, payload FROM snapshot")
        pointers = await tx.fetch("SELECT topic, version FROM outbox ORDER BY id")

    assert [tuple(row) for row in kept] == [(2, None)]
    assert [tuple(row) for row in pointers] == [(CONTACT.name, 1), (CONTACT.name, 2)]


async def test_an_answer_is_given_once_and_found_again(database: Database) -> None:
    key, other = CommandKey(a_subject(), "command-1"), CommandKey(a_subject(), "command-1")
    answer = Answer(b"digest", {"version": 1, "tên": "Đăng ký"})

    async with database.transaction() as tx:
        first = await journal.add_answers(tx, {key: answer})
        second = await journal.add_answers(tx, {key: Answer(b"other", {}), other: answer})
        found = await journal.answers(tx, [key, CommandKey("nobody", "nothing")])

    assert (first, second) == ({key}, {other})
    assert found == {key: answer}


async def test_the_first_is_said_together_with_its_state_and_the_answer_of_its_command(database: Database) -> None:
    told, silent, before = a_subject(), a_subject(), CommandKey("sender:desk-1", "before")
    given = {CommandKey("sender:desk-1", ident): Answer(b"digest", {"id": ident}) for ident in (told, silent)}
    sayings = [Saying(one, SupplementReceived(), MORNING, traceparent=f"of {one}") for one in (told, silent)]

    async with database.transaction() as tx:
        await journal.add_answers(tx, {before: Answer(b"digest", {})})
        new = await journal.begin(
            tx, Service.INTAKE, sayings, CONTACT, [(told, 7, "sealed")], {**given, before: Answer(b"other", {})}
        )
        streams = await journal.lock_known(tx, [told, silent])
        said = await tx.fetch("SELECT aggregateid, version, tracingspancontext FROM journal ORDER BY aggregateid")
        states = await tx.fetch("SELECT topic, aggregateid, version, payload, tracingspancontext FROM snapshot")
        pointers = await tx.fetch("SELECT shard, topic, aggregateid, version FROM outbox")
        found = await journal.answers(tx, list(given))

    assert new == given.keys()
    assert found == given
    assert streams == {one: Stream(1, MORNING) for one in (told, silent)}
    assert [tuple(row) for row in said] == [(one, 1, f"of {one}") for one in sorted((told, silent))]
    assert [tuple(row) for row in states] == [(CONTACT.name, told, 7, "sealed", f"of {told}")]
    assert {tuple(row) for row in pointers} == {
        (shard_of(told), None, told, 1),
        (shard_of(silent), None, silent, 1),
        (shard_of(told), CONTACT.name, told, 7),
    }


def test_a_subject_has_one_shard_for_ever() -> None:
    assert [shard_of(f"dossier-{number}") for number in range(6)] == [4, 10, 0, 6, 5, 7]
    assert {shard_of(a_subject()) for _ in range(500)} == set(range(PARTITIONS))
