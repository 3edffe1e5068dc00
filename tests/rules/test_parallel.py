"""Where a route forks: each branch is a run of its own, and the last that ends joins."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from services.routing.rules import acting, deadline, past
from services.routing.rules import journey as rules
from services.routing.rules.branches import chosen, open_runs
from services.routing.rules.routes import wrong_with
from services.routing.values import (
    Action,
    Adopt,
    Budget,
    Entry,
    Finish,
    HandOver,
    Journey,
    Known,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    Route,
    SendBack,
    Stage,
    Timer,
)
from shared.bus import Decided, Unchanged
from shared.calendar import Term, TermUnit, length_of
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DossierResumed,
    DossierWithdrawn,
    HandedOver,
    Scope,
    StageRole,
    StageStarted,
    SupplementReceived,
    WithdrawalRequested,
)
from tests.builders import TOWN, WARD, a_journey, a_unit, at, heard, office, said, saved
from tests.rules.test_routes import CALENDAR_DAY, CITIZEN, COUNCIL, POSTING, SAME_DAY, days, known_with

POLICE_UNIT, INSURER_UNIT = "000.62.99.H41", "000.63.99.H41"
BIRTH = Stage("birth", "receiving", StageRole.OFFICER, budget=days(0, SAME_DAY))
POLICE = Stage("police", "named", StageRole.SPECIALIST, budget=days(15, CALENDAR_DAY), unit=POLICE_UNIT, parallel=True)
INSURER = Stage(
    "insurer", "named", StageRole.SPECIALIST, budget=days(10, CALENDAR_DAY), unit=INSURER_UNIT, parallel=True
)
RETURN = Stage("return", "receiving", StageRole.DESK, budget=days(0, SAME_DAY))
ROUTE = Route("khai-sinh", None, (BIRTH, POLICE, INSURER, RETURN))
"""2.000986: the birth is registered the same day, police and insurer at once, back at the desk."""
MONDAY = at("2019-05-06 08:00")
FORKED = at("2019-05-06 10:00")
SUPPLEMENT = RequestSupplement(("to_khai",), "papers_missing")


def known(route: Route = ROUTE) -> Known:
    """What routing knows, with the police and the insurer."""
    found = known_with(route)
    units = {code: (a_unit(code, level="town"),) for code in (POLICE_UNIT, INSURER_UNIT)}
    return replace(found, units={**found.units, **units})


def does(journey: Journey, run: int | None, action: Action, now: datetime, route: Route = ROUTE) -> Decided[Journey]:
    """What comes of an action on one of the open runs."""
    meant = chosen(journey, run)
    assert isinstance(meant, Journey), meant
    done = acting.carry_out(meant, action, now, known(route))
    assert isinstance(done, Decided), done
    return done


def refused(journey: Journey, run: int | None, action: Action, now: datetime) -> Refused:
    """Why an action on one of the open runs is not carried out."""
    meant = chosen(journey, run)
    done = acting.carry_out(meant, action, now, known()) if isinstance(meant, Journey) else meant
    assert isinstance(done, Refused), done
    return done


def the_fork(origin: str | None = None) -> Decided[Journey]:
    """The birth is registered, and the dossier lies at the police and at the insurer."""
    return does(a_journey(received=MONDAY, known=known(), origin=origin), None, HandOver(), FORKED)


def in_parallel(origin: str | None = None) -> Journey:
    return saved(the_fork(origin).state)


def timer_of(journey: Journey, run: int) -> Timer:
    """The next rung of a branch's clock."""
    (timer,) = [one.timer for one in journey.branches if one.run == run]
    assert timer is not None
    return timer


# --- publishing ------------------------------------------------------------------------------------------------------


