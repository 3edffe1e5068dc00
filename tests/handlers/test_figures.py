"""Figures that are kept as parts equal what the events give, whatever happened; and who watches misses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.launcher.postgres import Databases
from services.reporting import handlers, store
from services.reporting.handlers import Watch
from services.reporting.handlers.watching import WAITING, News, Watcher
from services.reporting.rules.counting import figures_of, picture_of
from services.reporting.values import Standing, Wanted
from shared import journal
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    ResultHandedOver,
    Scope,
    StandsBeside,
    SupplementRequested,
)
from tests.handlers.test_reporting import Reporting, a_story
from tests.stores import store as a_store
from tests.telling import COMMUNE, TOWN, Story, a_calendar, a_unit

ACTS = ("hand_over", "near", "late", "broken", "papers", "fee", "resume", "finish", "withdraw", "fetch")


def act(story: Story, name: str, run: int) -> int:
    """Let something happen to a dossier; the run it is in then."""
    deadline = {"run": run, "generation": run, "unit": COMMUNE, "due": story.now}
    match name:
        case "hand_over":
            story.hands_over("town_desk", run=run + 1, unit=TOWN if run % 2 else COMMUNE)
            return run + 1
        case "near":
            story.say(DeadlineNear(scope=Scope.STAGE, **deadline))
        case "late":
            story.say(DeadlinePassed(scope=Scope.STAGE, **deadline))
        case "broken":
            story.say(DeadlinePassed(scope=Scope.DOSSIER, **deadline))
        case "papers":
            story.say(SupplementRequested(run=run, nth=1, reason="missing"))
        case "fee":
            story.say(FeeRequested(run=run, amount_vnd=1000, reason="fee"))
        case "resume":
            due = story.now + timedelta(days=2)
            story.say(DossierResumed(run=run, credited_seconds=60, stage_due=due, due=due, generation=run))
        case "finish":
            story.finishes(run=run, late=run > 2)
        case "withdraw":
            story.say(DossierWithdrawn(run=run))
        case "fetch":
            story.say(ResultHandedOver())
    return run


@pytest.fixture
async def reporting(made: Databases) -> AsyncIterator[Reporting]:
    async with a_store(made, "reporting") as database:
        yield Reporting(database)


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(ACTS)), max_size=40),
    size=st.integers(1, 9),
    merged=st.booleans(),
    recent=st.booleans(),
)
async def test_every_figure_equals_a_recount_from_the_events_whatever_happened(
    reporting: Reporting, acts: list[tuple[int, str]], size: int, merged: bool, recent: bool
) -> None:
    async with reporting.database.pool.acquire() as connection:
        now = await journal.instant(connection)
        await connection.execute("DELETE FROM cell; DELETE FROM pace; DELETE FROM timeline; DELETE FROM dossier_now")
    start = now - timedelta(days=3) if recent else now - timedelta(days=20)
    stories = [a_story(number, start=start) for number in range(5)]
    runs = [1] * 5
    for which, name in acts:
        runs[which] = act(stories[which], name, runs[which])
    said = sorted((one for story in stories for one in story.said), key=lambda one: (one.time, one.id))

    for place in range(0, len(said), size):
        await reporting.hears(*said[place : place + size])
        if merged:
            await handlers.merge(reporting.database)

    recount = await handlers.recount(reporting.database)
    assert recount.kept == recount.dossiers == recount.recounted
    assert figures_of(await reporting.picture()) == figures_of(picture_of(recount.recounted))
    first, days = await handlers.month(reporting.database)
    since = now - timedelta(days=40)
    async with reporting.database.pool.acquire() as connection:
        assert days == await store.recounted_days(connection, first)
        if not merged:  # merging forgets minutes that are long over
            assert await store.pace(connection, since) == await store.recounted_pace(connection, since)


BRANCHES = (("town_police", TOWN), ("social_insurance", "000.63.99.H41"), ("tax_notice", TOWN))


def act_in_parallel(story: Story, name: str, which: int, runs: list[int], last: int) -> tuple[list[int], int]:
    """Let something happen to one of the open runs of a dossier that may fork; those that are open then."""
    if not runs:
        return runs, last
    run = runs[which % len(runs)]
    deadline = {"run": run, "generation": 1, "unit": TOWN, "due": story.now}
    match name:
        case "hand_over" if len(runs) > 1:
            left = tuple(one for one in runs if one != run)
            story.ends_branch(run, left=left)
            return list(left), last
        case "hand_over":
            story.hands_over("commune_return", run=last + 1, unit=COMMUNE)
            return [last + 1], last + 1
        case "fork" if len(runs) == 1:
            branches = BRANCHES[: 2 + which % 2]
            story.forks(*branches, run=last + 1)
            return [last + 1 + number for number in range(len(branches))], last + len(branches)
        case "resume":
            due = story.now + timedelta(days=2)
            beside = tuple(StandsBeside(run=one, stage_due=due) for one in runs if one != run)
            story.say(DossierResumed(run=run, credited_seconds=60, stage_due=due, due=due, generation=2, beside=beside))
        case "near":
            story.say(DeadlineNear(scope=Scope.STAGE, **deadline))
        case "late":
            story.say(DeadlinePassed(scope=Scope.STAGE, **deadline))
        case "broken":
            story.say(DeadlinePassed(scope=Scope.DOSSIER, **deadline))
        case "papers":
            story.say(SupplementRequested(run=run, nth=1, reason="missing"))
        case "finish" if len(runs) == 1:
            story.finishes(run=run)
            return [], last
        case "withdraw":
            story.say(DossierWithdrawn(run=runs[0]))
            return [], last
    return runs, last


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.tuples(
            st.integers(0, 2),
            st.sampled_from(
                (
                    "fork",
                    "fork",
                    "hand_over",
                    "near",
                    "late",
                    "late",
                    "broken",
                    "papers",
                    "resume",
                    "finish",
                    "withdraw",
                )
            ),
            st.integers(0, 2),
        ),
        max_size=40,
    ),
    size=st.integers(1, 9),
    merged=st.booleans(),
)
async def test_what_lies_in_several_places_counts_at_each_and_once_in_all(
    reporting: Reporting, acts: list[tuple[int, str, int]], size: int, merged: bool
) -> None:
    async with reporting.database.pool.acquire() as connection:
        now = await journal.instant(connection)
        await connection.execute("DELETE FROM cell; DELETE FROM pace; DELETE FROM timeline; DELETE FROM dossier_now")
    stories = [a_story(number, start=now - timedelta(days=20)) for number in range(3)]
    standing: list[tuple[list[int], int]] = [([1], 1)] * 3
    for which, name, run in acts:
        standing[which] = act_in_parallel(stories[which], name, run, *standing[which])
    said = sorted((one for story in stories for one in story.said), key=lambda one: (one.time, one.id))

    for place in range(0, len(said), size):
        await reporting.hears(*said[place : place + size])
        if merged:
            await handlers.merge(reporting.database)

    recount = await handlers.recount(reporting.database)
    assert recount.kept == recount.dossiers == recount.recounted
    picture = await reporting.picture()
    assert picture.total.open == sum(1 for runs, _ in standing if runs)
    assert sum(tally.open for tally in picture.places.values()) == sum(len(runs) for runs, _ in standing)
    for (unit, stage), tally in picture.places.items():
        for wanted, count in (
            (Wanted(unit=unit, stage=stage, is_open=True), tally.open),
            (Wanted(unit=unit, stage=stage, standing=Standing.LATE), tally.late),
            (Wanted(unit=unit, is_open=True), picture.units[unit].open),
            (Wanted(unit=unit, standing=Standing.LATE), picture.units[unit].late),
            (Wanted(stage=stage, standing=Standing.NEAR), picture.stages[stage].near),
        ):
            found = await handlers.find(reporting.database, wanted, 50)
            assert (found.total, len(found.dossiers)) == (count, count)


async def test_two_mergers_at_once_lose_nothing(reporting: Reporting) -> None:
    for number in range(12):
        await reporting.hears(*a_story(number).said)

    await asyncio.gather(*(handlers.merge(reporting.database) for _ in range(4)))

    assert (await handlers.recount(reporting.database)).agrees
    async with reporting.database.pool.acquire() as connection:
        assert await connection.fetchval("SELECT count(*) FROM cell") == 1


# --- watching -------------------------------------------------------------------------------------------------------


async def look(reporting: Reporting, watch: Watch, since: int = 0) -> int:
    """What the watch's loop does at each beat; up to where it told."""
    seen = await handlers.glance(reporting.database, since, 20)
    watch.tell(seen)
    return seen.told


