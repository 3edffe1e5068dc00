"""Reporting's store after what it heard: timelines, the picture of now, the figures of a period."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import pytest

from deploy.launcher.layout import REPOSITORY
from deploy.launcher.postgres import Databases
from services.reporting import handlers
from services.reporting.rules.counting import picture_of
from services.reporting.values import Counts, Picture, Standing, Status, Tally, Wanted
from shared.bus import hear_batch
from shared.bus.hearing import Heeded
from shared.envelope import Heard
from shared.events import (
    Channel,
    DeadlineNear,
    DeadlinePassed,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    PersonalDataErased,
    ResultHandedOver,
    Scope,
    SupplementReceived,
    SupplementRequested,
    WithdrawalRequested,
)
from shared.store import Database, Queries
from shared.topics import Service
from tests.stores import store
from tests.telling import COMMUNE, MORNING, TOWN, Story, a_calendar, a_procedure, a_unit, records_of

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reporting:
    """Reporting on a real store, without a broker."""

    database: Database

    async def hears(self, *said: Heard) -> Heeded:
        """One batch."""
        async with self.database.transaction() as tx:
            return await hear_batch(tx, handlers.hearer(), records_of(said))

    async def picture(self) -> Picture:
        return (await handlers.look(self.database)).picture

    async def timeline(self, story: Story) -> list[tuple[Service, int, str]]:
        told = await handlers.tell(self.database, story.subject)
        return [(one.source, one.version, one.type) for one in told.entries] if told else []

    async def counts(self, first: date, last: date, known_on: datetime | None = None) -> Counts:
        return (await handlers.count(self.database, first, last, known_on))[1]

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """All rows of the tables that figures are made of."""
        async with self.database.pool.acquire() as connection:
            return {
                table: sorted(
                    # by which transaction an entry was heard is another thing every time
                    tuple(value for name, value in row.items() if name != "heard")
                    for row in await connection.fetch(f"TABLE {table}")
                )
                for table in ("timeline", "dossier_now", "unit", "procedure", "calendar")
            }


@pytest.fixture
async def reporting(made: Databases) -> AsyncIterator[Reporting]:
    async with store(made, "reporting") as database:
        yield Reporting(database)


def a_story(number: int = 1, *, start: datetime = MORNING, channel: Channel = Channel.DESK) -> Story:
    """Received and in its first stage."""
    story = Story(now=start)
    story.starts(because=story.received(number, channel=channel))
    return story


def a_day_s_work() -> list[Story]:
    """Ten dossiers that stand differently, with every event among them."""
    stories = [a_story(number) for number in range(1, 11)]
    near, late, paused, paid, done, fetched, withdrawn, sent_back, broken = stories[1:]

    near.say(DeadlineNear(scope=Scope.STAGE, run=1, generation=1, unit=COMMUNE, due=near.now))
    near.say(NoticeSent(notice="1", template="received", channel="email", attempts=1), because=near.said[0])

    late.hands_over("town_desk", run=2)
    late.say(DeadlinePassed(scope=Scope.STAGE, run=2, generation=2, unit=TOWN, due=late.now))

    paused.say(SupplementRequested(run=1, nth=1, reason="missing"))
    paused.say(NoticeFailed(notice="2", template="missing", channel="sms", attempts=5, reason="refused"))

    paid.say(FeeRequested(run=1, amount_vnd=50_000, reason="fee"))
    due = paid.now + 4 * DAY
    paid.say(DossierResumed(run=1, credited_seconds=3600, stage_due=due, due=due, generation=2))

    done.hands_over("town_desk", run=2)
    done.hands_over("commune_return", run=3, unit=COMMUNE, giver=TOWN, late=True)
    done.finishes(run=3)

    ready = fetched.finishes(run=1, late=True)
    fetched.say(ResultHandedOver(way="desk"), because=ready)
    fetched.say(PersonalDataErased(contact_version=2, reason="asked_by_citizen"), actor="head-1")

    wish = withdrawn.say(WithdrawalRequested())
    withdrawn.say(DossierWithdrawn(run=1), because=wish)

    sent_back.hands_over("town_desk", run=2)
    sent_back.say(HandedOver(stage="town_desk", run=2, giver=TOWN, receiver=COMMUNE, back=True, reason="wrong"))
    sent_back.starts("commune_desk", run=3)

    broken.say(DeadlinePassed(scope=Scope.DOSSIER, run=1, generation=1, unit=COMMUNE, due=broken.now))
    broken.say(SupplementRequested(run=1, nth=2, reason="missing"))
    papers = broken.say(SupplementReceived())
    broken.say(
        DossierResumed(run=1, credited_seconds=3600, stage_due=broken.now, due=broken.now, generation=2),
        because=papers,
    )
    broken.say(DeadlinePassed(scope=Scope.DOSSIER, run=1, generation=2, unit=COMMUNE, due=broken.now))
    return stories


def all_of(stories: Sequence[Story]) -> list[Heard]:
    return [one for story in stories for one in story.said]


async def test_a_dossier_s_way_is_its_timeline_and_its_last_word_the_picture(reporting: Reporting) -> None:
    story = a_story()
    story.hands_over("town_desk", run=2)

    await reporting.hears(*story.said)

    assert await reporting.timeline(story) == [
        (Service.INTAKE, 1, "DossierReceived"),
        (Service.ROUTING, 1, "StageStarted"),
        (Service.ROUTING, 2, "HandedOver"),
        (Service.ROUTING, 3, "StageStarted"),
    ]
    picture = await reporting.picture()
    assert picture.units == {TOWN: Tally(on_time=1)}
    assert picture.stages == {"town_desk": Tally(on_time=1)}
    assert picture.statuses[Status.IN_PROCESS] == 1


async def test_the_same_event_twice_changes_nothing(reporting: Reporting) -> None:
    said = all_of(a_day_s_work())
    await reporting.hears(*said, *said)
    before = await reporting.everything()

    again = await reporting.hears(*said)

    assert (again.heard, again.repeats) == (0, len(said))
    assert await reporting.everything() == before
    assert len(before["timeline"]) == len(said)


def _routing_first(said: list[Heard]) -> list[list[Heard]]:
    order = {Service.ROUTING: 0, Service.NOTIFICATION: 1, Service.INTAKE: 2}
    return [[one for one in said if order[one.source] == turn] for turn in range(3)]


def _backwards(said: list[Heard]) -> list[list[Heard]]:
    return [list(reversed(said))]


def _one_by_one_backwards(said: list[Heard]) -> list[list[Heard]]:
    return [[one] for one in reversed(said)]


def _by_sevens(said: list[Heard]) -> list[list[Heard]]:
    mixed = sorted(said, key=lambda one: (one.version, one.id))
    return [mixed[start : start + 7] for start in range(0, len(mixed), 7)]


@pytest.mark.parametrize("batches", [_routing_first, _backwards, _one_by_one_backwards, _by_sevens])
async def test_whatever_is_heard_first_the_picture_is_the_same(
    made: Databases, batches: Callable[[list[Heard]], list[list[Heard]]]
) -> None:
    said = all_of(a_day_s_work())
    async with store(made, "reporting") as database:
        await Reporting(database).hears(*said)
        expected = await Reporting(database).everything()

    async with store(made, "reporting") as database:
        for batch in batches(said):
            await Reporting(database).hears(*batch)

        assert await Reporting(database).everything() == expected


async def test_a_step_without_a_cause_may_be_heard_before_the_reception(reporting: Reporting) -> None:
    story = Story(origin="municipal-receipt-log")
    received, step = story.received(), story.starts("Confirmation of receipt")

    await reporting.hears(step)
    assert await reporting.timeline(story) == [(Service.ROUTING, 1, "StageStarted")]
    await reporting.hears(received)

    told = await handlers.tell(reporting.database, story.subject)
    assert told is not None
    assert (told.dossier.code, told.dossier.stage) == ("000.01.99.H41-190506-0001", "Confirmation of receipt")
    assert [one.type for one in told.entries] == ["DossierReceived", "StageStarted"]


async def test_the_picture_equals_what_the_timelines_give(reporting: Reporting) -> None:
    said = all_of(a_day_s_work())
    for one in said:
        await reporting.hears(one)
        recount = await handlers.recount(reporting.database)
        assert recount.kept == recount.recounted

    assert picture_of(recount.recounted) == await reporting.picture()
    picture = await reporting.picture()
    assert picture.total == Tally(on_time=3, near=1, late=2, paused=1, done_today=0)
    assert picture.promises_broken == 1
    assert {status: number for status, number in picture.statuses.items() if number} == {
        Status.IN_PROCESS: 6,
        Status.WAITS_FOR_SUPPLEMENT: 1,
        Status.WITHDRAWN: 1,
        Status.RESULT_READY: 1,
        Status.RESULT_HANDED_OVER: 1,
    }


async def test_a_picture_that_was_tampered_with_no_longer_agrees(reporting: Reporting) -> None:
    await reporting.hears(*all_of(a_day_s_work()))
    async with reporting.database.transaction() as tx:
        await tx.execute("UPDATE dossier_now SET standing = 'on_time' WHERE standing = 'late'")

    assert not (await handlers.recount(reporting.database)).agrees


async def test_history_lies_outside_the_picture_of_now_and_is_counted_apart(reporting: Reporting) -> None:
    replayed = Story(origin="municipal-receipt-log")
    replayed.received(channel=Channel.ONLINE)
    for run in range(1, 6):
        replayed.starts(f"activity {run}", run=run)

    await reporting.hears(*replayed.said, *a_story().said)

    picture = await reporting.picture()
    assert (picture.total.open, sum(picture.statuses.values())) == (1, 1)
    assert (await handlers.recount(reporting.database)).agrees
    assert (await reporting.counts(MORNING.date(), MORNING.date() + DAY)).received_online == 0
    live = await handlers.find(reporting.database, Wanted(), 10)
    past = await handlers.find(reporting.database, Wanted(origin="municipal-receipt-log"), 10)
    assert (live.total, [one.dossier for one in past.dossiers]) == (1, [replayed.subject])
    (one,) = await handlers.past(reporting.database)
    assert (one.origin, one.dossiers, one.steps) == ("municipal-receipt-log", 1, 5)
    told = await handlers.tell(reporting.database, replayed.subject)
    assert told is not None
    assert [step.stage for step in told.steps] == [f"activity {run}" for run in range(1, 6)]


async def test_what_is_done_today_is_counted_by_the_office_s_midnight(reporting: Reporting) -> None:
    async with reporting.database.pool.acquire() as connection:
        midnight = await connection.fetchval(
            "SELECT date_trunc('day', now() AT TIME ZONE 'Asia/Ho_Chi_Minh') AT TIME ZONE 'Asia/Ho_Chi_Minh'"
        )
    yesterday, today = Story(now=midnight - DAY), Story(now=midnight - DAY)
    for story, end in ((yesterday, midnight - timedelta(seconds=1)), (today, midnight)):
        story.starts(because=story.received())
        story.now = end - timedelta(hours=1)
        story.finishes(run=1)

    await reporting.hears(a_calendar(), *yesterday.said, *today.said)

    assert (await reporting.picture()).total == Tally(done_today=1)
    found = await handlers.find(reporting.database, Wanted(done_today=True), 10)
    assert [one.dossier for one in found.dossiers] == [today.subject]


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        (Wanted(), {1, 2, 3, 4, 5, 6, 7, 8, 9, 10}),
        (Wanted(unit=TOWN), {3}),
        (Wanted(standing=Standing.NEAR), {2}),
        (Wanted(is_open=True), {1, 2, 3, 4, 5, 9, 10}),
        (Wanted(standing=Standing.LATE), {3, 10}),
        (Wanted(late=True), {7, 10}),
        (Wanted(status=Status.WAITS_FOR_SUPPLEMENT), {4}),
        (Wanted(stage="commune_desk", standing=Standing.ON_TIME), {1, 5, 9}),
        (Wanted(stage="commune_return"), set()),
        (Wanted(stage=""), set()),
        (Wanted(code="000.01.99.H41-190506-0007"), {7}),
        (Wanted(code="000.01.99.H41-190506-000"), {1, 2, 3, 4, 5, 6, 7, 8, 9}),
        (Wanted(code="nothing"), set()),
    ],
)
async def test_behind_each_figure_are_its_dossiers(reporting: Reporting, wanted: Wanted, numbers: set[int]) -> None:
    await reporting.hears(*all_of(a_day_s_work()))

    found = await handlers.find(reporting.database, wanted, 100)

    assert {int((one.code or "")[-4:]) for one in found.dossiers} == numbers
    assert found.total == len(numbers)


async def test_a_list_is_shown_page_by_page_the_most_urgent_first(reporting: Reporting) -> None:
    await reporting.hears(*[one for number in range(25) for one in a_story(number, start=MORNING - number * DAY).said])

    pages = [await handlers.find(reporting.database, Wanted(), 10)]
    while pages[-1].next is not None:
        pages.append(await handlers.find(reporting.database, Wanted(), 10, pages[-1].next))

    dues = [one.due for page in pages for one in page.dossiers]
    assert dues == sorted(due for due in dues if due)
    assert [(page.total, len(page.dossiers)) for page in pages] == [(25, 10), (25, 10), (25, 5)]


@pytest.mark.parametrize("origin", [None, "replay 2019"])
async def test_a_page_of_a_list_is_read_in_its_order_and_not_sorted(reporting: Reporting, origin: str | None) -> None:
    """However many there are: where sorting is the last resort, the plan finds the order in an index."""
    query = Queries(REPOSITORY / "services/reporting/sql")["found_dossiers"]
    nothing_else = (None, None, None, None, None, None, False, MORNING, None, None, None, 30, None, None, None)
    async with reporting.database.transaction() as tx:
        await tx.execute("SET LOCAL enable_sort = off; SET LOCAL enable_seqscan = off")

        plan = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {query}", origin, *nothing_else))

    assert ("dossier_now_urgent" if origin is None else "dossier_now_origin_urgent") in plan
    assert "Sort" not in plan


async def test_names_are_those_of_the_highest_version(reporting: Reporting) -> None:
    old, new = a_unit(name="UBND phường Cũ"), a_unit(name="UBND phường Mới")
    async with reporting.database.transaction() as tx:
        await tx.execute("INSERT INTO unit VALUES ($1, 7, 'UBND phường Mới', 'commune', NULL, 'office')", COMMUNE)

    await reporting.hears(old, a_procedure(), a_unit(TOWN, "UBND thị xã Hoàng Mai", "town"))

    names = (await handlers.look(reporting.database)).units
    assert list(names.items()) == [(TOWN, "UBND thị xã Hoàng Mai"), (COMMUNE, "UBND phường Mới")]
    assert new.version == 1


# --- the figures of a period: carried over + received = finished + withdrawn + what is still there --------------------


def a_month() -> list[Story]:
    """Before the period: one finished, two carried over. In it: four come; some end early, on the day, late."""
    may = MORNING.replace(day=1)
    long_gone, carried, slow = (a_story(number, start=may - 20 * DAY) for number in (1, 2, 3))
    long_gone.finishes(run=1)
    carried.now = may + DAY
    carried.finishes(run=1, late=True)
    early, punctual, online, gone = (
        a_story(number, start=may + 2 * DAY, channel=channel)
        for number, channel in ((4, Channel.DESK), (5, Channel.POST), (6, Channel.ONLINE), (7, Channel.DESK))
    )
    early.finishes(run=1)
    punctual.now = may + 7 * DAY
    punctual.finishes(run=1)
    online.say(SupplementRequested(run=1, nth=1, reason="missing"))
    gone.say(DossierWithdrawn(run=1), because=gone.say(WithdrawalRequested()))
    return [long_gone, carried, slow, early, punctual, online, gone]


def balance(counts: Counts) -> tuple[int, int]:
    """What came, and what went or is still there."""
    came = counts.carried_over + counts.received_at_desk + counts.received_online + counts.received_by_post
    went = counts.finished_early + counts.finished_on_time + counts.finished_late + counts.withdrawn
    here = counts.in_process_within + counts.in_process_overdue + counts.waiting_for_supplement + counts.waiting_for_fee
    return came, went + here


MAY = (date(2019, 5, 1), date(2019, 5, 31))


async def test_a_period_s_figures_are_those_of_the_reports(reporting: Reporting) -> None:
    await reporting.hears(a_calendar(), *all_of(a_month()))

    assert await reporting.counts(*MAY) == Counts(
        carried_over=2,
        received_at_desk=2,
        received_online=1,
        received_by_post=1,
        finished_early=1,
        finished_on_time=1,
        finished_late=1,
        in_process_within=0,
        in_process_overdue=1,
        waiting_for_supplement=1,
        waiting_for_fee=0,
        withdrawn=1,
    )


@pytest.mark.parametrize("length", [1, 2, 7, 31])
async def test_what_came_equals_what_went_and_what_is_there(reporting: Reporting, length: int) -> None:
    await reporting.hears(a_calendar(), *all_of(a_month()), *all_of(a_day_s_work()))

    for start in range(-25, 31, max(1, length // 2)):
        first = MAY[0] + start * DAY
        came, rest = balance(await reporting.counts(first, first + (length - 1) * DAY))
        assert came == rest


async def test_a_report_of_a_past_period_does_not_change_with_what_happens_later(reporting: Reporting) -> None:
    stories = a_month()
    await reporting.hears(a_calendar(), *all_of(stories))
    before = await reporting.counts(*MAY)
    slow = stories[2]
    slow.now = MORNING + 60 * DAY

    await reporting.hears(slow.finishes(run=1, late=True))

    assert await reporting.counts(*MAY) == before
    assert (await reporting.counts(MAY[0] + 31 * DAY, MAY[1] + 60 * DAY)).finished_late == 1


async def test_what_was_recorded_later_is_not_in_what_was_known_then(reporting: Reporting) -> None:
    story = a_story(start=MORNING)
    finished = story.now + timedelta(hours=1)
    late_word = finished + 40 * DAY
    story.now = finished
    story.say(DossierWithdrawn(run=1), recorded=late_word)
    await reporting.hears(a_calendar(), *story.said)

    then = await reporting.counts(*MAY, late_word - timedelta(seconds=1))
    now = await reporting.counts(*MAY, late_word)

    assert (then.withdrawn, then.in_process_overdue) == (0, 1)
    assert (now.withdrawn, now.in_process_overdue) == (1, 0)


async def test_a_day_of_the_report_is_a_day_of_the_office(reporting: Reporting) -> None:
    """17:30 UTC on the last of April is half past midnight on the first of May in Nghệ An."""
    story = a_story(start=datetime.fromisoformat("2019-04-30T16:30:00+00:00"))

    await reporting.hears(a_calendar(), *story.said)

    assert (await reporting.counts(*MAY)).received_at_desk == 1
    assert (await reporting.counts(*MAY)).carried_over == 0