def test_a_fork_takes_as_long_as_its_longest_branch() -> None:
    assert ROUTE.length == length_of(Term(15, TermUnit.CALENDAR_DAY))
    assert [list(step) for step in ROUTE.steps] == [[0], [1, 2], [3]]
    shared = (
        Stage("a", "receiving", StageRole.DESK, 1),
        Stage("b", "receiving", StageRole.OFFICER, 5, parallel=True),
        Stage("c", "parent", StageRole.DESK, 8, parallel=True),
        Stage("d", "receiving", StageRole.DESK, 1),
    )
    assert Route("r", None, shared).shares == 10


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ((BIRTH, POLICE, RETURN), "stages/1/parallel"),
        ((POLICE, INSURER, RETURN), "stages/0/parallel"),
        ((BIRTH, POLICE, INSURER), "stages/1/parallel"),
        ((BIRTH, POLICE, replace(POSTING, parallel=True), RETURN), "stages/2/kind"),
        ((BIRTH, POLICE, replace(CITIZEN, parallel=True), RETURN), "stages/2/kind"),
        ((BIRTH, POLICE, INSURER, POSTING, RETURN), "stages/3/kind"),
        ((BIRTH, POLICE, INSURER, CITIZEN, RETURN), "stages/3/kind"),
        ((BIRTH, POLICE, replace(INSURER, budget=None, share=1), RETURN), "stages"),
        ((BIRTH, POLICE, replace(INSURER, name="police"), RETURN), "stages"),
    ],
)
def test_a_fork_that_is_none_is_refused_with_its_field(stages: tuple[Stage, ...], field: str) -> None:
    wrong = wrong_with(Route("r", None, stages), {WARD, TOWN, POLICE_UNIT, INSURER_UNIT}, (), {})

    assert wrong is not None
    assert (wrong.field, bool(wrong.detail), bool(wrong.do)) == (field, True, True)


def test_of_a_fork_the_longest_branch_must_fit_into_the_term_with_what_comes_before_and_after() -> None:
    units = {WARD, TOWN, POLICE_UNIT, INSURER_UNIT}
    longer = replace(ROUTE, stages=(COUNCIL, *ROUTE.stages[1:]))

    fits = wrong_with(ROUTE, units, (), {"2.000986": length_of(Term(15, CALENDAR_DAY))})
    too_long = wrong_with(longer, units, (), {"2.000986": length_of(Term(29, CALENDAR_DAY))})

    assert fits is None
    assert too_long is not None
    assert "30 calendar days" in too_long.detail


# --- the fork --------------------------------------------------------------------------------------------------------


def test_at_a_fork_every_branch_begins_as_a_run_of_its_own_and_names_the_others() -> None:
    forked = the_fork()

    assert said(forked) == ["HandedOver", "StageStarted", "StageStarted"]
    police, insurer = (one.event for one in forked.say if isinstance(one.event, StageStarted))
    assert (police.run, police.unit, police.beside) == (2, POLICE_UNIT, (3,))
    assert (insurer.run, insurer.unit, insurer.beside) == (3, INSURER_UNIT, (2,))
    assert (police.stage_due, insurer.stage_due) == (at("2019-05-21 17:00"), at("2019-05-16 17:00"))
    assert all(one.time == FORKED for one in forked.say)
    assert [one.run for one in open_runs(forked.state)] == [2, 3]
    # The only stage's clock is over; the dossier's own is not touched.
    assert (forked.state.unsaved.clocks, forked.state.unsaved.timers) == (frozenset({Scope.STAGE}), ())
    assert [timer_of(forked.state, run).rung for run in (2, 3)] == ["near", "near"]


def test_a_branch_that_ends_goes_to_the_desk_that_joins_and_waits_there_for_the_other() -> None:
    ended = does(in_parallel(), 3, HandOver(), at("2019-05-10 09:00"))

    assert said(ended) == ["HandedOver"]
    (event,) = [one.event for one in ended.say]
    assert isinstance(event, HandedOver)
    assert (event.run, event.giver, event.receiver, event.beside, event.late) == (3, INSURER_UNIT, WARD, (2,), False)
    assert (ended.state.stage, ended.state.unit, ended.state.branches) == ("police", POLICE_UNIT, ())
    # What is left is a journey like any other: its clock stands where the only stage's stands.
    assert [one.run for one in ended.state.unsaved.timers] == [2]


