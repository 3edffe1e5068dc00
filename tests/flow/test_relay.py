"""The relay over real Kafka: order and at-least-once, whatever dies."""

from __future__ import annotations

import asyncio
import os
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from deploy.launcher import topics
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import journal, outbox
from shared.events import SupplementReceived
from shared.outbox import Relay
from shared.store import Database
from shared.topics import CONTACT, INTAKE, PARTITIONS, Service, Topic
from tests.flow.rough import a_process, delete, everything, figure, is_in_order, make_anew, rough_servers, streams
from tests.layouts import ROUGH
from tests.listening import emptied, listening, speak
from tests.processes import until

_HOLDERS = """
SELECT count(*) AS shards, count(DISTINCT pid) AS holders, min(pid) AS pid FROM pg_locks
 WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_KILL = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'intake relay'"


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with rough_servers() as ours:
        yield ours


@pytest.fixture(scope="module")
async def made(servers: Servers) -> AsyncIterator[Databases]:
    async with listening(ROUGH, "_relay") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases, servers: Servers) -> AsyncIterator[Database]:
    await make_anew(servers.kafka)
    async with emptied(made, "intake") as ours:
        yield ours


@asynccontextmanager
async def carried(made: Databases, servers: Servers, database: Database) -> AsyncIterator[Relay]:
    """A relay at work in this process; nothing of it is left afterwards."""
    before = asyncio.all_tasks()
    relay = Relay(Service.INTAKE, made.login["intake"], servers.kafka, database.committed)
    task = asyncio.create_task(relay.run())
    try:
        yield relay
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    left = asyncio.all_tasks() - before
    await until(lambda: all(task.done() for task in left), f"no task of the relay is left of {left}")


async def unsent(database: Database) -> int:
    async with database.pool.acquire() as connection:
        return (await outbox.depth(connection)).unsent


async def all_sent(database: Database) -> None:
    async def nothing_waits() -> bool:
        return await unsent(database) == 0

    await until(nothing_waits, "everything is sent", seconds=90)


async def vacuumed(made: Databases) -> None:
    """As autovacuum leaves a store in which nothing waits and nothing was said: the planner takes it for empty."""
    async with a_look(made) as owner:
        await owner.execute("VACUUM ANALYZE outbox, journal, snapshot")


async def looked(made: Databases, times: int) -> None:
    """The relay has looked for something to send so many times."""
    async with a_look(made) as owner:

        async def looks() -> int:
            scans: int = await owner.fetchval(
                "SELECT seq_scan + coalesce(idx_scan, 0) FROM pg_stat_user_tables WHERE relname = 'outbox'"
            )
            return scans

        before = await looks()

        async def has_looked() -> bool:
            return await looks() >= before + times

        await until(has_looked, f"the relay has looked {times} times", seconds=60)


async def gone(made: Databases) -> None:
    """The relay's session is over, so that all that it did is counted."""
    async with a_look(made) as owner:

        async def is_gone() -> bool:
            there: bool = await owner.fetchval(
                "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = 'intake relay')"
            )
            return not there

        await until(is_gone, "the relay's session is over", seconds=30)


async def entries_gone_through(made: Databases) -> int:
    """Rows of the journal that were read, by an index or not."""
    async with a_look(made) as owner:
        rows: int = await owner.fetchval(
            "SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_user_tables WHERE relname = 'journal'"
        )
        return rows


@asynccontextmanager
async def a_look(made: Databases) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await asyncpg.connect(made.owner["intake"])
    try:
        yield connection
    finally:
        await connection.close()


def some_subjects(count: int) -> list[str]:
    return [str(uuid.uuid4()) for _ in range(count)]


