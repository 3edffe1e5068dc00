"""What officers may do with a dossier, what they may not, and what its timers say."""

from __future__ import annotations

from datetime import datetime

import pytest
from msgspec.structs import replace

from services.routing.rules import acting
from services.routing.values import (
    Action,
    Finish,
    HandOver,
    Journey,
    RecordStep,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    Rung,
    SendBack,
    State,
    Timer,
)
from shared.bus import Decided, Unchanged
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    FeeRequested,
    HandedOver,
    ResultReady,
    Scope,
    StageRole,
    SupplementRequested,
)
from tests.builders import (
    REPLAY,
    TOWN,
    WARD,
    a_journey,
    a_record,
    after,
    at,
    said,
    saved,
    what_routing_knows,
)

NOW = at("2019-05-06 09:00")
SUPPLEMENT = RequestSupplement(("cmnd",), "papers_missing")
FEE = RequestFee(20_000, "fee_of_residence")
EVERY_ACTION: tuple[Action, ...] = (HandOver(), SendBack("wrong_unit"), SUPPLEMENT, FEE, Resume(), Finish())


def carried_out(journey: Journey, action: Action, now: datetime = NOW) -> Decided[Journey]:
    """What becomes of an action that fits."""
    done = acting.carry_out(journey, action, now, what_routing_knows())
    assert isinstance(done, Decided), done
    return done


def refusal(journey: Journey, action: Action, now: datetime = NOW) -> str:
    """The code of a refusal; every refusal says what to do."""
    refused = acting.carry_out(journey, action, now, what_routing_knows())
    assert isinstance(refused, Refused)
    assert len(refused.do.split()) > 3
    return refused.code


def test_a_hand_over_ends_the_stage_and_starts_the_next_with_a_clock_of_its_own() -> None:
    journey = a_journey()

    done = carried_out(journey, HandOver("officer-9"))

    state = done.state
    assert said(done) == ["HandedOver", "StageStarted"]
    assert (state.stage, state.run, state.role, state.officer) == ("commune_officer", 2, StageRole.OFFICER, "officer-9")
    assert (state.stage_started, state.stage_credit.total_seconds()) == (NOW, 0)
    assert [entry.kind for entry in state.unsaved.entries] == ["ended", "started"]
    assert (state.due, state.promise) == (journey.due, journey.promise)
    event = done.say[0].event
    assert isinstance(event, HandedOver)
    assert (event.stage, event.run, event.giver, event.receiver, event.receiver_officer, event.late, event.back) == (
        "commune_desk",
        1,
        WARD,
        WARD,
        "officer-9",
        False,
        False,
    )


def test_a_dossier_travels_from_the_commune_to_the_town_and_back() -> None:
    journey, way = a_journey(), []

    for _ in range(5):
        journey = after(journey, (HandOver(), NOW))
        way.append((journey.stage, journey.unit, journey.role))
    done = carried_out(journey, Finish())

    assert way == [
        ("commune_officer", WARD, StageRole.OFFICER),
        ("town_desk", TOWN, StageRole.DESK),
        ("town_specialist", TOWN, StageRole.SPECIALIST),
        ("town_return", TOWN, StageRole.DESK),
        ("commune_return", WARD, StageRole.DESK),
    ]
    assert said(done) == ["ResultReady"]
    assert done.state.state == "done"
    assert done.state.unsaved.timers == ()
    assert done.state.unsaved.clocks == {Scope.STAGE, Scope.DOSSIER}


def test_sent_back_it_enters_the_stage_before_as_a_new_run() -> None:
    journey = after(a_journey(), (HandOver(), NOW))

    back = carried_out(journey, SendBack("incomplete"))

    assert (back.state.stage, back.state.run) == ("commune_desk", 3)
    event = back.say[0].event
    assert isinstance(event, HandedOver)
    assert (event.back, event.reason, event.receiver) == (True, "incomplete", WARD)


def test_a_stage_is_late_by_the_date_and_not_by_the_hour() -> None:
    journey = a_journey()  # its desk is due on the 6th at 15:07

    evening = carried_out(journey, HandOver(), at("2019-05-06 23:59")).say[0].event
    next_day = carried_out(journey, HandOver(), at("2019-05-07 00:00")).say[0].event

    assert isinstance(evening, HandedOver)
    assert isinstance(next_day, HandedOver)
    assert (evening.late, next_day.late) == (False, True)


@pytest.mark.parametrize(("finished", "late"), [("2019-05-20 23:59", False), ("2019-05-21 00:00", True)])
def test_a_result_is_late_by_the_date_of_the_promise(finished: str, late: bool) -> None:
    journey = after(a_journey(), *((HandOver(), NOW) for _ in range(5)))

    event = carried_out(journey, Finish(), at(finished)).say[0].event

    assert isinstance(event, ResultReady)
    assert (event.late, event.due) == (late, at("2019-05-20 17:00"))


