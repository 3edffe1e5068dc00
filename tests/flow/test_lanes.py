"""The ear over real Kafka: every row of the table of fates, and what must not be lost, doubled, misordered or stuck."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psutil
import pytest
from msgspec.structs import replace

from deploy.launcher import topics
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import outbox
from shared.bus import Bus, gathering, lanes
from shared.bus.ear import Ear as Consumer
from shared.bus.parked import DeadLetter, Done, Parked, dead_letters, parked_records, redrive, void
from shared.envelope import Heard, Record, stored_headers
from shared.events import SupplementReceived
from shared.journal import shard_of
from shared.outbox import Relay
from shared.store import Database, Transaction
from shared.topics import CONTACT, INTAKE, PARTITIONS, Service
from tests.flow.rough import (
    a_process,
    delete,
    figure,
    is_committed,
    make_anew,
    publish,
    publish_packed,
    publish_spoiled,
    rough_servers,
)
from tests.layouts import ROUGH
from tests.listening import Listener, emptied, listening, speak, told
from tests.processes import free_port, until
from tests.telling import Story, record_of

_DEADLOCKS = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with rough_servers() as ours:
        yield ours


@pytest.fixture(scope="module")
async def made(servers: Servers) -> AsyncIterator[Databases]:
    async with listening(ROUGH, "_lanes") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases, servers: Servers) -> AsyncIterator[Database]:
    await make_anew(servers.kafka)
    async with emptied(made, "reporting") as ours:
        yield ours


@dataclass(slots=True)
class Ear:
    """A bus at work in this process, and what an operator sees of it."""

    bus: Bus
    database: Database
    kafka: str

    async def told(self, story: Story) -> list[tuple[str, int]]:
        async with self.database.pool.acquire() as connection:
            return await told(connection, story.subject)

    async def hears(self, story: Story, *versions: int, seconds: float = 30) -> None:
        """Wait until intake's words of a story were told, each once and in this order."""
        wanted = [("intake", version) for version in versions]

        async def were_told() -> bool:
            return await self.told(story) == wanted

        await until(were_told, f"versions {versions} are heard", seconds=seconds)

    async def hears_somebody_else(self, *, seconds: float = 30) -> None:
        """The next event of another dossier, in the same partition too, is heard."""
        story = Story()
        await publish(self.kafka, [record_of(story.received())])
        await self.hears(story, 1, seconds=seconds)

    async def dead(self) -> list[DeadLetter]:
        async with self.database.pool.acquire() as connection:
            return await dead_letters(connection, only_open=True)

    async def waiting(self) -> list[Parked]:
        async with self.database.pool.acquire() as connection:
            return await parked_records(connection)

    async def one_dead_letter(self) -> DeadLetter:
        async def there_is_one() -> bool:
            return len(await self.dead()) == 1

        await until(there_is_one, "there is a dead letter")
        return (await self.dead())[0]

    async def one_waits(self) -> Parked:
        async def there_is_one() -> bool:
            return len(await self.waiting()) == 1

        await until(there_is_one, "something waits")
        return (await self.waiting())[0]

    async def is_through(self, *, seconds: float = 60) -> None:
        """Wait until nothing is unheard and nothing waits."""

        async def nothing_left() -> bool:
            return not any(self.bus.lag().values()) and not await self.waiting()

        await until(nothing_left, "everything is heard", seconds=seconds)


@asynccontextmanager
async def listening_to(
    servers: Servers,
    database: Database,
    listener: Listener | None = None,
    *,
    slot: int = 0,
    addresses: str | None = None,
) -> AsyncIterator[Ear]:
    """A bus of two lanes; nothing of it is left afterwards. ``addresses``: where it looks for the broker."""
    before = asyncio.all_tasks()
    bus = Bus((listener or Listener()).hearer(), database, addresses or servers.kafka, slot=slot)
    await bus.start()
    try:
        yield Ear(bus, database, servers.kafka)
    finally:
        await bus.stop()
    left = asyncio.all_tasks() - before
    await until(lambda: all(task.done() for task in left), f"no task of the bus is left of {left}")


