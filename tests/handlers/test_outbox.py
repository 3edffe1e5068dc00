"""The outbox on real PostgreSQL: what waits to be sent, what is pointed at again. Sending: tests/flow/test_relay.py."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import pytest

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import journal, outbox
from shared.events import SupplementReceived
from shared.journal import shard_of
from shared.store import Database
from shared.topics import CONTACT, Service
from tests.listening import emptied, listening, speak


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_outbox") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases) -> AsyncIterator[Database]:
    async with emptied(made, "intake") as ours:
        yield ours


async def said(database: Database, count: int, versions: int = 2) -> list[str]:
    """Subjects of which something was said, and all of it sent."""
    subjects = sorted(str(uuid.uuid4()) for _ in range(count))
    await speak(
        database, Service.INTAKE, [(subject, SupplementReceived()) for subject in subjects for _ in range(versions)]
    )
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
    return subjects


async def pointers(database: Database) -> list[tuple[str | None, str, int]]:
    async with database.pool.acquire() as connection:
        rows = await connection.fetch("SELECT topic, aggregateid, version, shard FROM outbox ORDER BY id")
    assert all(row["shard"] == shard_of(row["aggregateid"]) for row in rows)
    return [(row["topic"], row["aggregateid"], row["version"]) for row in rows]


async def test_depth_counts_what_waits_and_for_how_long(database: Database) -> None:
    async with database.pool.acquire() as connection:
        empty = await outbox.depth(connection)
    await speak(database, Service.INTAKE, [("a", SupplementReceived()), ("b", SupplementReceived())])
    async with database.pool.acquire() as connection:
        full = await outbox.depth(connection)

    assert (empty.unsent, empty.oldest_seconds) == (0, 0)
    assert full.unsent == 2
    assert full.oldest_seconds > 0


async def test_who_commits_wakes_the_relay(database: Database) -> None:
    database.committed.clear()

    await speak(database, Service.INTAKE, [("a", SupplementReceived())])

    assert database.committed.is_set()


async def test_a_subject_is_pointed_at_again_from_version_one_in_order(database: Database) -> None:
    first, second, _ = await said(database, 3, versions=3)

    assert await outbox.republish(database, [second, first, second, "nobody"]) == 2

    assert await pointers(database) == [
        (None, subject, version) for subject in (first, second) for version in (1, 2, 3)
    ]


async def test_everybody_is_pointed_at_again_in_steps(database: Database) -> None:
    subjects = await said(database, 1201, versions=1)

    assert await outbox.republish(database, None) == 1201

    assert [subject for _, subject, _ in await pointers(database)] == subjects


async def test_a_hearer_s_private_topic_gets_the_events_and_no_contacts(database: Database) -> None:
    [subject] = await said(database, 1)
    async with database.transaction() as tx:
        await journal.put_snapshots(tx, CONTACT, [(subject, 1, "sealed")])
        await tx.execute("DELETE FROM outbox")

    await outbox.republish(database, None, topic="reporting.rebuild")
    private = await pointers(database)
    async with database.transaction() as tx:
        await tx.execute("DELETE FROM outbox")
    await outbox.republish(database, None)

    assert private == [("reporting.rebuild", subject, 1), ("reporting.rebuild", subject, 2)]
    assert await pointers(database) == [(CONTACT.name, subject, 1), (None, subject, 1), (None, subject, 2)]


async def test_a_subject_that_speaks_while_it_is_pointed_at_again_keeps_its_order(database: Database) -> None:
    """What is said during a republishing is behind it, or in it and behind it: never before it."""
    [subject] = await said(database, 1)

    for _ in range(3):
        await speak(database, Service.INTAKE, [(subject, SupplementReceived())])
        await outbox.republish(database, [subject])

    sent: list[int] = []
    for _, _, version in await pointers(database):
        assert version <= max(sent, default=2) + 1
        sent.append(version)