def test_every_request_for_papers_is_counted() -> None:
    journey = after(a_journey(), (SUPPLEMENT, NOW), (Resume(), NOW))

    second = carried_out(journey, SUPPLEMENT).say[0].event

    assert second == SupplementRequested(run=1, nth=2, components=("cmnd",), reason="papers_missing")


def test_a_fee_stops_the_clock_too() -> None:
    done = carried_out(a_journey(), FEE)

    assert (done.state.state, done.state.pause_reason, done.state.paused_at) == ("paused", "fee", NOW)
    assert done.say[0].event == FeeRequested(run=1, amount_vnd=20_000, reason="fee_of_residence")
    assert done.state.unsaved.timers == ()


@pytest.mark.parametrize("action", [one for one in EVERY_ACTION if not isinstance(one, Resume)])
@pytest.mark.parametrize("pause", [SUPPLEMENT, FEE])
def test_nothing_but_resuming_goes_while_the_clock_stands(action: Action, pause: Action) -> None:
    assert refusal(after(a_journey(), (pause, NOW)), action) == "paused"


@pytest.mark.parametrize("action", EVERY_ACTION)
def test_nothing_goes_once_the_dossier_is_closed(action: Action) -> None:
    journey = a_journey()

    assert refusal(replace(journey, state="done"), action) == "closed"
    assert refusal(replace(journey, state="withdrawn"), action) == "closed"


@pytest.mark.parametrize("action", EVERY_ACTION)
def test_officers_do_nothing_with_a_replayed_record(action: Action) -> None:
    assert refusal(a_record(at("2011-10-11 11:45")), action) == "recorded"


def test_what_does_not_fit_the_stage_is_refused() -> None:
    first = a_journey()
    last = after(first, *((HandOver(), NOW) for _ in range(5)))

    assert refusal(first, SendBack("wrong_unit")) == "first_stage"
    assert refusal(first, Finish()) == "not_last_stage"
    assert refusal(last, HandOver()) == "last_stage"
    assert refusal(first, Resume()) == "not_paused"


# --- replayed records ------------------------------------------------------------------------------------------------


def a_step(
    officer: str | None = "Resource21", when: str = "2011-10-11 11:45", stage: str = "Confirmation"
) -> RecordStep:
    """A step of the record."""
    return RecordStep(stage, REPLAY, officer, at(when))


def test_recorded_steps_start_stages_at_their_own_times() -> None:
    record = a_record(at("2011-10-11 11:45"))

    first = carried_out(record, a_step())
    second = carried_out(saved(first.state), a_step(when="2011-10-12 08:26", stage="T06 Determine necessity"))

    assert said(first) == said(second) == ["StageStarted"]
    assert [one.time for one in (*first.say, *second.say)] == [at("2011-10-11 11:45"), at("2011-10-12 08:26")]
    assert (second.state.run, second.state.stage, second.state.unit) == (2, "T06 Determine necessity", REPLAY)
    assert second.state.unsaved.timers == ()


@pytest.mark.parametrize(
    ("before", "then", "handed_over"),
    [("Resource21", "Resource10", True), ("Resource21", "Resource21", False), ("Resource21", None, True)],
)
def test_a_changed_officer_is_a_hand_over(before: str, then: str | None, handed_over: bool) -> None:
    record = after(a_record(at("2011-10-11 11:45")), (a_step(before), NOW))

    done = carried_out(record, a_step(then, "2011-10-12 08:26"))

    assert said(done) == (["HandedOver", "StageStarted"] if handed_over else ["StageStarted"])


def test_recorded_steps_go_in_order_into_open_records_and_not_into_the_future() -> None:
    record = after(a_record(at("2011-10-11 11:45")), (a_step(when="2011-10-12 08:26"), NOW))

    assert refusal(record, a_step(when="2011-10-12 08:25")) == "before_the_last"
    assert refusal(record, a_step(when="2019-05-06 09:01")) == "not_yet"
    assert refusal(a_journey(), a_step()) == "not_recorded"
    assert refusal(replace(record, state="withdrawn"), a_step(when="2011-10-13 08:00")) == "closed"


# --- timers ----------------------------------------------------------------------------------------------------------


def the_timer(journey: Journey, scope: Scope, rung: Rung, fires_at: datetime) -> Timer:
    """A timer of a journey's present clocks."""
    return Timer(scope, journey.run if scope is Scope.STAGE else 0, rung, journey.generation, fires_at)


def fired(journey: Journey, timer: Timer, now: datetime) -> Decided[Journey]:
    """What a timer says that has something to say."""
    done = acting.fire(journey, timer, now, what_routing_knows())
    assert isinstance(done, Decided), done
    return done