def a_story(count: int = 3) -> Story:
    story = Story()
    story.received()
    for _ in range(count - 1):
        story.say(SupplementReceived())
    return story


def stories_everywhere(each: int) -> list[Story]:
    """Stories of so many dossiers in every partition: one that nothing new comes to would have nothing to commit."""
    of: dict[int, list[Story]] = {number: [] for number in range(PARTITIONS)}
    while any(len(there) < each for there in of.values()):
        story = a_story()
        there = of[shard_of(story.subject)]
        if len(there) < each:
            there.append(story)
    return [story for there in of.values() for story in there]


def copies(stories: Iterable[Story]) -> list[Record]:
    """The records of stories, their dossiers taking turns."""
    said = [story.said for story in stories]
    return [
        record_of(one)
        for place in range(max(map(len, said)))
        for one in (each[place] for each in said if place < len(each))
    ]


async def test_of_several_addresses_of_the_broker_one_is_enough(servers: Servers, database: Database) -> None:
    story = a_story()
    nobody = f"127.0.0.1:{free_port()}"

    async with listening_to(servers, database, addresses=f"{nobody},{servers.kafka}") as ear:
        await publish(servers.kafka, copies([story]))
        await ear.hears(story, 1, 2, 3)


# --- the table of fates, row by row ----------------------------------------------------------------------------------


async def test_what_is_repeated_and_reordered_is_heard_once_in_order(servers: Servers, database: Database) -> None:
    stories = [a_story(5) for _ in range(20)]
    records = copies(stories)

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [*reversed(records), *records, *records[::3]])
        for story in stories:
            await ear.hears(story, 1, 2, 3, 4, 5)
        await ear.is_through()


async def test_a_gap_waits_for_its_version_and_nobody_else_does(servers: Servers, database: Database) -> None:
    story = a_story()
    first, second, third = map(record_of, story.said)

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [first, third])
        seen = await ear.one_waits()
        await ear.hears_somebody_else()
        await publish(servers.kafka, [second])
        await ear.hears(story, 1, 2, 3)

    assert (seen.version, seen.reason, seen.waits_for) == (3, "gap: version 2 is missing", None)


async def test_an_effect_waits_for_its_cause_on_another_topic(servers: Servers, database: Database) -> None:
    story = Story()
    cause = story.received()
    effect = story.starts(because=cause)

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [record_of(effect)])
        seen = await ear.one_waits()
        await ear.hears_somebody_else()
        await publish(servers.kafka, [record_of(cause)])

        async def both() -> bool:
            return await ear.told(story) == [("intake", 1), ("routing", 1)]

        await until(both, "cause, then effect")

    assert seen.waits_for == "cause:intake"


async def test_a_word_of_a_newer_release_waits_for_that_release(servers: Servers, database: Database) -> None:
    story = a_story()
    records = [*map(record_of, story.said)]
    newer = replace(
        records[1],
        headers=tuple((n, b"lienthong.DossierTransferred" if n == "ce_type" else v) for n, v in records[1].headers),
    )

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [records[0], newer])
        seen = await ear.one_waits()
        await ear.hears_somebody_else()
    async with database.transaction() as tx:  # the new release reads what lay there
        await tx.execute("UPDATE parked SET headers = $1", stored_headers(records[1].headers))
    async with listening_to(servers, database) as ear:
        await ear.hears(story, 1, 2)
        await ear.is_through()

    assert (seen.reason, seen.waits_for) == ("unknown type DossierTransferred", "release")


async def test_a_body_against_the_schema_is_held_until_an_operator_voids_it(
    servers: Servers, database: Database
) -> None:
    story = a_story()
    first, second, third = map(record_of, story.said)
    bad = replace(second, body=b'{"components": "all"}')

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [first, bad, third])
        letter = await ear.one_dead_letter()
        seen = await ear.one_waits()
        await ear.hears_somebody_else()
        done = await void(database, ear.bus.hearer, letter.id, "operator-1", "case 77")
        await ear.hears(story, 1, 3)
        await ear.is_through()

    assert (letter.subject, letter.version, letter.reason) == (story.subject, 2, "components: tuple_type")
    assert (seen.version, seen.reason) == (3, "gap: version 2 is missing")
    assert isinstance(done, Done)