def told(watcher: Watcher) -> list[News]:
    news = []
    while not watcher.news.empty():
        one = watcher.news.get_nowait()
        assert one is not None
        news.append(one)
    return news


async def test_a_newcomer_is_told_everything_and_then_what_changes(reporting: Reporting) -> None:
    watch = Watch(reporting.database, asyncio.Event())
    await reporting.hears(a_calendar(), a_unit(), *a_story(1).said)
    async with watch.joined(None) as watcher:
        since = await look(reporting, watch)
        since = await look(reporting, watch, since)
        await reporting.hears(*a_story(2).said)
        await look(reporting, watch, since)

        first, second = told(watcher)

    assert first.whole
    assert first.figures == {"open": 1, "on_time": 1, **at_commune(1)}
    assert (second.whole, second.figures) == (False, {"open": 2, "on_time": 2, **at_commune(2)})
    assert [one.entry.type for one in second.moved] == ["StageStarted", "DossierReceived"]


def at_commune(count: int) -> dict[str, int]:
    places = (f"unit/{COMMUNE}/", f"unit/{COMMUNE}/commune_desk/")
    return {place + name: count for place in places for name in ("open", "on_time")}


async def test_who_comes_back_is_told_what_he_missed_and_nothing_twice(reporting: Reporting) -> None:
    watch = Watch(reporting.database, asyncio.Event())
    one, two = a_story(1), a_story(2)
    await reporting.hears(*one.said)
    async with watch.joined(None) as watcher:
        since = await look(reporting, watch)
        (before,) = told(watcher)
    await reporting.hears(*two.said)

    again = Watch(reporting.database, asyncio.Event())  # reporting was started anew meanwhile
    async with again.joined(before.told) as watcher:
        await look(reporting, again)
        (after,) = told(watcher)

    assert since == before.told
    assert {each.entry.dossier for each in before.moved} == {one.subject}
    assert {each.entry.dossier for each in after.moved} == {two.subject}
    assert after.figures["open"] == 2