def test_a_dossier_s_clock_says_near_then_reached_then_passed() -> None:
    journey, events = a_journey(), []
    timer: Timer | None = the_timer(journey, Scope.DOSSIER, "near", at("2019-05-17 16:30"))
    while timer is not None:
        done = fired(journey, timer, timer.fires_at)
        events.append((type(done.say[0].event), timer.fires_at))
        timer = next(iter(done.state.unsaved.timers), None)

    assert events == [
        (DeadlineNear, at("2019-05-17 16:30")),
        (DeadlineReached, at("2019-05-20 17:00")),
        (DeadlinePassed, at("2019-05-21 00:00")),
    ]


def test_a_fired_clock_leaves_the_other_as_it_was() -> None:
    journey = a_journey()

    done = fired(journey, the_timer(journey, Scope.STAGE, "reached", journey.stage_due), journey.stage_due)

    assert done.state.unsaved.clocks == {Scope.STAGE}
    assert [one.scope for one in done.state.unsaved.timers] == [Scope.STAGE]
    event = done.say[0].event
    assert isinstance(event, DeadlineReached)
    assert (event.scope, event.run, event.unit, event.due) == (Scope.STAGE, 1, WARD, journey.stage_due)


def test_a_timer_never_fires_early() -> None:
    journey = a_journey()
    timer = the_timer(journey, Scope.DOSSIER, "near", at("2019-05-17 16:30"))

    assert acting.fire(journey, timer, at("2019-05-17 16:29:59"), what_routing_knows()) == Unchanged()


def test_a_timer_of_an_older_generation_or_of_an_older_run_says_nothing() -> None:
    journey = a_journey()
    of_dossier = the_timer(journey, Scope.DOSSIER, "near", at("2019-05-17 16:30"))
    of_stage = the_timer(journey, Scope.STAGE, "near", at("2019-05-06 14:00"))
    resumed = after(journey, (SUPPLEMENT, NOW), (Resume(), NOW))
    handed_over = after(journey, (HandOver(), NOW))
    later = at("2019-05-18 09:00")

    assert acting.fire(resumed, of_dossier, later, what_routing_knows()) == Unchanged()
    assert acting.fire(resumed, of_stage, later, what_routing_knows()) == Unchanged()
    assert acting.fire(handed_over, of_stage, later, what_routing_knows()) == Unchanged()


@pytest.mark.parametrize("state", ["paused", "done", "withdrawn"])
def test_a_clock_that_stands_says_nothing(state: State) -> None:
    journey = replace(a_journey(), state=state)
    timer = the_timer(journey, Scope.DOSSIER, "near", at("2019-05-17 16:30"))

    assert acting.fire(journey, timer, at("2019-05-18 09:00"), what_routing_knows()) == Unchanged()


@pytest.mark.parametrize(
    ("looked_again", "event"),
    [
        ("2019-05-17 17:00", DeadlineNear),
        ("2019-05-20 17:00", DeadlineReached),
        ("2019-05-20 23:59", DeadlineReached),
        ("2019-05-25 08:00", DeadlinePassed),
    ],
)
def test_when_nobody_looked_for_days_only_the_last_rung_is_said(looked_again: str, event: type) -> None:
    journey = a_journey()

    done = fired(journey, the_timer(journey, Scope.DOSSIER, "near", at("2019-05-17 16:30")), at(looked_again))

    assert [type(one.event) for one in done.say] == [event]
    assert all(one.fires_at > at(looked_again) for one in done.state.unsaved.timers)


def test_a_late_dossier_is_not_called_late_again_by_every_hand_over() -> None:
    """Its due instant has not moved; another apology at each desk would be an insult."""
    journey = a_journey()
    late = at("2019-05-21 00:00")
    told = saved(fired(journey, the_timer(journey, Scope.DOSSIER, "passed", late), late).state)

    handed_over = carried_out(told, HandOver(), at("2019-05-21 09:00")).state

    assert handed_over.unsaved.clocks == {Scope.STAGE}
    assert {one.scope for one in handed_over.unsaved.timers} == {Scope.STAGE}
    assert handed_over.generation == journey.generation


def test_two_actions_in_one_bulk_keep_what_both_set() -> None:
    paused = after(a_journey(), (SUPPLEMENT, NOW))

    resumed = carried_out(paused, Resume(), at("2019-05-06 10:00")).state
    handed_over = carried_out(resumed, HandOver(), at("2019-05-06 10:00")).state

    timers = {one.scope: one for one in handed_over.unsaved.timers}
    assert handed_over.unsaved.clocks == {Scope.STAGE, Scope.DOSSIER}
    assert (timers[Scope.STAGE].run, timers[Scope.DOSSIER].generation) == (2, 2)
    assert len(handed_over.unsaved.timers) == 2
