"""The dossier's status end to end, as intake follows what routing and notification say."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from services.intake.handlers import HEARS, door
from services.intake.rules import following
from services.intake.values import Dossier, Status
from services.routing.handlers import HEARS as ROUTING_HEARS
from services.routing.rules import acting
from services.routing.values import (
    Action,
    Finish,
    HandOver,
    Journey,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    SendBack,
)
from shared.bus import Decided, Decision, Unchanged
from shared.events import (
    DeadlinePassed,
    DossierResumed,
    DossierWithdrawn,
    Event,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    ResultReady,
    Scope,
    StageStarted,
    SupplementRequested,
)
from tests.builders import TOWN, WARD, a_dossier, a_journey, at, heard, saved, what_routing_knows

LATER = at("2019-05-07 09:00")
DUE = at("2019-05-21 17:00")


def follows(dossier: Dossier, *events: Event, time: datetime = LATER) -> Dossier:
    """The dossier after some events."""
    for event in events:
        decided = HEARS[type(event)](dossier, heard(event, time, subject=dossier.id), None)
        if isinstance(decided, Decided):
            dossier = decided.state
    return dossier


def a_start(stage: str = "commune_desk", unit: str = WARD, run: int = 1) -> StageStarted:
    """A stage begins."""
    return StageStarted(stage=stage, run=run, unit=unit, due=DUE)


def a_passing(scope: Scope = Scope.DOSSIER) -> DeadlinePassed:
    """A due date is over."""
    return DeadlinePassed(scope=scope, run=1, generation=1, unit=WARD, due=DUE)


def a_resuming() -> DossierResumed:
    """The clock runs again, with an hour's credit."""
    return DossierResumed(run=1, credited_seconds=3600, stage_due=DUE, due=DUE + timedelta(hours=1), generation=2)


A_REQUEST = SupplementRequested(run=1, nth=1, reason="papers_missing")
A_FEE = FeeRequested(run=1, amount_vnd=20_000, reason="fee")
READY = ResultReady(run=1, unit=WARD, late=True)


def test_a_started_stage_puts_the_dossier_in_process_and_says_where_it_is() -> None:
    dossier = follows(a_dossier(), a_start("town_desk", TOWN, 3))

    assert dossier.status is Status.IN_PROCESS
    assert (dossier.at_unit, dossier.at_stage, dossier.run, dossier.due) == (TOWN, "town_desk", 3, DUE)
    assert dossier.as_of == LATER


def test_a_recorded_stage_has_no_due_instant_and_leaves_the_promise() -> None:
    dossier = a_dossier()

    assert follows(dossier, StageStarted(stage="T02", run=1, unit=WARD)).due == dossier.promise


def test_a_hand_over_shows_the_receiver() -> None:
    event = HandedOver(stage="commune_officer", run=2, giver=WARD, receiver=TOWN)

    assert follows(a_dossier(), event).at_unit == TOWN


def test_missing_papers_and_fees_wait_for_the_citizen() -> None:
    asked = follows(a_dossier(), a_start(), SupplementRequested(run=1, nth=2, reason="papers_missing"))

    assert (asked.status, asked.supplements) == (Status.WAITS_FOR_SUPPLEMENT, 2)
    assert follows(a_dossier(), a_start(), A_FEE).status is Status.WAITS_FOR_FEE


def test_a_resumed_clock_moves_the_due_instant_and_never_the_promise() -> None:
    dossier = follows(a_dossier(), a_start(), A_REQUEST, a_resuming())

    assert (dossier.status, dossier.due) == (Status.IN_PROCESS, DUE + timedelta(hours=1))
    assert dossier.promise == a_dossier().promise


def test_only_the_dossier_s_own_deadline_makes_it_late_for_the_citizen() -> None:
    assert not follows(a_dossier(), a_passing(Scope.STAGE)).late
    assert follows(a_dossier(), a_passing()).late


def test_what_was_late_may_be_in_time_again_after_a_pause_and_routing_says_when_it_is_not() -> None:
    resumed = follows(a_dossier(), a_passing(), A_REQUEST, a_resuming())

    assert not resumed.late
    assert follows(resumed, a_passing()).late