async def test_what_is_heard_in_a_transaction_that_ends_late_is_told_when_it_ended(reporting: Reporting) -> None:
    slow, fast = a_story(1), a_story(2)
    async with reporting.database.pool.acquire() as holding:
        transaction = holding.transaction()
        await transaction.start()
        await holding.fetchval("SELECT pg_current_xact_id()")
        await reporting.hears(*fast.said)
        early = await handlers.glance(reporting.database, 0, 20)
        await transaction.commit()
    await reporting.hears(*slow.said)

    late = await handlers.glance(reporting.database, early.told, 20)

    assert early.moved == ()
    assert {one.entry.dossier for one in late.moved} == {slow.subject, fast.subject}


async def test_a_watcher_who_does_not_listen_is_dropped_and_the_others_are_not(reporting: Reporting) -> None:
    watch = Watch(reporting.database, asyncio.Event())
    async with watch.joined(None) as deaf, watch.joined(None) as keen:
        since = 0
        for number in range(WAITING + 2):
            await reporting.hears(*a_story(number).said)
            since = await look(reporting, watch, since)
            told(keen)

        assert deaf.is_dropped
        assert not keen.is_dropped
        assert watch.watchers == 1


async def test_watching_ends_when_the_process_is_told_to_end(reporting: Reporting) -> None:
    stopping = asyncio.Event()
    watch = Watch(reporting.database, stopping)
    async with watch.joined(None) as watcher:
        running = asyncio.create_task(watch.run())
        first = await watcher.news.get()
        stopping.set()

        assert first is not None
        assert await watcher.news.get() is None
        await running