async def talk(database: Database, subjects: list[str], versions: int, *, writers: int = 6) -> None:
    """Several writers speak of the same subjects, a transaction for each word."""

    async def write(number: int) -> None:
        for _ in range(versions // writers):
            for start in range(0, len(subjects), 10):
                turned = subjects[(start + number) % len(subjects) :][:10]
                await speak(database, Service.INTAKE, [(subject, SupplementReceived()) for subject in turned])

    await asyncio.gather(*(write(number) for number in range(writers)))


async def spoken(database: Database) -> dict[str, int]:
    async with database.pool.acquire() as connection:
        return {
            row["subject"]: row["version"]
            for row in await connection.fetch("SELECT subject, version FROM stream WHERE version > 0")
        }


async def nothing_lost_or_misordered(database: Database, servers: Servers) -> int:
    """Every word came, in the order of its subject; returns how many came more than once."""
    found, wanted = await streams(servers.kafka, INTAKE.name), await spoken(database)
    assert found.keys() == wanted.keys()
    assert all(is_in_order(found[subject], last) for subject, last in wanted.items())
    return sum(len(versions) - len(set(versions)) for versions in found.values())


async def test_what_was_committed_arrives_once_in_order_and_can_be_read(
    made: Databases, servers: Servers, database: Database
) -> None:
    async with carried(made, servers, database) as relay:
        await talk(database, some_subjects(60), 12)
        await all_sent(database)

    assert await nothing_lost_or_misordered(database, servers) == 0
    assert relay.sent == sum((await spoken(database)).values())
    for one in await everything(servers.kafka, INTAKE.name):
        assert one.partition == journal.shard_of((one.key or b"").decode())


async def test_it_finds_by_index_what_its_pointers_point_at_however_empty_the_store_was_when_it_began(
    made: Databases, servers: Servers, database: Database
) -> None:
    count = 6000
    await vacuumed(made)
    before = await entries_gone_through(made)
    async with carried(made, servers, database):
        await looked(made, 10)  # PostgreSQL keeps a statement's plan after the fifth time
        subjects = some_subjects(count)
        await speak(database, Service.INTAKE, [(subject, SupplementReceived()) for subject in subjects])
        await all_sent(database)
    await gone(made)

    assert await entries_gone_through(made) - before <= 4 * count


async def test_killing_its_connection_again_and_again_loses_nothing(
    made: Databases, servers: Servers, database: Database
) -> None:
    subjects = some_subjects(60)
    async with carried(made, servers, database) as relay:
        for _ in range(5):
            await until(lambda: len(relay.held) == PARTITIONS, "the relay holds every shard")
            talking = asyncio.create_task(talk(database, subjects, 12))
            async with database.pool.acquire() as connection:
                assert len(await connection.fetch(_KILL)) == 1
            await until(lambda: not relay.held, "the relay has noticed")
            await talking
        await all_sent(database)

    repeats = await nothing_lost_or_misordered(database, servers)
    figure(f"five connections were killed, {repeats} records came again")


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    made: Databases, servers: Servers, database: Database
) -> None:
    loop = asyncio.get_running_loop()
    async with carried(made, servers, database):
        subjects = some_subjects(40)
        talking = asyncio.create_task(talk(database, subjects, 30))
        await servers.kill("kafka")
        await talking
        await servers.start("kafka")
        back = loop.time()
        await all_sent(database)
        figure(f"all sent {loop.time() - back:.1f} s after the broker was ready again")
        await servers.restart("kafka")
        await talk(database, subjects, 6)
        await all_sent(database)

    await nothing_lost_or_misordered(database, servers)


async def test_a_holder_that_stands_still_is_replaced_and_what_it_sends_later_harms_nobody(
    made: Databases, servers: Servers, database: Database
) -> None:
    async def holders() -> tuple[int, int]:
        async with database.pool.acquire() as connection:
            row = await connection.fetchrow(_HOLDERS)
        assert row is not None
        return row["shards"], row["holders"]

    async def held_by_one() -> bool:
        return await holders() == (PARTITIONS, 1)

    loop = asyncio.get_running_loop()
    subjects = some_subjects(40)
    async with a_process("relay", "intake", made.login["intake"], servers.kafka) as first:
        await until(held_by_one, "the first relay holds every shard")
        async with carried(made, servers, database) as second:
            talking = asyncio.create_task(talk(database, subjects, 60))
            await until(lambda: _is_flowing(database), "the first relay is sending")
            assert second.held == set()
            os.kill(first.pid, signal.SIGSTOP)
            stood = loop.time()
            await until(lambda: len(second.held) == PARTITIONS, "the second holds every shard", seconds=60)
            figure(f"a holder that was SIGSTOPped was replaced after {loop.time() - stood:.1f} s")
            await talking
            await all_sent(database)
            os.kill(first.pid, signal.SIGCONT)
            await talk(database, subjects, 6)
            await all_sent(database)
            assert len(second.held) == PARTITIONS

    await nothing_lost_or_misordered(database, servers)


async def _is_flowing(database: Database) -> bool:
    """Something was said, and something of it was deleted from the outbox because it was sent."""
    async with database.pool.acquire() as connection:
        said = await connection.fetchval("SELECT count(*) FROM journal")
    return bool(said > 50 and await unsent(database) < said)


async def test_two_relays_share_nothing_and_the_second_takes_over_at_once(
    made: Databases, servers: Servers, database: Database
) -> None:
    subjects = some_subjects(30)
    async with carried(made, servers, database) as second:
        await until(lambda: len(second.held) == PARTITIONS, "the only relay holds every shard")
        async with a_process("relay", "intake", made.login["intake"], servers.kafka) as first:
            await talk(database, subjects, 12)
            assert len(second.held) == PARTITIONS
            first.terminate()
            await first.wait()
        await all_sent(database)

    assert await nothing_lost_or_misordered(database, servers) == 0