@pytest.mark.parametrize("order", [(2, 3), (3, 2)])
def test_the_last_that_ends_joins_at_that_instant(order: tuple[int, int]) -> None:
    first, last = order
    journey = saved(does(in_parallel(), first, HandOver(), at("2019-05-10 09:00")).state)

    joined = does(journey, last, HandOver("desk-2"), at("2019-05-20 09:00"))

    assert said(joined) == ["HandedOver", "StageStarted"]
    started = joined.say[1].event
    assert isinstance(started, StageStarted)
    assert (started.stage, started.run, started.unit, started.beside) == ("return", 4, WARD, ())
    assert (started.officer, joined.say[1].time) == ("desk-2", at("2019-05-20 09:00"))
    assert (joined.state.branches, joined.state.last_run) == ((), 0)
    assert does(saved(joined.state), None, Finish(), at("2019-05-20 10:00")).state.state == "done"


def test_a_late_branch_is_late_by_itself() -> None:
    late = does(in_parallel(), 3, HandOver(), at("2019-05-17 09:00")).say[0].event

    assert isinstance(late, HandedOver)
    assert late.late


def test_a_command_says_which_of_the_open_runs_it_is_about() -> None:
    journey = in_parallel()

    missing = refused(journey, None, HandOver(), FORKED)
    over = refused(journey, 1, HandOver(), FORKED)
    only = refused(a_journey(received=MONDAY, known=known()), 2, HandOver(), FORKED)

    assert (missing.code, over.code, only.code) == ("run_missing", "run_not_open", "run_not_open")
    assert all(f"2 (police at {POLICE_UNIT}), 3 (insurer at {INSURER_UNIT})" in one.do for one in (missing, over))


def test_nobody_can_be_named_for_a_stage_that_does_not_begin_alone() -> None:
    begun = a_journey(received=MONDAY, known=known())

    assert refused(begun, None, HandOver("officer-2"), FORKED).code == "several_take_it"
    assert refused(in_parallel(), 2, HandOver("desk-2"), FORKED).code == "several_take_it"


def test_a_branch_sends_nothing_back_and_the_stage_that_joins_says_to_which_branch() -> None:
    journey = in_parallel()
    for run in (2, 3):
        assert refused(journey, run, SendBack("wrong_name"), at("2019-05-09 09:00")).code == "in_parallel"
        journey = saved(does(journey, run, HandOver(), at("2019-05-10 09:00")).state)

    unclear = refused(journey, None, SendBack("wrong_name"), at("2019-05-13 09:00"))
    back = does(journey, None, SendBack("wrong_name", "insurer"), at("2019-05-13 09:00"))
    again = does(saved(back.state), None, HandOver(), at("2019-05-14 09:00"))

    assert (unclear.code, "police or insurer" in unclear.do) == ("which_stage", True)
    assert (back.state.stage, back.state.run, back.state.unit, back.state.branches) == ("insurer", 5, INSURER_UNIT, ())
    assert (again.state.stage, again.state.run) == ("return", 6)
    assert refused(saved(back.state), None, SendBack("no"), at("2019-05-14 09:00")).code == "in_parallel"


def test_a_stage_that_is_named_is_the_one_before() -> None:
    journey = saved(does(in_parallel(), 2, HandOver(), at("2019-05-10 09:00")).state)
    journey = saved(does(journey, 3, HandOver(), at("2019-05-10 09:00")).state)

    assert refused(journey, None, SendBack("wrong_name", "birth"), at("2019-05-13 09:00")).code == "which_stage"


