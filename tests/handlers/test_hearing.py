"""Hearing a batch on real PostgreSQL: one transaction, versions, parked and dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import asyncpg
import pytest
from msgspec.structs import replace

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared import journal
from shared.bus import hear_batch, rows
from shared.bus.hearing import Guilty, Heeded, set_aside, signature
from shared.bus.parked import dead_letters, parked_records, waiting_room
from shared.bus.trying import HearingStoppedError, Trying, Woken
from shared.envelope import Heard, Record
from shared.events import DossierReceived, SupplementReceived, WithdrawalRequested
from shared.journal import NOTHING_SAID_AT
from shared.store import Database, is_transient
from shared.topics import Service
from tests.listening import Listener, emptied, listening, told
from tests.processes import until
from tests.telling import Story, record_of


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_hearing") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases) -> AsyncIterator[Database]:
    async with emptied(made, "routing") as ours:
        yield ours


async def hear(database: Database, listener: Listener, *records: Record, again: tuple[str, ...] = ()) -> Heeded:
    async with database.transaction() as tx:
        return await hear_batch(tx, listener.hearer(), records, again=again)


def trying(database: Database, listener: Listener) -> Trying:
    return Trying(listener.hearer(), database, Woken())


def a_story(count: int = 4) -> Story:
    story = Story()
    story.received()
    for _ in range(count - 1):
        story.say(SupplementReceived())
    return story


def _unknown_unit(_: Heard) -> str:
    return "unit:H41"


def _unknown_procedure(_: Heard) -> str:
    return "procedure:1.001193"


async def all_told(database: Database, story: Story | None = None) -> list[tuple[str, int]]:
    async with database.pool.acquire() as connection:
        return await told(connection, story.subject if story else None)


async def versions(database: Database, story: Story) -> dict[str, int]:
    async with database.pool.acquire() as connection:
        found = await connection.fetch("SELECT source, version FROM heard WHERE subject = $1", story.subject)
    return {row["source"]: row["version"] for row in found}


async def parked(database: Database) -> list[tuple[int, str, str | None]]:
    async with database.pool.acquire() as connection:
        return [(one.version, one.reason, one.waits_for) for one in await parked_records(connection)]


async def parked_counts(database: Database) -> tuple[int, int]:
    """What streams think is parked, and what is."""
    async with database.pool.acquire() as connection:
        row = await connection.fetchrow(
            "SELECT (SELECT coalesce(sum(parked), 0) FROM heard) AS thought, (SELECT count(*) FROM parked) AS there"
        )
    assert row is not None
    return row["thought"], row["there"]


async def dead(database: Database) -> list[tuple[int | None, str, str | None]]:
    async with database.pool.acquire() as connection:
        return [(one.version, one.reason, one.fate) for one in await dead_letters(connection, only_open=False)]


async def test_a_batch_is_heard_in_order_and_answered_in_the_same_transaction(database: Database) -> None:
    story = a_story()
    listener = Listener(Service.ROUTING, answers=True)

    heeded = await hear(database, listener, *map(record_of, reversed(story.said)))

    assert (heeded.heard, heeded.parked, heeded.buried) == (4, 0, 0)
    assert await all_told(database, story) == [("intake", 1), ("intake", 2), ("intake", 3), ("intake", 4)]
    async with database.pool.acquire() as connection:
        said = await connection.fetchrow("SELECT type, cause_source, cause_version FROM journal")
        assert await connection.fetchval("SELECT entries FROM seat") == 4
    assert tuple(said or ()) == ("StageStarted", "intake", 1)


@pytest.mark.parametrize(
    ("expected", "answers", "waits", "heard", "said"),
    [
        (1, True, None, 1, 1),
        (0, False, None, 1, 0),
        (1, False, None, 1, 0),
        (0, True, None, 1, 1),
        (2, True, None, 1, 1),
        (1, True, _unknown_unit, 0, 0),
    ],
)
async def test_a_row_that_is_written_ahead_holds_in_the_end_what_came_to_pass(
    database: Database,
    expected: int,
    answers: bool,
    waits: Callable[[Heard], str | None] | None,
    heard: int,
    said: int,
) -> None:
    story = a_story(1)
    listener = Listener(Service.ROUTING, answers=answers, opens={DossierReceived: expected})
    if waits is not None:
        listener.waits = waits

    await hear(database, listener, record_of(story.said[0]))

    assert await versions(database, story) == {"intake": heard}
    async with database.pool.acquire() as connection:
        row = await connection.fetchrow("SELECT version, last_time FROM stream WHERE subject = $1", story.subject)
        entries = await connection.fetchval("SELECT count(*) FROM journal WHERE aggregateid = $1", story.subject)
    assert row is not None
    assert (row["version"], entries) == (said, said)
    assert row["last_time"] == (story.said[0].time if said else NOTHING_SAID_AT)


async def test_a_subject_that_was_opened_before_is_not_opened_again(database: Database) -> None:
    """Among new ones comes one that somebody spoke of here before: all are locked the long way, nothing is lost."""
    known, new = a_story(1), a_story(1)
    async with database.transaction() as tx:
        await journal.lock(tx, [known.subject])
    listener = Listener(Service.ROUTING, answers=True, opens={DossierReceived: 1})

    await hear(database, listener, *(record_of(story.said[0]) for story in (known, new)))
    await hear(database, listener, *(record_of(story.said[0]) for story in (new, known)))

    assert [await versions(database, story) for story in (known, new)] == [{"intake": 1}] * 2
    assert await all_told(database) == [("intake", 1)] * 2


async def test_a_repeated_delivery_changes_nothing(database: Database) -> None:
    story = a_story()
    records = [*map(record_of, story.said)]

    await hear(database, Listener(), *records)
    again = await hear(database, Listener(), *records, *records)

    assert (again.heard, again.repeats) == (0, 8)
    assert len(await all_told(database)) == 4


async def test_a_gap_closes_and_the_waiting_room_is_empty_again(database: Database) -> None:
    story = a_story()
    first, second, third, fourth = map(record_of, story.said)

    await hear(database, Listener(), first, third)
    await hear(database, Listener(), fourth)
    gap = await parked(database)
    await hear(database, Listener(), second)

    assert gap == [(3, "gap: version 2 is missing", None), (4, "gap: version 2 is missing", None)]
    assert await all_told(database, story) == [("intake", version) for version in (1, 2, 3, 4)]
    assert await parked_counts(database) == (0, 0)


async def test_a_redelivered_record_that_waits_already_is_neither_lost_nor_doubled(database: Database) -> None:
    """After a restart the records come again that lie parked: the parked one was once settled by its own repeat."""
    story = a_story(2)
    waiting = Listener(waits=_unknown_unit)
    records = [*map(record_of, story.said)]

    for _ in range(3):
        await hear(database, waiting, *records)
    lying = await parked(database)
    await hear(database, Listener(), again=(story.subject,))

    assert lying == [(1, "unit:H41 is not known here", "unit:H41"), (2, "gap: one before it waits", None)]
    assert await all_told(database, story) == [("intake", 1), ("intake", 2)]
    assert await parked_counts(database) == (0, 0)


async def test_a_published_copy_of_what_waits_takes_its_place(database: Database) -> None:
    story = a_story(1)
    waiting = Listener(waits=_unknown_unit)

    await hear(database, waiting, record_of(story.said[0], offset=1))
    await hear(database, waiting, record_of(story.said[0], offset=2))
    await hear(database, Listener(), again=(story.subject,))

    assert await all_told(database, story) == [("intake", 1)]
    assert await parked_counts(database) == (0, 0)


async def test_an_effect_is_heard_after_its_cause_in_whatever_batch_that_comes(database: Database) -> None:
    story = Story()
    cause = story.received()
    effect = story.starts(because=cause)

    await hear(database, Listener(), record_of(effect))
    before = await parked(database)
    await hear(database, Listener(), record_of(cause))

    assert before == [(1, "its cause intake 1 is missing", "cause:intake")]
    assert await all_told(database, story) == [("intake", 1), ("routing", 1)]


async def test_what_is_known_now_wakes_what_waited_for_it(database: Database) -> None:
    story = a_story(1)
    await hear(database, Listener(waits=_unknown_procedure), record_of(story.said[0]))

    async with database.pool.acquire() as connection:
        found = await rows.subjects_waiting_for(connection, ["procedure:1.001193", "unit:H41"])

    assert found == [story.subject]


async def test_what_is_merely_behind_a_gap_is_not_swept(database: Database) -> None:
    behind, in_turn = a_story(), a_story(1)
    await hear(database, Listener(), *map(record_of, behind.said[1:]))
    await hear(database, Listener(waits=_unknown_unit), *map(record_of, in_turn.said))

    async with database.pool.acquire() as connection:
        assert await rows.subjects_waiting(connection, "", 500) == [in_turn.subject]
        assert await rows.subjects_waiting(connection, in_turn.subject, 500) == []


async def test_a_passed_over_type_advances_the_version(database: Database) -> None:
    story = Story()
    records = [record_of(story.received()), record_of(story.say(WithdrawalRequested()))]
    records.append(record_of(story.say(SupplementReceived())))

    await hear(database, Listener(), *records)

    assert await all_told(database, story) == [("intake", 1), ("intake", 3)]
    assert await versions(database, story) == {"intake": 3}


async def test_a_fork_is_a_dead_letter_that_stays_when_its_version_is_passed(database: Database) -> None:
    story = a_story(2)
    fork = replace(story.said[0], id="01900000-0000-7000-8000-000000000001")

    await hear(database, Listener(), record_of(story.said[0]))
    heeded = await hear(database, Listener(), record_of(fork, offset=9), record_of(story.said[1]))

    assert heeded.forks == 1
    assert await all_told(database, story) == [("intake", 1), ("intake", 2)]
    assert await dead(database) == [(1, "fork: this version was heard with another id", None)]


async def test_a_malformed_record_holds_its_stream_until_a_good_copy_comes(database: Database) -> None:
    story = a_story(3)
    first, second, third = map(record_of, story.said)
    bad = replace(second, body=b'{"components": 5}')

    await hear(database, Listener(), first, bad, third)
    held = (await dead(database), await parked(database))
    await hear(database, Listener(), replace(second, offset=99))

    assert held == ([(2, "components: tuple_type", None)], [(3, "gap: version 2 is missing", None)])
    assert await all_told(database, story) == [("intake", version) for version in (1, 2, 3)]
    assert await dead(database) == [(2, "components: tuple_type", "superseded")]


async def test_the_same_bad_record_twice_is_one_dead_letter_and_another_at_its_offset_is_a_second(
    database: Database,
) -> None:
    bad = Record("intake.dossier", 0, 7, None, (("ce_id", None),), b"\x00\xff")

    await hear(database, Listener(), bad, bad)
    await hear(database, Listener(), bad)
    await hear(database, Listener(), replace(bad, body=b"another incarnation of the topic"))

    assert await dead(database) == [(None, "missing header ce_specversion", None)] * 2


async def test_a_long_queue_behind_a_gap_is_not_written_again_for_every_newcomer(database: Database) -> None:
    story = a_story(40)
    await hear(database, Listener(), *map(record_of, story.said[1:39]))
    async with database.pool.acquire() as connection:
        before = await connection.fetch("SELECT id, xmin::text FROM parked ORDER BY id")

    await hear(database, Listener(), record_of(story.said[39]))

    async with database.pool.acquire() as connection:
        after = await connection.fetch("SELECT id, xmin::text FROM parked ORDER BY id")
    assert after[: len(before)] == before
    assert len(after) == 39


async def test_an_error_leaves_nothing_behind(database: Database) -> None:
    story = a_story(2)
    failing = Listener(fails=lambda heard: ZeroDivisionError() if heard.version == 2 else None)

    with pytest.raises(ZeroDivisionError):
        await hear(database, failing, *map(record_of, story.said))

    assert await all_told(database) == []
    assert await versions(database, story) == {}


async def test_ten_hearers_of_the_same_records_in_any_order_hear_each_once_and_never_deadlock(
    database: Database,
) -> None:
    stories = [a_story(6) for _ in range(12)]
    records = [record_of(one) for story in stories for one in story.said]

    async def listen(number: int) -> None:
        turned = records[number * 7 :] + records[: number * 7]
        for start in range(0, len(turned), 9):
            await hear(database, Listener(Service.ROUTING, answers=True), *turned[start : start + 9])

    await asyncio.gather(*(listen(number) for number in range(10)))

    for story in stories:
        assert await all_told(database, story) == [("intake", version) for version in range(1, 7)]
    assert await parked_counts(database) == (0, 0)
    async with database.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM journal") == len(stories)


async def test_two_holders_that_open_what_the_other_knows_never_deadlock(database: Database) -> None:
    """One opens M and then locks A, of which it has a later version; the other opens A and then M."""
    for _ in range(40):
        known, opened = sorted((a_story(2), a_story(2)), key=lambda story: story.subject)
        later = [record_of(known.said[1]), record_of(opened.said[0])]
        first = [record_of(known.said[0]), record_of(opened.said[0])]

        await asyncio.gather(hear(database, Listener(), *later), hear(database, Listener(), *first))

        assert await all_told(database, known) == [("intake", 1), ("intake", 2)]
        assert await all_told(database, opened) == [("intake", 1)]


async def test_a_cause_and_its_effect_in_two_lanes_at_once_never_miss_each_other(database: Database) -> None:
    """Each lane hears one of the two; whichever is later must find the other (the sweep may have to help)."""
    for _ in range(25):
        story = Story()
        cause = story.received()
        effect = story.starts(because=cause)

        await asyncio.gather(
            hear(database, Listener(), record_of(effect)), hear(database, Listener(), record_of(cause))
        )
        async with database.pool.acquire() as connection:
            swept = await rows.subjects_waiting(connection, "", 500)
        await hear(database, Listener(), again=tuple(swept))

        assert await all_told(database, story) == [("intake", 1), ("routing", 1)]
    assert await parked_counts(database) == (0, 0)


# --- trying: one by one, set aside, stop -----------------------------------------------------------------------------


def failing_on(*stories: Story, version: int = 1) -> Listener:
    subjects = {story.subject for story in stories}

    def fails(heard: Heard) -> Exception | None:
        return KeyError("0912345678") if heard.subject in subjects and heard.version == version else None

    return Listener(fails=fails)


async def test_the_guilty_one_is_set_aside_without_its_message_and_nobody_else_notices(database: Database) -> None:
    guilty, innocent = a_story(3), a_story(3)
    records = [record_of(one) for pair in zip(guilty.said, innocent.said, strict=True) for one in pair]

    await trying(database, failing_on(guilty, version=2)).events(records)

    assert await all_told(database, guilty) == [("intake", 1)]
    assert await all_told(database, innocent) == [("intake", version) for version in (1, 2, 3)]
    [(version, reason, fate)] = await dead(database)
    assert (version, fate) == (2, None)
    assert reason.startswith("error: KeyError in ")
    assert "0912" not in reason
    assert await parked(database) == [(3, "gap: version 2 is missing", None)]


async def test_a_value_that_fits_no_column_is_guilty_and_not_tried_for_ever(database: Database) -> None:
    story, other = a_story(1), a_story(1)

    async def overflow() -> Exception | None:
        try:
            async with database.pool.acquire() as connection:
                await connection.execute("SELECT $1::int", 2**40)
        except Exception as error:
            return error
        return None

    error = await overflow()
    assert error is not None
    assert not is_transient(error)

    listener = Listener(fails=lambda heard: error if heard.subject == story.subject else None)
    await trying(database, listener).events([record_of(story.said[0]), record_of(other.said[0])])

    assert await all_told(database) == [("intake", 1)]
    assert [fate for _, _, fate in await dead(database)] == [None]


async def test_the_same_error_on_five_subjects_in_a_row_stops_and_sets_nothing_aside(database: Database) -> None:
    stories = [a_story(1) for _ in range(6)]
    bad_release = trying(database, failing_on(*stories))

    with pytest.raises(HearingStoppedError, match="KeyError"):
        await bad_release.events([record_of(story.said[0]) for story in stories])

    assert (await all_told(database), await dead(database)) == ([], [])


async def test_a_bad_release_is_noticed_at_a_trickle_too(database: Database) -> None:
    stories = [a_story(1) for _ in range(6)]
    bad_release = trying(database, failing_on(*stories))

    for story in stories[:4]:
        await bad_release.events([record_of(story.said[0])])
    with pytest.raises(HearingStoppedError):
        await bad_release.events([record_of(stories[4].said[0])])

    assert len(await dead(database)) == 4


async def test_bad_events_among_good_ones_do_not_stop_anything(database: Database) -> None:
    bad, good = [a_story(1) for _ in range(8)], [a_story(1) for _ in range(8)]
    lane = trying(database, failing_on(*bad))

    await lane.events([record_of(s.said[0]) for pair in zip(bad, good, strict=True) for s in pair])
    for pair in zip([a_story(1) for _ in range(3)], good, strict=False):
        await lane.events([record_of(story.said[0]) for story in pair])

    assert len(await dead(database)) == 8


async def test_a_parked_event_that_fails_is_found_and_set_aside_itself(database: Database) -> None:
    """Its gap closes, the batch fails because of it, and the one that closed the gap must not pay for it."""
    story = a_story(4)
    first, second, third, fourth = map(record_of, story.said)
    lane = trying(database, failing_on(story, version=3))
    await lane.events([first, third, fourth])

    await lane.events([second])
    await lane.parked(sorted(lane.woken.moved))

    assert await all_told(database, story) == [("intake", 1), ("intake", 2)]
    assert [(version, fate) for version, _, fate in await dead(database)] == [(3, None)]
    assert await parked(database) == [(4, "gap: version 3 is missing", None)]
    assert await parked_counts(database) == (1, 1)


async def test_of_several_parked_events_only_the_guilty_one_is_set_aside(database: Database) -> None:
    story = Story()
    received = story.received()
    waiting = story.starts(because=received)
    supplement = story.say(SupplementReceived())
    await hear(database, Listener(waits=_unknown_unit), *map(record_of, (received, waiting, supplement)))

    await trying(database, failing_on(story, version=2)).parked([story.subject])

    assert await all_told(database, story) == [("intake", 1), ("routing", 1)]
    assert [version for version, _, _ in await dead(database)] == [2]
    assert await parked_counts(database) == (0, 0)


async def test_a_key_that_no_database_keeps_does_not_come_to_the_sweep(database: Database) -> None:
    guilty = a_story(1)
    lane = trying(database, failing_on(guilty))
    rubbish = Record("intake.dossier", 0, 0, b"a\x00b\xff", (), b"{}")

    await lane.events([record_of(guilty.said[0]), rubbish])

    assert lane.woken.moved == {guilty.subject}
    assert len(await dead(database)) == 2


async def test_an_event_that_was_parked_behind_a_batch_that_ran_one_by_one_goes_on_by_itself(
    database: Database,
) -> None:
    story, guilty = a_story(3), a_story(1)
    first, second, third = map(record_of, story.said)
    lane = trying(database, failing_on(guilty))
    await lane.events([first, third])

    await lane.events([second, record_of(guilty.said[0])])
    async with database.pool.acquire() as connection:
        swept = await rows.subjects_waiting(connection, "", 500)
    await lane.parked(swept)

    assert (swept, lane.woken.event.is_set()) == ([story.subject], True)
    assert await all_told(database, story) == [("intake", version) for version in (1, 2, 3)]


async def test_a_lost_connection_runs_the_whole_batch_again_and_finds_nobody_guilty(database: Database) -> None:
    story = a_story(3)
    losses = [asyncpg.ConnectionDoesNotExistError("gone"), asyncpg.DeadlockDetectedError("circle")]
    lane = trying(database, Listener(fails=lambda heard: losses.pop() if losses and heard.version == 3 else None))

    await lane.events([*map(record_of, story.said)])

    assert await all_told(database, story) == [("intake", version) for version in (1, 2, 3)]
    assert await dead(database) == []


async def test_a_row_that_somebody_keeps_locked_is_waited_for(database: Database) -> None:
    story = a_story(2)
    await hear(database, Listener(), record_of(story.said[0]))
    lane = trying(database, Listener())

    async with database.transaction() as tx:
        await tx.execute("SELECT 1 FROM heard WHERE subject = $1 FOR UPDATE", story.subject)
        hearing = asyncio.create_task(lane.events([record_of(story.said[1])]))
        await until(lambda: _somebody_waits(database), "the hearer waits for the lock")
    await hearing

    assert await all_told(database, story) == [("intake", 1), ("intake", 2)]


async def _somebody_waits(database: Database) -> bool:
    async with database.pool.acquire() as connection:
        return bool(
            await connection.fetchval(
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
            )
        )


async def test_what_is_set_aside_twice_is_one_dead_letter_and_the_counts_stay_right(database: Database) -> None:
    story = a_story(2)
    guilty = Guilty(record_of(story.said[0]), ValueError("secret"))

    for _ in range(2):
        async with database.transaction() as tx:
            await set_aside(tx, [guilty, guilty])

    async with database.pool.acquire() as connection:
        assert (await waiting_room(connection)).dead == 1
    assert await parked_counts(database) == (0, 0)


def test_an_error_is_named_by_its_kind_and_place_and_never_by_its_words() -> None:
    database_error = asyncpg.UniqueViolationError("Key (phone)=(0912345678) already exists")

    assert signature(database_error) == "UniqueViolationError 23505"
    assert signature(ValueError("0912345678")) == "ValueError"