@pytest.mark.parametrize("kind", ["no headers", "empty", "oversized", "another's topic", "not UTF-8"])
async def test_what_cannot_be_read_is_a_dead_letter_of_no_stream(
    servers: Servers, database: Database, kind: str
) -> None:
    story = a_story(2)
    good = record_of(story.said[0])
    bad = {
        "no headers": replace(good, headers=()),
        "empty": replace(good, body=None),
        "oversized": replace(good, body=b" " * 10_000_000),
        "another's topic": replace(good, topic="routing.dossier"),
        "not UTF-8": replace(good, headers=(*good.headers, ("ce_actor", b"\xff\x00"))),
    }[kind]

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [bad, good])
        letter = await ear.one_dead_letter()
        await ear.hears_somebody_else()
        await publish(servers.kafka, [record_of(story.said[1])])
        await ear.hears(story, 1, 2)
        done = await void(database, ear.bus.hearer, letter.id, "operator-1", "rubbish")
        await ear.is_through()

    assert (letter.subject, letter.version) == (None, None)
    assert done == Done("dismissed: no version was held by it")


async def test_a_record_that_no_client_can_take_apart_is_passed_over_and_nobody_pays_for_it(
    servers: Servers, database: Database
) -> None:
    """aiokafka raises in the middle of a poll and forgets what it had drained from the other partitions."""
    stories, spoiled = [a_story(20) for _ in range(24)], Story()
    records = copies(stories)

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, records[:200])
        await publish_spoiled(servers.kafka, record_of(spoiled.received()))
        await publish(servers.kafka, records[200:])
        await _are_told(ear, stories)
        letter = await ear.one_dead_letter()
        await ear.hears_somebody_else()
        await ear.is_through()

    assert (letter.subject, letter.reason) == (None, "empty body")