def test_a_result_says_itself_whether_it_was_late() -> None:
    dossier = follows(a_dossier(), READY)

    assert (dossier.status, dossier.late) == (Status.RESULT_READY, True)
    assert not follows(a_dossier(late=True), ResultReady(run=1, unit=WARD)).late


def test_an_answer_of_routing_ends_the_request_that_it_answers_and_no_other() -> None:
    brought = a_dossier(status=Status.WAITS_FOR_SUPPLEMENT, requested="supplement")
    asked_back = a_dossier(status=Status.WAITS_FOR_SUPPLEMENT, requested="withdrawal")

    assert follows(brought, a_resuming()).requested is None
    assert follows(brought, A_REQUEST).requested is None
    assert follows(asked_back, a_resuming()).requested == "withdrawal"
    assert follows(asked_back, A_REQUEST).requested == "withdrawal"
    assert follows(asked_back, DossierWithdrawn(run=1)).requested is None
    assert follows(asked_back, READY).requested is None


def test_notices_are_counted_and_move_nothing_else() -> None:
    dossier = a_dossier()
    sent = NoticeSent(notice="1", template="received", channel="email", attempts=1)
    failed = NoticeFailed(notice="2", template="received", channel="email", attempts=9, reason="mailbox_unknown")

    told = follows(dossier, sent, sent, failed)

    assert (told.notices_sent, told.notices_failed) == (2, 1)
    assert replace(told, notices_sent=0, notices_failed=0) == dossier


def test_what_is_told_of_a_dossier_that_is_not_here_changes_nothing() -> None:
    for event in (a_start(), A_REQUEST, A_FEE, a_resuming(), a_passing(), READY, DossierWithdrawn(run=1)):
        assert HEARS[type(event)](None, heard(event), None) == Unchanged()


def test_an_event_out_of_the_past_does_not_turn_back_as_of() -> None:
    dossier = follows(a_dossier(), a_start(), time=LATER)

    earlier = following.handed_over(
        dossier, heard(HandedOver(stage="x", run=1, giver=WARD, receiver=TOWN), at("2019-05-06 09:00")), None
    )

    assert isinstance(earlier, Decided)
    assert earlier.state.as_of == LATER


# --- the portal's statuses -------------------------------------------------------------------------------------------

MAY_FOLLOW = {
    Status.RECEIVED: {Status.IN_PROCESS, Status.WITHDRAWN},
    Status.IN_PROCESS: {
        Status.WAITS_FOR_SUPPLEMENT,
        Status.WAITS_FOR_FEE,
        Status.WITHDRAWN,
        Status.STOPPED,
        Status.RESULT_READY,
    },
    Status.WAITS_FOR_SUPPLEMENT: {Status.IN_PROCESS, Status.WITHDRAWN, Status.STOPPED},
    # 6 -> 7 is ours: who does not want to pay may have the papers back (the domain page, 3.1, lists 6 -> 4 and 6 -> 8)
    Status.WAITS_FOR_FEE: {Status.IN_PROCESS, Status.STOPPED, Status.WITHDRAWN},
    Status.RESULT_READY: {Status.RESULT_HANDED_OVER, Status.IN_PROCESS},
    Status.WITHDRAWN: set(),
    Status.RESULT_HANDED_OVER: set(),
}

OFFICERS: tuple[Action, ...] = (
    HandOver(),
    SendBack("incomplete"),
    RequestSupplement((), "papers_missing"),
    RequestFee(20_000, "fee"),
    Resume(),
    Finish(),
)
CITIZEN: tuple[door.Wish, ...] = (door.Supplement(()), door.Withdrawal(), door.HandOut("desk"))


