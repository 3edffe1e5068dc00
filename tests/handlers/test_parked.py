"""An operator's exits: redrive, void with a signed reason, publish again; and what each of them does not do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

import pytest
from msgspec.structs import replace

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared.bus import Hearer, hear_batch
from shared.bus.parked import DeadLetter, Done, NotDone, dead_letter, dead_letters, redrive, void, waiting_room
from shared.bus.trying import Trying, Woken
from shared.envelope import Heard, Record
from shared.events import SupplementReceived
from shared.store import Database, Transaction
from shared.topics import CONTACT
from tests.listening import Listener, emptied, listening, told
from tests.telling import Story, record_of


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_parked") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases) -> AsyncIterator[Database]:
    async with emptied(made, "reporting") as ours:
        yield ours


def _always(_: Heard) -> Exception:
    return KeyError("0912345678")


HEARER = Listener().hearer()
FAILING = Listener(fails=_always).hearer()


async def hear(database: Database, *records: Record, hearer: Hearer = HEARER) -> None:
    await Trying(hearer, database, Woken()).events(records)


async def letters(database: Database, *, only_open: bool = True) -> list[DeadLetter]:
    async with database.pool.acquire() as connection:
        return await dead_letters(connection, only_open=only_open)


async def heard(database: Database, story: Story) -> list[tuple[str, int]]:
    async with database.pool.acquire() as connection:
        return await told(connection, story.subject)


async def a_held_story(database: Database) -> tuple[Story, DeadLetter]:
    """Version 1 heard, version 2 a dead letter, version 3 parked behind it."""
    story = Story()
    story.received()
    story.say(SupplementReceived())
    story.say(SupplementReceived())
    first, second, third = map(record_of, story.said)
    await hear(database, first, replace(second, body=b"{"), third)
    [letter] = await letters(database)
    return story, letter


async def test_a_void_passes_the_version_over_is_signed_and_lets_the_rest_go_on(database: Database) -> None:
    story, letter = await a_held_story(database)

    outcome = await void(database, HEARER, letter.id, "operator-1", "the portal sent rubbish, case 77")

    assert outcome == Done("version 2 is voided; heard 1 that waited behind it")
    assert await heard(database, story) == [("intake", 1), ("intake", 3)]
    [closed] = await letters(database, only_open=False)
    assert (closed.fate, closed.fated_by, closed.fate_reason) == (
        "voided",
        "operator-1",
        "the portal sent rubbish, case 77",
    )
    assert closed.fated is not None
    async with database.pool.acquire() as connection:
        assert (await waiting_room(connection)).parked == 0


async def test_what_was_voided_stays_voided_when_it_comes_again(database: Database) -> None:
    story, letter = await a_held_story(database)
    await void(database, HEARER, letter.id, "operator-1", "rubbish")

    await hear(database, replace(record_of(story.said[1]), body=b"{"), record_of(story.said[1], offset=50))

    assert await heard(database, story) == [("intake", 1), ("intake", 3)]
    assert await letters(database) == []


async def test_an_exit_is_used_once(database: Database) -> None:
    _, letter = await a_held_story(database)
    await void(database, HEARER, letter.id, "operator-1", "rubbish")

    for again in (
        await void(database, HEARER, letter.id, "operator-2", "again"),
        await redrive(database, HEARER, letter.id, "operator-2"),
    ):
        assert isinstance(again, NotDone)
        assert again.reason == "closed"


async def test_an_unknown_dead_letter_is_said_to_be_unknown(database: Database) -> None:
    for outcome in (await void(database, HEARER, 999, "o", "x"), await redrive(database, HEARER, 999, "o")):
        assert isinstance(outcome, NotDone)
        assert outcome.reason == "unknown"


async def test_a_redrive_of_what_is_still_malformed_changes_nothing(database: Database) -> None:
    story, letter = await a_held_story(database)

    outcome = await redrive(database, HEARER, letter.id, "operator-1")

    assert isinstance(outcome, NotDone)
    assert outcome.reason == "still_failing"
    [lying] = await letters(database)
    assert (lying.id, lying.fate, lying.reason) == (letter.id, None, letter.reason)
    assert await heard(database, story) == [("intake", 1)]


async def test_a_redrive_after_a_release_that_can_hears_it_and_what_waits_behind(database: Database) -> None:
    story = Story()
    records = [record_of(story.received()), record_of(story.say(SupplementReceived()))]
    await hear(database, *records, hearer=FAILING)
    [letter] = await letters(database)

    failed = await redrive(database, FAILING, letter.id, "operator-1")
    done = await redrive(database, HEARER, letter.id, "operator-1")

    assert isinstance(failed, NotDone)
    assert failed.reason == "still_failing"
    assert "0912" not in failed.do
    assert done == Done("heard 2, repeats 0, parked 0")
    assert await heard(database, story) == [("intake", 1), ("intake", 2)]
    assert [one.fate for one in await letters(database, only_open=False)] == ["redriven"]


async def test_what_was_redriven_into_the_waiting_room_and_fails_there_is_an_open_dead_letter_again(
    database: Database,
) -> None:
    story = Story()
    first, second = record_of(story.received()), record_of(story.say(SupplementReceived()))
    bad = replace(second, body=b"{")
    await hear(database, first, bad)
    [letter] = await letters(database)
    async with database.transaction() as tx:  # a restored backup: the stream stands before its first event again
        await tx.execute("UPDATE heard SET version = 0, event_id = NULL")

    parked = await redrive(database, HEARER, letter.id, "operator-1")
    await hear(database, replace(first, offset=77))

    assert parked == Done("heard 0, repeats 0, parked 1")
    [again] = await letters(database)
    assert (again.id, again.fate, again.version) == (letter.id, None, 2)


async def test_the_first_event_of_a_stream_can_be_voided_too(database: Database) -> None:
    """It failed in its handler, so that no trace of its stream was left."""
    story = Story()
    await hear(database, record_of(story.received()), hearer=FAILING)
    [letter] = await letters(database)

    outcome = await void(database, HEARER, letter.id, "operator-1", "a test dossier")
    await hear(database, record_of(story.say(SupplementReceived())))

    assert isinstance(outcome, Done)
    assert await heard(database, story) == [("intake", 2)]


async def test_only_the_next_version_can_be_voided(database: Database) -> None:
    story, _ = await a_held_story(database)
    async with database.transaction() as tx:
        await tx.execute("UPDATE dead_letter SET version = 3")
    [letter] = await letters(database)

    outcome = await void(database, HEARER, letter.id, "operator-1", "rubbish")

    assert isinstance(outcome, NotDone)
    assert outcome.reason == "not_next"
    assert await heard(database, story) == [("intake", 1)]


async def test_a_void_stands_even_when_what_waits_behind_it_fails(database: Database) -> None:
    _, letter = await a_held_story(database)

    outcome = await void(database, FAILING, letter.id, "operator-1", "rubbish")

    assert isinstance(outcome, Done)
    assert outcome.said.startswith("version 2 is voided; what waited behind it ended in KeyError")
    assert await letters(database) == []


async def test_publishing_a_subject_again_overtakes_its_dead_letter(database: Database) -> None:
    story, _ = await a_held_story(database)

    await hear(database, *(record_of(one, offset=100 + one.version) for one in story.said))

    assert await heard(database, story) == [("intake", version) for version in (1, 2, 3)]
    [closed] = await letters(database, only_open=False)
    assert closed.fate == "superseded"


@pytest.mark.parametrize("body", [b"{}", None])
async def test_a_fork_and_a_record_of_no_stream_can_only_be_dismissed(database: Database, body: bytes | None) -> None:
    story = Story()
    said = story.received()
    await hear(database, record_of(said))
    other = record_of(replace(said, id="01900000-0000-7000-8000-000000000001"), offset=5)
    await hear(database, other if body else replace(other, body=None))
    [letter] = await letters(database)

    failing = await redrive(database, HEARER, letter.id, "operator-1")
    outcome = await void(database, HEARER, letter.id, "operator-1", "found out who spoke twice")
    await hear(database, other if body else replace(other, body=None))

    assert isinstance(failing, NotDone)
    assert outcome == Done("dismissed: no version was held by it")
    assert await letters(database) == []
    assert await heard(database, story) == [("intake", 1)]


async def test_a_dead_letter_is_shown_whole_with_a_header_that_has_no_value(database: Database) -> None:
    record = Record("intake.dossier", 3, 12, b"\x00\xff", (("ce_id", None), ("tên", b"\xff\x00")), None)
    async with database.transaction() as tx:
        await hear_batch(tx, HEARER, [record])
    [letter] = await letters(database)

    async with database.pool.acquire() as connection:
        shown = await dead_letter(connection, letter.id)
        assert await dead_letter(connection, letter.id + 1) is None

    assert shown is not None
    assert (shown.headers, shown.body, shown.subject) == (record.headers, None, None)


async def test_dead_letters_come_newest_first_in_pages(database: Database) -> None:
    for offset in range(5):
        await hear(database, Record("intake.dossier", 0, offset, None, (), None))

    async with database.pool.acquire() as connection:
        first = await dead_letters(connection, only_open=True, count=2)
        second = await dead_letters(connection, only_open=True, below=first[-1].id, count=2)

    assert [one.offset for one in (*first, *second)] == [4, 3, 2, 1]


# --- compacted topics ------------------------------------------------------------------------------------------------


async def test_a_state_that_cannot_be_kept_is_a_dead_letter_and_the_others_are_kept(database: Database) -> None:
    kept: list[int] = []

    async def keep(_: Transaction, records: Sequence[Record]) -> list[str]:
        if any(record.body == b"bad" for record in records):
            raise TypeError("0912345678")
        kept.extend(record.offset for record in records)
        return ["contact:1"]

    lane = Trying(Listener(states={CONTACT: keep}).hearer(), database, Woken())
    await lane.states(
        [Record(CONTACT.name, 0, offset, b"k", (), b"bad" if offset == 1 else b"{}") for offset in (0, 1, 2)]
    )

    [letter] = await letters(database)
    assert (kept, letter.offset, letter.subject) == ([0, 2], 1, None)
    assert letter.reason.startswith("error: TypeError")
    assert lane.woken.known == {"contact:1"}

    refused = await redrive(database, lane.hearer, letter.id, "operator-1")
    assert isinstance(refused, NotDone)
    async with database.transaction() as tx:
        await tx.execute("UPDATE dead_letter SET body = $1", b"{}")  # a release that can read it
    assert isinstance(await redrive(database, lane.hearer, letter.id, "operator-1"), Done)
    assert (kept, await letters(database)) == ([0, 2, 1], [])