async def test_a_batch_that_is_packed_in_a_way_that_is_not_known_here_takes_no_neighbours_with_it(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka raises in the middle of a poll here, too, with an error that looks like one of the broker's. After a
    restart nothing is committed of partitions of which nothing was heard."""
    stories, packed = [a_story(20) for _ in range(24)], Story()
    records = copies(stories)

    def forget() -> None:
        monkeypatch.setattr("aiokafka.codec.has_zstd", lambda: False)

    async with listening_to(servers, database) as ear:
        await ear.is_through()
    await publish(servers.kafka, records[:200])
    await publish_packed(servers.kafka, record_of(packed.received()), forget)
    await publish(servers.kafka, records[200:])
    async with listening_to(servers, database) as ear:
        await _are_told(ear, stories)
        letter = await ear.one_dead_letter()
        await ear.hears_somebody_else()
        await ear.is_through()

    assert (letter.subject, letter.reason) == (None, "empty body")


async def test_the_same_version_with_another_id_is_a_fork_and_goes_on(servers: Servers, database: Database) -> None:
    story = a_story(2)
    fork = replace(story.said[0], id="01900000-0000-7000-8000-000000000001")

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, [record_of(story.said[0])])
        await ear.hears(story, 1)
        await publish(servers.kafka, [record_of(fork), record_of(story.said[1])])
        letter = await ear.one_dead_letter()
        await ear.hears(story, 1, 2)
        await ear.hears_somebody_else()

    assert letter.reason == "fork: this version was heard with another id"


async def test_what_is_not_known_here_yet_waits_until_it_is(servers: Servers, database: Database) -> None:
    story, known = a_story(2), set[str]()
    listener = Listener(waits=lambda heard: None if known or heard.subject != story.subject else "unit:H41")

    async with listening_to(servers, database, listener) as ear:
        await publish(servers.kafka, [record_of(story.said[0])])
        seen = await ear.one_waits()
        await ear.hears_somebody_else()
        known.add("unit:H41")
        await ear.hears(story, 1)
        await publish(servers.kafka, [record_of(story.said[1])])
        await ear.hears(story, 1, 2)

    assert (seen.reason, seen.waits_for) == ("unit:H41 is not known here", "unit:H41")


def failing(subjects: set[str]) -> Callable[[Heard], Exception | None]:
    return lambda heard: ZeroDivisionError("0912345678") if heard.subject in subjects else None


async def test_an_unforeseen_error_is_set_aside_and_redriven_when_it_was_mended(
    servers: Servers, database: Database
) -> None:
    guilty, innocent = a_story(), a_story()
    broken = {guilty.subject}

    async with listening_to(servers, database, Listener(fails=failing(broken))) as ear:
        await publish(servers.kafka, copies([guilty, innocent]))
        await ear.hears(innocent, 1, 2, 3)
        letter = await ear.one_dead_letter()
        await ear.hears_somebody_else()
        broken.clear()
        done = await redrive(database, ear.bus.hearer, letter.id, "operator-1")
        await ear.hears(guilty, 1, 2, 3)
        await ear.is_through()

    assert letter.reason.startswith("error: ZeroDivisionError in ")
    assert done == Done("heard 3, repeats 0, parked 0")


async def test_the_same_error_on_several_subjects_stops_the_hearing_and_a_mended_release_goes_on(
    servers: Servers, database: Database
) -> None:
    stories = [a_story(2) for _ in range(30)]
    bad_release = Listener(fails=failing({story.subject for story in stories}))

    async with listening_to(servers, database, bad_release) as ear:
        await publish(servers.kafka, copies(stories))
        await until(lambda: ear.bus.stopped is not None, "the hearing stops")
        assert "ZeroDivisionError" in (ear.bus.stopped or "")
        assert sum(ear.bus.lag().values()) > 0
    aside = {letter.subject for letter in await ear.dead()}
    async with listening_to(servers, database) as ear:
        for story in stories:
            if story.subject not in aside:
                await ear.hears(story, 1, 2)
        for letter in await ear.dead():
            await redrive(database, ear.bus.hearer, letter.id, "operator-1")
        for story in stories:
            await ear.hears(story, 1, 2)
        await ear.is_through()

    # in each lane, four may come alone before the fifth shows that it is the release
    assert len(aside) <= 8


# --- what goes away and comes back -----------------------------------------------------------------------------------


async def test_while_the_database_is_away_order_is_kept_and_nothing_is_set_aside(
    servers: Servers, database: Database
) -> None:
    stories = [a_story(10) for _ in range(30)]
    records = copies(stories)
    loop = asyncio.get_running_loop()

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, records[:100])
        await servers.kill("postgres")
        await publish(servers.kafka, records[100:])
        await until(lambda: sum(ear.bus.lag().values()) > 0, "the lag is seen")
        await servers.start("postgres")
        back = loop.time()
        await _are_told(ear, stories)
        figure(f"all heard {loop.time() - back:.1f} s after the database was ready again")
        assert await ear.dead() == []
        await ear.is_through()


async def test_a_broker_that_is_killed_and_comes_back_loses_nothing(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.bus.ear._LATELY", 5.0)
    stories = [a_story(6) for _ in range(30)]
    records = copies(stories)
    loop = asyncio.get_running_loop()

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, records[:90])
        await ear.is_through()
        await servers.kill("kafka")
        await until(lambda: min(ear.bus.lag().values()) > 0, "nobody knows what is unheard", seconds=60)
        await servers.start("kafka")
        back = loop.time()
        await publish(servers.kafka, records[90:])
        await _are_told(ear, stories)
        figure(f"all heard {loop.time() - back:.1f} s after the broker was ready again")
        await ear.is_through()


async def test_a_batch_that_takes_longer_than_a_poll_may_is_wound_back_and_keeps_its_order(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(lanes, "_POLL_INTERVAL", 12.0)
    stories = [a_story(5) for _ in range(10)]
    away = [ConnectionRefusedError()]

    async with listening_to(servers, database, Listener(fails=lambda _: away[0] if away else None)) as ear:
        await publish(servers.kafka, copies(stories)[:20])
        await until(lambda: any(lane.busy for lane in ear.bus._lanes), "a batch is in flight")
        await publish(servers.kafka, copies(stories)[20:])
        await until(lambda: "batch_wound_back" in caplog.messages, "it is wound back")
        away.clear()
        await _are_told(ear, stories)
        assert await ear.dead() == []
        await ear.is_through()


async def test_a_bus_that_is_stopped_in_the_middle_of_a_batch_loses_and_doubles_nothing(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lanes, "_GRACE", 0.5)
    stories = [a_story(5) for _ in range(20)]
    away = [ConnectionRefusedError()]

    async with listening_to(servers, database, Listener(fails=lambda h: away[0] if h.version == 3 else None)) as ear:
        await publish(servers.kafka, copies(stories))
        await until(lambda: any(lane.busy for lane in ear.bus._lanes), "a batch is in flight")
    async with listening_to(servers, database) as ear:
        await _are_told(ear, stories)
        assert await ear.dead() == []
        await ear.is_through()


async def test_an_ear_that_went_deaf_is_opened_again(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """aiokafka's coordination can end by an unforeseen error; then polling fails for ever, and nobody would notice."""
    monkeypatch.setattr(lanes, "_DEAF_AFTER", 2.0)
    stories = [a_story(3) for _ in range(30)]

    async with listening_to(servers, database) as ear:
        for lane in ear.bus._lanes:
            assert lane.ear is not None
            lane.ear._consumer._coordinator._coordination_task.cancel()
        await until(lambda: ear.bus.is_deaf, "it is deaf")
        await publish(servers.kafka, copies(stories))
        await _are_told(ear, stories)
        await until(lambda: not ear.bus.is_deaf, "it hears again")
        await ear.is_through()


async def test_after_a_small_batch_a_lane_gathers_what_comes(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_BETWEEN_BATCHES", 5.0)
    stories = {shard_of(story.subject): story for story in stories_everywhere(1)}
    one_of_each_lane = [stories.pop(partition) for partition in (0, PARTITIONS - 1)]

    async with listening_to(servers, database) as ear:
        for story in (*one_of_each_lane, *stories.values()):
            await publish(servers.kafka, [record_of(story.said[0])])
        for story in (*one_of_each_lane, *stories.values()):
            await ear.hears(story, 1)

    # Four, unless the twelve were not published within five seconds.
    assert await _transactions(database) <= PARTITIONS // 2


async def test_neither_a_large_batch_nor_one_of_states_keeps_a_lane_from_the_next(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gathering, "_BETWEEN_BATCHES", 3600.0)
    monkeypatch.setattr(gathering, "_LARGE", 1)
    stories, kept = [a_story(3) for _ in range(2)], list[int]()
    state = Record(CONTACT.name, 0, 0, b"nobody", (), b"{}")

    async def keep(_: Transaction, records: Sequence[Record]) -> list[str]:
        kept.extend(record.offset for record in records)
        return []

    async with listening_to(servers, database, Listener(states={CONTACT: keep})) as ear:
        for story in stories:
            await publish(servers.kafka, copies([story]))
            await ear.hears(story, 1, 2, 3)
        monkeypatch.setattr(gathering, "_LARGE", 100)
        await publish(servers.kafka, [state])
        await until(lambda: len(kept) == 1, "a state is kept")
        await publish(servers.kafka, [state])
        await until(lambda: len(kept) == 2, "the next is kept")


async def _transactions(database: Database) -> int:
    """How many wrote what was told."""
    async with database.connection() as connection:
        count: int = await connection.fetchval("SELECT count(DISTINCT xmin::text) FROM told")
        return count


async def _are_told(ear: Ear, stories: Sequence[Story], *, seconds: float = 120) -> None:
    for story in stories:
        await ear.hears(story, *range(1, len(story.said) + 1), seconds=seconds)


@pytest.mark.parametrize("mutant", ["", "no-incarnations"], ids=["real", "mutant"])
async def test_a_topic_made_anew_and_filled_beyond_the_position_is_heard_from_its_beginning(
    servers: Servers, made: Databases, database: Database, mutant: str
) -> None:
    """The hearer stands still while it happens; afterwards its positions lie within the new topic, and what it did not
    hear yet lies below them. The mutant does not ask for a topic's id, and skips it."""
    old, new = stories_everywhere(5), stories_everywhere(5)
    login = made.login["reporting"]

    async with a_process("ear", "reporting", login, servers.kafka, mutant=mutant) as hearer:
        await publish(servers.kafka, copies(old))
        await until(lambda: is_committed(servers.kafka, "reporting", INTAKE), "all is heard", seconds=60)
        if not mutant:
            await until(lambda: _incarnations(database), "the incarnation is known", seconds=60)
        os.kill(hearer.pid, signal.SIGSTOP)
        await make_anew(servers.kafka, [INTAKE])
        await publish(servers.kafka, [*copies(new), *copies(old)])
        os.kill(hearer.pid, signal.SIGCONT)
        await until(lambda: is_committed(servers.kafka, "reporting", INTAKE), "all is heard again", seconds=60)

        async def all_new_are_told() -> bool:
            async with database.pool.acquire() as connection:
                return all([len(await told(connection, story.subject)) == 3 for story in new])

        if mutant:
            assert not await all_new_are_told()
        else:
            await until(all_new_are_told, "what lay below the old positions is heard")


async def _incarnations(database: Database) -> bool:
    async with database.pool.acquire() as connection:
        return bool(await connection.fetchval("SELECT count(*) >= 12 FROM incarnation WHERE topic = $1", INTAKE.name))


async def test_a_topic_deleted_made_anew_and_published_again_under_a_running_hearer_ends_complete(
    servers: Servers, made: Databases, database: Database
) -> None:
    async with emptied(made, "intake") as speaker, listening_to(servers, database) as ear:
        relay = Relay(Service.INTAKE, made.login["intake"], servers.kafka, speaker.committed)
        carrying = asyncio.create_task(relay.run())
        stories = [Story() for _ in range(40)]
        for _ in range(5):
            await speak(speaker, Service.INTAKE, [(story.subject, SupplementReceived()) for story in stories])
        await ear.hears(stories[0], 1, 2, 3, 4, 5)

        deleting = asyncio.create_task(make_anew(servers.kafka, [INTAKE]))
        for _ in range(5):
            await speak(speaker, Service.INTAKE, [(story.subject, SupplementReceived()) for story in stories])
        await deleting
        await outbox.republish(speaker, None)
        for story in stories:
            await ear.hears(story, *range(1, 11), seconds=90)
        await ear.is_through()

        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)


async def test_a_topic_that_is_made_anew_while_all_its_hearers_start_anew_is_heard(
    servers: Servers, database: Database
) -> None:
    """While it is gone the group takes a new turn; then static members come back to what was assigned in that turn.

    Only who leads a group looks for topics, and members that come back do not lead: these here were never there before.
    """
    slot = int(time.time())
    async with listening_to(servers, database, slot=slot) as ear:
        await ear.hears_somebody_else()
        before = _turns(ear)
        await delete(servers.kafka, [INTAKE])
        await until(
            lambda: all(now > old + 1 for old, now in zip(before, _turns(ear), strict=True)),
            "the group takes a turn without it",
            seconds=60,
        )
    await topics.create(servers.kafka, [INTAKE])

    async with listening_to(servers, database, slot=slot) as ear:
        await ear.hears_somebody_else(seconds=180)


def _turns(ear: Ear) -> list[int]:
    """How often partitions were taken from each lane and given to it."""
    return [lane.ear.turn.assignment for lane in ear.bus._lanes if lane.ear is not None]


# --- two processes, one group ----------------------------------------------------------------------------------------


async def test_two_processes_of_one_service_rebalanced_under_load_deadlock_nothing_and_double_nothing(
    servers: Servers, made: Databases, database: Database
) -> None:
    stories = [a_story(40) for _ in range(60)]
    records = copies(stories)
    step = len(records) // 4

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, records[:step])
        async with a_process("ear", "reporting", made.login["reporting"], servers.kafka, slot=1) as second:
            await until(lambda: 0 < _partitions(ear) < 24, "the second has taken its share", seconds=60)
            await publish(servers.kafka, records[step : 2 * step])
            second.terminate()
            await publish(servers.kafka, records[2 * step : 3 * step])
            await second.wait()
        async with a_process("ear", "reporting", made.login["reporting"], servers.kafka, slot=1) as again:
            await publish(servers.kafka, records[3 * step :])
            await until(lambda: 0 < _partitions(ear) < 24, "it has its share again", seconds=60)
            again.kill()  # its partitions come back when its session has run out
            await _are_told(ear, stories)
        await ear.is_through()
        async with database.pool.acquire() as connection:
            assert await connection.fetchval(_DEADLOCKS) == 0
            assert await connection.fetchval("SELECT count(*) FROM told") == len(records)
        assert await ear.dead() == []