# --- pauses ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ask", [SUPPLEMENT, RequestFee(20_000, "fee_of_residence")])
def test_a_pause_that_one_branch_asks_for_stops_and_credits_every_clock(ask: Action) -> None:
    paused = does(in_parallel(), 3, ask, at("2019-05-08 10:00"))

    resumed = does(saved(paused.state), 2, Resume(), at("2019-05-09 10:00"))

    assert paused.say[0].event.model_dump()["run"] == 3
    assert paused.state.state == "paused"
    assert all(one.timer is None for one in paused.state.branches)
    assert refused(saved(paused.state), 2, HandOver(), at("2019-05-08 11:00")).code == "paused"
    event = resumed.say[0].event
    assert isinstance(event, DossierResumed)
    assert event.credited_seconds == int(timedelta(hours=7.5).total_seconds())
    assert (event.run, event.stage_due) == (2, at("2019-05-22 17:00"))
    assert [(one.run, one.stage_due) for one in event.beside] == [(3, at("2019-05-17 17:00"))]
    assert [one.due for one in resumed.state.branches] == [at("2019-05-22 17:00"), at("2019-05-17 17:00")]
    assert {timer_of(resumed.state, run).generation for run in (2, 3)} == {2}


def test_papers_that_come_in_let_every_branch_go_on() -> None:
    paused = saved(does(in_parallel(), 3, SUPPLEMENT, at("2019-05-08 10:00")).state)

    resumed = rules.resume_by_citizen(paused, heard(SupplementReceived(), at("2019-05-09 10:00")), known())

    assert isinstance(resumed, Decided)
    assert (said(resumed), len(resumed.state.branches)) == (["DossierResumed"], 2)


def test_a_withdrawal_closes_every_branch_and_is_said_once() -> None:
    withdrawn = rules.withdraw(in_parallel(), heard(WithdrawalRequested(), at("2019-05-08 10:00")), known())

    assert isinstance(withdrawn, Decided)
    assert [one.event for one in withdrawn.say] == [DossierWithdrawn(run=2)]
    assert (withdrawn.state.state, withdrawn.state.branches, open_runs(withdrawn.state)) == ("withdrawn", (), ())
    assert withdrawn.state.unsaved.rewrites_branches


# --- timers ----------------------------------------------------------------------------------------------------------


def test_each_branch_has_a_clock_of_its_own() -> None:
    journey = in_parallel()
    near = timer_of(journey, 3)

    fired = acting.fire(journey, near, near.fires_at, known())

    assert isinstance(fired, Decided)
    (event,) = [one.event for one in fired.say]
    assert isinstance(event, DeadlineNear)
    assert (event.scope, event.run, event.unit, event.due) == (
        Scope.STAGE,
        3,
        INSURER_UNIT,
        at("2019-05-16 17:00"),
    )
    assert (timer_of(fired.state, 3).rung, timer_of(fired.state, 2)) == ("reached", timer_of(journey, 2))
    assert fired.state.run == 2


def test_a_timer_of_a_branch_that_is_over_says_nothing() -> None:
    journey = in_parallel()
    late = saved(does(journey, 3, HandOver(), at("2019-05-10 09:00")).state)

    assert acting.fire(late, timer_of(journey, 3), at("2019-05-20 09:00"), known()) == Unchanged()


# --- whatever the order ----------------------------------------------------------------------------------------------

waits = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=12))
three = (
    replace(POLICE, name="first"),
    replace(INSURER, name="second"),
    replace(POLICE, name="third", place="parent", unit=None, budget=Budget(9, TermUnit.WORKING_DAY)),
)


