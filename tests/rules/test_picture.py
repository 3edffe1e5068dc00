"""What reporting makes of one event after another, and what its cells add up to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.reporting.handlers import HEARS, hearer
from services.reporting.rules import counting, following
from services.reporting.values import Cell, Dossier, Standing, Status, Tally
from shared.bus import decide_all
from shared.envelope import Heard
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    ResultHandedOver,
    RoutePublished,
    Scope,
    SupplementReceived,
    SupplementRequested,
    WithdrawalRequested,
    every_event,
)
from shared.topics import Service
from tests.telling import COMMUNE, TOWN, Story


def after(said: Iterable[Heard]) -> Dossier:
    """The state of one dossier after what was said of it."""
    heard = list(said)
    decided = decide_all({}, heard, HEARS, None)
    assert decided.waiting == []
    assert decided.sayings == []
    return decided.changed[heard[0].subject]


def a_story() -> Story:
    """Received and in its first stage."""
    story = Story()
    story.starts(because=story.received())
    return story


def deadline(story: Story, kind: type[DeadlineNear | DeadlineReached | DeadlinePassed], scope: Scope) -> Heard:
    return story.say(kind(scope=scope, run=1, generation=1, unit=COMMUNE, due=story.now))


def test_every_event_is_heard_but_that_of_a_route_which_only_who_promises_needs() -> None:
    assert hearer().types == frozenset(every_event().values()) - {RoutePublished}


def test_a_received_dossier_lies_at_its_desk() -> None:
    story = Story()
    story.received(7)

    state = after(story.said)

    assert (state.status, state.standing) == (Status.RECEIVED, Standing.ON_TIME)
    assert (state.receiving_unit, state.code) == (COMMUNE, "000.01.99.H41-190506-0007")
    assert state.received == story.now


def test_a_dossier_is_where_its_stage_is() -> None:
    story = a_story()
    story.hands_over("town_desk", run=2)

    state = after(story.said)

    assert (state.status, state.stage, state.run, state.unit) == (Status.IN_PROCESS, "town_desk", 2, TOWN)


def test_between_a_hand_over_and_the_start_of_the_stage_the_receiver_has_it() -> None:
    story = a_story()
    story.say(HandedOver(stage="commune_desk", run=1, giver=COMMUNE, receiver=TOWN, receiver_officer="officer-9"))

    state = after(story.said)

    assert (state.unit, state.officer, state.stage) == (TOWN, "officer-9", "commune_desk")


@pytest.mark.parametrize("scope", Scope)
@pytest.mark.parametrize("kind", [DeadlineNear, DeadlineReached])
def test_a_deadline_that_comes_is_near_and_not_yet_late(
    kind: type[DeadlineNear | DeadlineReached], scope: Scope
) -> None:
    story = a_story()
    deadline(story, kind, scope)

    assert after(story.said).standing == Standing.NEAR


@pytest.mark.parametrize("scope", Scope)
def test_a_date_that_passed_is_late(scope: Scope) -> None:
    story = a_story()
    deadline(story, DeadlinePassed, scope)

    assert after(story.said).standing == Standing.LATE


def test_the_next_stage_is_not_late_with_the_one_before() -> None:
    story = a_story()
    deadline(story, DeadlinePassed, Scope.STAGE)
    story.hands_over("town_desk", run=2, late=True)

    assert after(story.said).standing == Standing.ON_TIME


def test_a_broken_promise_stays_broken_in_the_next_stage() -> None:
    story = a_story()
    deadline(story, DeadlinePassed, Scope.DOSSIER)
    story.hands_over("town_desk", run=2)

    assert after(story.said).standing == Standing.LATE


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (SupplementRequested(run=1, nth=2, reason="missing"), Status.WAITS_FOR_SUPPLEMENT),
        (FeeRequested(run=1, amount_vnd=50_000, reason="fee"), Status.WAITS_FOR_FEE),
    ],
)
def test_a_dossier_that_waits_for_the_citizen_is_paused(
    request_: SupplementRequested | FeeRequested, status: Status
) -> None:
    story = a_story()
    deadline(story, DeadlineNear, Scope.STAGE)
    story.say(request_)

    state = after(story.said)

    assert (state.status, state.standing) == (status, Standing.PAUSED)


def test_asking_for_papers_does_not_hide_a_date_that_was_missed() -> None:
    story = a_story()
    deadline(story, DeadlinePassed, Scope.DOSSIER)
    story.say(SupplementRequested(run=1, nth=1, reason="missing"))

    assert after(story.said).standing == Standing.LATE


def test_what_was_near_before_a_pause_is_near_after_it_and_late_is_said_anew() -> None:
    story = a_story()
    deadline(story, DeadlinePassed, Scope.STAGE)
    story.say(SupplementRequested(run=1, nth=1, reason="missing"))
    received = story.say(SupplementReceived())
    due = story.now + timedelta(days=3)
    story.say(DossierResumed(run=1, credited_seconds=60, stage_due=due, due=due, generation=2), because=received)

    state = after(story.said)

    assert (state.status, state.standing) == (Status.IN_PROCESS, Standing.NEAR)
    assert (state.due, state.stage_due, state.generation) == (due, due, 2)


def test_the_promise_stays_when_the_due_instant_moves() -> None:
    story = Story()
    promise = getattr(story.received().event, "promise", None)
    story.starts()
    due = story.now + timedelta(days=30)
    story.say(DossierResumed(run=1, credited_seconds=60, stage_due=due, due=due, generation=2))

    state = after(story.said)

    assert (state.promise, state.due) == (promise, due)


def test_a_finished_dossier_is_done_and_the_event_says_whether_in_time() -> None:
    story = a_story()
    deadline(story, DeadlinePassed, Scope.STAGE)
    finished = story.finishes(run=1)

    state = after(story.said)

    assert (state.status, state.standing, state.dossier_late) == (Status.RESULT_READY, Standing.DONE, False)
    assert state.ended == finished.time


def test_the_processing_ended_when_the_result_was_ready_not_when_it_was_fetched() -> None:
    story = a_story()
    finished = story.finishes(run=1)
    story.say(ResultHandedOver(way="desk"), after=timedelta(days=20))

    state = after(story.said)

    assert (state.status, state.ended) == (Status.RESULT_HANDED_OVER, finished.time)


def test_a_wish_to_withdraw_is_a_request_until_routing_answers() -> None:
    story = a_story()
    wish = story.say(WithdrawalRequested())

    assert after(story.said).standing == Standing.ON_TIME
    assert after(story.said).withdrawal_requested == wish.time

    answer = story.say(DossierWithdrawn(run=1), because=wish)

    state = after(story.said)
    assert (state.status, state.standing, state.ended) == (Status.WITHDRAWN, Standing.WITHDRAWN, answer.time)


def test_notices_are_counted_by_their_outcome() -> None:
    story = a_story()
    for number in range(3):
        story.say(NoticeSent(notice=str(number), template="received", channel="email", attempts=1))
    story.say(NoticeFailed(notice="3", template="received", channel="sms", attempts=5, reason="refused"))

    state = after(story.said)

    assert (state.notices_sent, state.notices_failed) == (3, 1)


def a_long_story() -> Story:
    story = a_story()
    deadline(story, DeadlineNear, Scope.STAGE)
    story.say(NoticeSent(notice="1", template="received", channel="email", attempts=1))
    story.say(SupplementRequested(run=1, nth=1, reason="missing"))
    story.say(SupplementReceived())
    story.hands_over("town_desk", run=2)
    story.say(WithdrawalRequested())
    story.finishes(run=2)
    story.say(ResultHandedOver(way="post"))
    return story


LONG = a_long_story()


@given(st.permutations([one.source for one in LONG.said]))
def test_the_order_between_the_sources_does_not_matter(order: list[Service]) -> None:
    streams = {source: iter([one for one in LONG.said if one.source is source]) for source in LONG.versions}

    assert after(next(streams[source]) for source in order) == after(LONG.said)


def test_a_hand_over_stands_in_the_timeline_under_the_giver_whose_lateness_it_is() -> None:
    story = a_story()
    handed = story.say(
        HandedOver(stage="commune_desk", run=1, giver=COMMUNE, giver_officer="officer-7", receiver=TOWN, late=True)
    )

    entry = following.entry_of(handed)

    assert (entry.unit, entry.officer, entry.late, entry.stage, entry.run) == (
        COMMUNE,
        "officer-7",
        True,
        "commune_desk",
        1,
    )
    assert entry.said()["receiver"] == TOWN


def a_cell(standing: Standing, count: int, status: Status = Status.IN_PROCESS, unit: str | None = COMMUNE) -> Cell:
    return Cell(unit, "commune_desk", status, standing, dossier_late=False, done_today=False, count=count)


def test_the_parts_of_the_picture_add_up_to_the_whole() -> None:
    cells = [
        a_cell(Standing.ON_TIME, 10),
        a_cell(Standing.NEAR, 4, unit=TOWN),
        a_cell(Standing.LATE, 3),
        replace(a_cell(Standing.LATE, 2, unit=TOWN), dossier_late=True, stage="town_desk"),
        a_cell(Standing.PAUSED, 5, Status.WAITS_FOR_FEE),
        replace(a_cell(Standing.DONE, 7, Status.RESULT_READY), stage=None, done_today=True),
        replace(a_cell(Standing.DONE, 70, Status.RESULT_HANDED_OVER), stage=None, dossier_late=True),
        replace(a_cell(Standing.WITHDRAWN, 1, Status.WITHDRAWN), stage=None),
    ]

    picture = counting.picture_of(cells)

    assert picture.total == Tally(on_time=10, near=4, late=5, paused=5, done_today=7)
    assert picture.total.open == 24 == sum(tally.open for tally in picture.units.values())
    assert picture.total.open == sum(tally.open for tally in picture.stages.values())
    assert picture.units[TOWN] == Tally(near=4, late=2)
    assert set(picture.stages) == {"commune_desk", "town_desk"}
    assert picture.promises_broken == 2
    assert sum(picture.statuses.values()) == sum(cell.count for cell in cells)
    assert picture.statuses[Status.RESULT_HANDED_OVER] == 70


def test_a_picture_of_nothing_is_all_zeros() -> None:
    picture = counting.picture_of([])

    assert picture.total == Tally()
    assert set(picture.statuses.values()) == {0}