async def test_large_payloads_are_carried_in_bites(made: Databases, servers: Servers, database: Database) -> None:
    """Sixty megabytes are more than a round may read, and more than the broker takes in a second."""
    large = SupplementReceived(components=("x" * 990_000,))
    for subject in some_subjects(20):
        await speak(database, Service.INTAKE, [(subject, large)] * 3)

    async with carried(made, servers, database):
        await all_sent(database)

    assert await nothing_lost_or_misordered(database, servers) == 0


async def test_a_compacted_topic_gets_the_latest_state_and_a_tombstone(
    made: Databases, servers: Servers, database: Database
) -> None:
    kept, erased = some_subjects(2)
    async with database.transaction() as tx:
        await journal.put_snapshots(tx, CONTACT, [(kept, 1, "first"), (erased, 1, "first")])
    async with database.transaction() as tx:
        await journal.put_snapshots(tx, CONTACT, [(kept, 2, "second"), (erased, 2, None)])

    async with carried(made, servers, database):
        await all_sent(database)

    latest = {one.key: one for one in await everything(servers.kafka, CONTACT.name)}
    assert {key: (one.value, dict(one.headers)["ce_streamversion"]) for key, one in latest.items()} == {
        kept.encode(): (b"second", b"2"),
        erased.encode(): (None, b"2"),
    }


async def test_a_private_topic_gets_everything_again_and_a_missing_one_keeps_nobody_waiting(
    made: Databases, servers: Servers, database: Database
) -> None:
    private = Topic("reporting.rebuild")
    await make_anew(servers.kafka, [private])
    subjects = some_subjects(20)

    async with carried(made, servers, database):
        await talk(database, subjects, 6)
        await outbox.republish(database, None, topic=private.name)
        await outbox.republish(database, None, topic="nobody.made.this")
        await speak(database, Service.INTAKE, [(subjects[0], SupplementReceived())])
        await all_sent(database)

    last = await spoken(database)
    again = await streams_of_copies(servers, private)
    assert again == {subject: list(range(1, last[subject] + (subject != subjects[0]))) for subject in subjects}
    assert await nothing_lost_or_misordered(database, servers) == 0


async def test_a_topic_of_the_house_that_is_missing_keeps_nobody_else_waiting(
    made: Databases, servers: Servers, database: Database
) -> None:
    subjects = some_subjects(20)
    await delete(servers.kafka, [CONTACT])

    async def all_else_is_sent() -> bool:
        async with database.pool.acquire() as connection:
            waiting = await connection.fetch("SELECT topic, aggregateid FROM outbox")
        return [(one["topic"], one["aggregateid"]) for one in waiting] == [(CONTACT.name, subjects[0])]

    async with carried(made, servers, database):
        async with database.transaction() as tx:
            await journal.put_snapshots(tx, CONTACT, [(subjects[0], 1, "sealed")])
        await talk(database, subjects, 6)
        await until(all_else_is_sent, "all but the contact is sent", seconds=90)
        await topics.create(servers.kafka, [CONTACT])
        await all_sent(database)

    (contact,) = await everything(servers.kafka, CONTACT.name)
    assert contact.value == b"sealed"
    await nothing_lost_or_misordered(database, servers)


async def streams_of_copies(servers: Servers, topic: Topic) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for one in await everything(servers.kafka, topic.name):
        found.setdefault((one.key or b"").decode(), []).append(int(dict(one.headers)["ce_streamversion"]))
    return found


async def test_a_topic_that_is_made_anew_gets_what_was_said_meanwhile(
    made: Databases, servers: Servers, database: Database
) -> None:
    subjects = some_subjects(20)
    async with carried(made, servers, database):
        await talk(database, subjects, 6)
        await all_sent(database)
        talking = asyncio.create_task(talk(database, subjects, 12))
        await make_anew(servers.kafka, [INTAKE])
        await talking
        await outbox.republish(database, None)
        await all_sent(database)

    found = await streams(servers.kafka, INTAKE.name)
    for subject, last in (await spoken(database)).items():
        assert set(found[subject]) == set(range(1, last + 1))


async def test_what_is_pointed_at_again_is_sent_again(made: Databases, servers: Servers, database: Database) -> None:
    subjects = some_subjects(5)
    async with carried(made, servers, database):
        await talk(database, subjects, 6)
        await outbox.republish(database, subjects[:1])
        await all_sent(database)

    assert await nothing_lost_or_misordered(database, servers) == (await spoken(database))[subjects[0]]