@settings(max_examples=120)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["end", "ask", "answer", "resume"]), st.integers(0, 2), waits), max_size=14
    ),
    branches=st.integers(2, 3),
)
def test_in_whatever_order_branches_end_there_is_one_join_and_the_ledger_gives_every_due_instant(
    steps: list[tuple[str, int, timedelta]], branches: int
) -> None:
    route = replace(ROUTE, stages=(BIRTH, *three[:branches], RETURN))
    now = FORKED
    forked = does(a_journey(received=MONDAY, known=known(route)), None, HandOver(), now, route)
    first = Entry(1, "started", 1, MONDAY, "birth", WARD, None, 0)
    journey, ledger = saved(forked.state), [first, *forked.state.unsaved.entries]
    events = [one.event for one in forked.say]

    for what, which, gap in steps:
        there = open_runs(journey)
        if journey.stage == "return":
            break
        now += gap
        run = there[which % len(there)].run
        done: Decided[Journey]
        if what == "answer" and journey.state == "paused":
            answered = rules.resume_by_citizen(journey, heard(SupplementReceived(), now), known(route))
            assert isinstance(answered, Decided)
            done = answered
        elif journey.state == "paused":
            done = does(journey, run, Resume(), now, route)
        elif what == "ask":
            done = does(journey, run, SUPPLEMENT, now, route)
        else:
            done = does(journey, run, HandOver(), now, route)
        ledger += done.state.unsaved.entries
        events += [one.event for one in done.say]
        journey = saved(done.state)

        recomputed = deadline.recompute(office(), journey.promise, ledger)
        runs = open_runs(journey)
        assert recomputed == deadline.Recomputed(journey.due, runs[0].due, tuple(one.due for one in runs[1:]))
        assert [entry.number for entry in ledger] == list(range(1, len(ledger) + 1))
        assert (journey.run, journey.stage_due, journey.unit) == (runs[0].run, runs[0].due, runs[0].unit)
        if journey.branches:
            assert all((one.timer is not None) == (journey.state == "moving") for one in journey.branches)

    started = [one for one in ledger if one.kind == "started"]
    ended = [one.run for one in ledger if one.kind == "ended"]
    assert len({one.run for one in started}) == len(started)
    assert len(set(ended)) == len(ended)
    joins = [one for one in started if one.stage == "return"]
    is_over = set(ended) >= {one.run for one in started if one.stage != "return"}
    assert len(joins) == (1 if is_over else 0)
    assert sum(isinstance(one, StageStarted) and one.stage == "return" for one in events) == len(joins)
    assert sum(isinstance(one, HandedOver) for one in events) == len(ended)


# --- records ---------------------------------------------------------------------------------------------------------


def test_of_a_record_each_branch_s_deadlines_are_said_in_their_order() -> None:
    journey = in_parallel("old-books")
    meant = chosen(journey, 2)
    assert isinstance(meant, Journey)

    decided = past.carry_out(meant, HandOver(), at("2019-05-23 09:00"), at("2020-01-01 09:00"), known())

    assert isinstance(decided, Decided)
    passed = [one for one in decided.say if isinstance(one.event, DeadlinePassed)]
    runs = [one.event.run for one in passed if isinstance(one.event, DeadlinePassed) and one.event.scope is Scope.STAGE]
    assert runs == [3, 2]
    assert [one.time for one in decided.say] == sorted(one.time for one in decided.say if one.time is not None)
    assert said(decided)[-1] == "HandedOver"
    assert decided.state.stage == "insurer"


def test_a_record_that_is_adopted_in_a_fork_goes_on_in_every_branch() -> None:
    journey = in_parallel("old-books")
    assert all(one.timer is None for one in journey.branches)

    adopted = past.carry_out(journey, Adopt(), at("2019-05-08 09:00"), at("2019-05-08 09:00"), known())

    assert isinstance(adopted, Decided)
    assert [timer_of(adopted.state, run).run for run in (2, 3)] == [2, 3]
    assert [one.scope for one in adopted.state.unsaved.timers] == [Scope.DOSSIER]
    ended = does(saved(adopted.state), 2, HandOver(), at("2019-05-09 09:00"))
    assert replaced(ended.state, unsaved=journey.unsaved).stage == "insurer"