@settings(max_examples=150)
@given(st.lists(st.tuples(st.sampled_from([*OFFICERS, *CITIZEN, "heard"]), st.integers(0, 30)), max_size=25))
def test_whatever_officers_and_citizens_do_the_portal_sees_legal_transitions_only(
    steps: list[tuple[Action | door.Wish | str, int]],
) -> None:
    """Both services' own rules, each hearing the other late and in order."""
    known = what_routing_knows()
    journey = a_journey()
    dossier = a_dossier(id=journey.dossier)
    now = at("2019-05-06 08:00")
    to_intake: list[tuple[Event, datetime]] = [(a_start(), now)]
    to_routing: list[tuple[Event, datetime]] = []

    for step, hours in steps:
        now += timedelta(hours=hours)
        if isinstance(step, door.Supplement | door.Withdrawal | door.HandOut):
            taken = door.decide(dossier, step)
            if not isinstance(taken, door.NotDone):
                dossier = _moved(dossier, taken[0])
                to_routing.append((taken[1], now))
        elif isinstance(step, str):
            journey, told = _routing_hears(journey, to_routing)
            to_intake += told
            for event, time in to_intake:
                dossier = _moved(dossier, follows(dossier, event, time=time))
            to_intake, to_routing = [], []
        else:
            done: Decided[Journey] | Refused = acting.carry_out(journey, step, max(now, journey.last_at), known)
            if isinstance(done, Decided):
                journey = saved(done.state)
                to_intake += [(one.event, one.time or now) for one in done.say]


def _moved(before: Dossier, now: Dossier) -> Dossier:
    assert now.status is before.status or now.status in MAY_FOLLOW[before.status], (before.status, now.status)
    return now


def _routing_hears(
    journey: Journey, events: list[tuple[Event, datetime]]
) -> tuple[Journey, list[tuple[Event, datetime]]]:
    told: list[tuple[Event, datetime]] = []
    for event, time in events:
        hear = ROUTING_HEARS.get(type(event))
        if hear is None:
            continue
        decided: Decision[Journey] = hear(journey, heard(event, time, subject=journey.dossier), what_routing_knows())
        if isinstance(decided, Decided):
            journey = saved(decided.state)
            told += [(one.event, one.time or time) for one in decided.say]
    return journey, told


# --- several places at once ------------------------------------------------------------------------------------------

POLICE = StageStarted(stage="town_police", run=2, unit="000.62.99.H41", due=DUE, beside=(3,))
INSURER = StageStarted(stage="social_insurance", run=3, unit="000.63.99.H41", due=DUE, beside=(2,))


def an_end(run: int, *left: int) -> HandedOver:
    """A branch is done."""
    return HandedOver(stage="a_branch", run=run, giver=TOWN, receiver=WARD, beside=left)


def test_a_forked_dossier_lies_in_every_place_and_the_first_is_named() -> None:
    dossier = follows(a_dossier(), a_start(), POLICE, INSURER)

    assert [(one.run, one.unit, one.stage) for one in dossier.places] == [
        (2, POLICE.unit, "town_police"),
        (3, INSURER.unit, "social_insurance"),
    ]
    assert (dossier.at_unit, dossier.at_stage, dossier.run) == (POLICE.unit, "town_police", 2)
    assert dossier.status is Status.IN_PROCESS


def test_a_branch_that_is_done_leaves_the_others_and_the_last_goes_where_they_join() -> None:
    forked = follows(a_dossier(), a_start(), POLICE, INSURER)

    first_done = follows(forked, an_end(2, 3))
    last_done = follows(first_done, an_end(3))
    joined = follows(last_done, a_start("commune_return", WARD, 4))

    assert (first_done.places, first_done.at_unit, first_done.at_stage, first_done.run) == (
        (),
        INSURER.unit,
        "social_insurance",
        3,
    )
    assert (last_done.places, last_done.at_unit) == ((), WARD)
    assert (joined.places, joined.at_stage, joined.run) == ((), "commune_return", 4)


def test_of_three_branches_two_are_left() -> None:
    three = [one.model_copy(update={"beside": beside}) for one, beside in ((POLICE, (3, 4)), (INSURER, (2, 4)))]
    third = StageStarted(stage="tax_notice", run=4, unit=TOWN, due=DUE, beside=(2, 3))

    left = follows(a_dossier(), a_start(), *three, third, an_end(2, 3, 4))

    assert [one.run for one in left.places] == [3, 4]
    assert left.run == 3


def test_a_withdrawn_dossier_lies_nowhere() -> None:
    assert follows(a_dossier(), a_start(), POLICE, INSURER, DossierWithdrawn(run=2)).places == ()