async def test_a_process_that_stood_still_until_its_partitions_were_given_away_doubles_nothing_when_it_wakes(
    servers: Servers, made: Databases, database: Database
) -> None:
    stories = [a_story(40) for _ in range(60)]
    records = copies(stories)
    half = len(records) // 2

    async with listening_to(servers, database) as ear:
        async with a_process("ear", "reporting", made.login["reporting"], servers.kafka, slot=1) as zombie:
            await until(lambda: _partitions(ear) < 24, "the second has taken its share", seconds=60)
            await publish(servers.kafka, records[:half])
            os.kill(zombie.pid, signal.SIGSTOP)
            await publish(servers.kafka, records[half:])
            await until(lambda: _partitions(ear) == 24, "its partitions are given away", seconds=60)
            await _are_told(ear, stories)
            os.kill(zombie.pid, signal.SIGCONT)
            await until(lambda: _partitions(ear) < 24, "it has its share again", seconds=60)
            await ear.hears_somebody_else()
        async with database.pool.acquire() as connection:
            assert await connection.fetchval("SELECT count(*) FROM told") == len(records) + 1
        assert await ear.dead() == []


@pytest.mark.parametrize("stands_still", ["copy", "shards"])
async def test_a_process_that_stands_still_in_the_middle_of_a_statement_keeps_its_subjects_from_nobody(
    servers: Servers, made: Databases, database: Database, stands_still: str
) -> None:
    """Stopped while PostgreSQL waited for the rest of a COPY, or, with nothing written yet, between a statement's being
    prepared and its being run: no time limit of PostgreSQL ends such a session."""
    stories = [a_story(3) for _ in range(60)]

    async with a_process(
        "ear", "reporting", made.login["reporting"], servers.kafka, slot=1, stands_still=stands_still
    ) as zombie:
        await publish(servers.kafka, copies(stories))
        await until(lambda: _is_stopped(zombie.pid), "it stands still", seconds=60)
        async with listening_to(servers, database) as ear:
            await _are_told(ear, stories)
            await ear.is_through()
            assert await ear.dead() == []
    async with database.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM told") == 3 * len(stories)


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED


def _partitions(ear: Ear) -> int:
    return sum(len(lane.ear.assignment()) for lane in ear.bus._lanes if lane.ear)


async def test_a_restart_with_everything_heard_shows_no_lag(servers: Servers, database: Database) -> None:
    stories = [a_story(3) for _ in range(30)]
    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, copies(stories))
        await _are_told(ear, stories)
        await ear.is_through()

    async with listening_to(servers, database) as ear:
        await ear.is_through()
        assert ear.bus.heard == 0
        assert set(ear.bus.lag()) == {"intake.dossier", "routing.dossier"}


async def test_the_lanes_of_a_process_join_their_group_together(
    servers: Servers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A group waits for every member that it knows: one that joins only after the other would be waited for as dead."""
    together, join = asyncio.Barrier(2), Consumer.start

    async def when_the_other_does(consumer: Consumer) -> None:
        await together.wait()
        await join(consumer)

    monkeypatch.setattr(Consumer, "start", when_the_other_does)
    story = a_story(1)

    async with listening_to(servers, database) as ear:
        await publish(servers.kafka, copies([story]))
        await ear.hears(story, 1)
