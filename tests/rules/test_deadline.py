"""The deadline as a budget and a ledger: due instants and timers are computed, and the ledger alone suffices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace as replaced

from services.routing.rules import acting, deadline
from services.routing.rules import journey as rules
from services.routing.values import (
    Action,
    Entry,
    Finish,
    HandOver,
    Journey,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    SendBack,
    State,
    Timer,
)
from shared.bus import Decided, Decision
from shared.events import Scope, SupplementReceived, WithdrawalRequested
from tests.builders import a_dossier_received, a_journey, after, at, heard, office, saved, what_routing_knows

SUPPLEMENT = RequestSupplement((), "papers_missing")
ACTIONS: Sequence[Action] = (
    HandOver(),
    HandOver("officer-9"),
    SendBack("incomplete"),
    SUPPLEMENT,
    RequestFee(20_000, "fee"),
    Resume(),
    Finish(),
)
BY_CITIZEN = (SupplementReceived(), WithdrawalRequested())
gaps = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=20))


@settings(max_examples=80)
@given(
    received=st.datetimes(at("2017-01-01 00:00").replace(tzinfo=None), at("2020-06-01 00:00").replace(tzinfo=None)),
    steps=st.lists(st.tuples(st.sampled_from([*ACTIONS, *BY_CITIZEN]), gaps), max_size=12),
)
def test_the_ledger_alone_recomputes_both_due_instants_after_any_sequence_of_actions(
    received: datetime, steps: list[tuple[Action | SupplementReceived | WithdrawalRequested, timedelta]]
) -> None:
    now = received.replace(tzinfo=at("2019-05-06 08:00").tzinfo)
    begun = rules.begin(None, heard(a_dossier_received(now), now), what_routing_knows())
    assert isinstance(begun, Decided)
    journey, ledger = saved(begun.state), list(begun.state.unsaved.entries)

    for step, gap in steps:
        now += gap
        done: Decision[Journey] | Refused
        if isinstance(step, SupplementReceived):
            done = rules.resume_by_citizen(journey, heard(step, now), what_routing_knows())
        elif isinstance(step, WithdrawalRequested):
            done = rules.withdraw(journey, heard(step, now), what_routing_knows())
        else:
            done = acting.carry_out(journey, step, now, what_routing_knows())
        if not isinstance(done, Decided):
            continue
        ledger += done.state.unsaved.entries
        # What the row keeps of a credit is whole seconds.
        credit = timedelta(seconds=int(done.state.credit.total_seconds()))
        stage_credit = timedelta(seconds=int(done.state.stage_credit.total_seconds()))
        journey = replaced(saved(done.state), credit=credit, stage_credit=stage_credit)

        recomputed = deadline.recompute(office(), journey.promise, ledger)
        assert recomputed == deadline.Recomputed(journey.due, journey.stage_due)
        assert journey.due >= journey.promise
        assert [entry.number for entry in ledger] == list(range(1, len(ledger) + 1))
        assert all(one.fires_at > now or one.rung == "passed" for one in done.state.unsaved.timers)
        assert (journey.state == "moving") or not done.state.unsaved.timers


@given(
    received=st.datetimes(at("2017-01-01 00:00").replace(tzinfo=None), at("2020-06-01 00:00").replace(tzinfo=None)),
    later=gaps,
    term=st.timedeltas(timedelta(days=-2), timedelta(days=60)),
    credit=gaps,
    share=st.integers(0, 16),
)
def test_the_start_of_a_stage_in_one_reckoning_is_what_its_questions_answer_one_by_one(
    received: datetime, later: timedelta, term: timedelta, credit: timedelta, share: int
) -> None:
    received = received.replace(tzinfo=at("2019-05-06 08:00").tzinfo)
    started, promise = received + later, received + term
    due = deadline.dossier_due(office(), promise, credit)

    start = deadline.stage_start(office(), started, received=received, promise=promise, due=due, share=share, shares=16)

    budget = deadline.stage_budget(office(), received, promise, share, 16)
    stage_due = deadline.stage_due(office(), started, budget, timedelta(0))
    assert (start.budget_minutes, start.due) == (budget, stage_due)
    assert start.near == office().subtract_working_time(stage_due, timedelta(minutes=budget / 4))
    assert start.dossier_near == office().subtract_working_time(due, deadline.NEAR_OF_DOSSIER)


def test_after_an_edit_of_the_calendar_the_same_ledger_gives_the_new_due_instants() -> None:
    """A storm closes the offices on the 8th: the pause is shorter by that day, and so are both credits."""
    ledger = [
        Entry(1, "started", 1, at("2019-05-06 08:00"), seconds=15 * 3600),
        Entry(2, "paused", 1, at("2019-05-07 16:00")),
        Entry(3, "resumed", 1, at("2019-05-09 08:30"), seconds=9 * 3600 + 1800),
    ]
    stormy = replace(office(), version=2, days_off=office().days_off | {at("2019-05-08 08:00").date()})

    before = deadline.recompute(office(), at("2019-05-20 17:00"), ledger)
    edited = deadline.recompute(stormy, at("2019-05-20 17:00"), ledger)

    assert before == deadline.Recomputed(at("2019-05-22 09:30"), at("2019-05-09 10:00"))
    assert edited == deadline.Recomputed(at("2019-05-21 09:30"), at("2019-05-09 10:00"))


def test_a_ledger_without_a_stage_has_no_due_instants() -> None:
    assert deadline.recompute(office(), at("2019-05-20 17:00"), []) is None
    record = [Entry(1, "started", 1, at("2011-10-11 11:45"))]
    assert deadline.recompute(office(), at("2019-05-20 17:00"), record) is None


def test_the_budgets_of_a_route_are_never_more_than_its_term() -> None:
    received, promise = at("2019-05-06 08:01:59"), at("2019-05-07 17:00")
    shares = (1, 4, 1, 8, 1, 1)

    budgets = [deadline.stage_budget(office(), received, promise, share, sum(shares)) for share in shares]

    term = office().working_time(received, promise)
    assert timedelta(0) <= term - timedelta(minutes=sum(budgets)) < timedelta(minutes=len(shares))


def test_the_first_stage_sets_both_clocks_and_the_next_rung_of_each() -> None:
    received = at("2019-05-06 08:00")
    begun = rules.begin(None, heard(a_dossier_received(received), received), what_routing_knows())
    assert isinstance(begun, Decided)

    stage_due = begun.state.stage_due
    quarter = timedelta(minutes=begun.state.stage_budget_minutes) / 4

    assert begun.state.unsaved.timers == (
        Timer(Scope.STAGE, 1, "near", 1, office().subtract_working_time(stage_due, quarter)),
        Timer(Scope.DOSSIER, 0, "near", 1, at("2019-05-17 16:30")),
    )


def test_a_hand_over_sets_the_stage_s_clock_and_leaves_the_dossier_s() -> None:
    done = acting.carry_out(a_journey(), HandOver(), at("2019-05-06 09:00"), what_routing_knows())
    assert isinstance(done, Decided)

    assert done.state.unsaved.clocks == {Scope.STAGE}
    assert [(one.scope, one.run) for one in done.state.unsaved.timers] == [(Scope.STAGE, 2)]


def test_resuming_makes_a_new_generation_of_both_clocks() -> None:
    paused = after(a_journey(), (SUPPLEMENT, at("2019-05-07 09:00")))

    done = acting.carry_out(paused, Resume(), at("2019-05-08 09:00"), what_routing_knows())

    assert isinstance(done, Decided)
    assert [(one.scope, one.generation) for one in done.state.unsaved.timers] == [
        (Scope.STAGE, 2),
        (Scope.DOSSIER, 2),
    ]


def test_rungs_that_lie_behind_are_passed_over_on_resume() -> None:
    """Papers came after the dossier had become near: what is next is the due instant, not "near" once more."""
    paused = after(a_journey(), (SUPPLEMENT, at("2019-05-20 09:00")))

    done = acting.carry_out(paused, Resume(), at("2019-05-24 09:00"), what_routing_knows())

    assert isinstance(done, Decided)
    by_scope = {one.scope: one for one in done.state.unsaved.timers}
    assert by_scope[Scope.DOSSIER].rung == "reached"
    assert by_scope[Scope.DOSSIER].fires_at == done.state.due == at("2019-05-24 17:00")
    # the desk was late before the pause and still is: that is said once more, and nothing before it
    assert by_scope[Scope.STAGE].rung == "passed"


def test_nothing_is_set_for_history_or_for_a_clock_that_stands() -> None:
    assert deadline.timers(a_journey(origin="old-books"), office(), at("2019-05-06 08:00")) == ()
    standing: tuple[State, ...] = ("paused", "done", "withdrawn")
    for state in standing:
        assert deadline.timers(replaced(a_journey(), state=state), office(), at("2019-05-06 08:00")) == ()


@pytest.mark.parametrize(
    ("due", "passed"),
    [("2019-05-20 17:00", "2019-05-21 00:00"), ("2019-05-20 00:00", "2019-05-21 00:00")],
)
def test_a_date_has_passed_at_midnight_of_the_office_s_clock(due: str, passed: str) -> None:
    assert deadline.passed_at(office(), at(due)) == at(passed)
    assert not deadline.late(office(), at(due), at(passed) - timedelta(seconds=1))
    assert deadline.late(office(), at(due), at(passed))


def test_a_credit_is_whole_seconds_and_never_negative() -> None:
    paused = at("2019-05-07 09:00")

    assert deadline.credit_of(office(), paused, paused + timedelta(seconds=90.7)) == timedelta(seconds=90)
    assert deadline.credit_of(office(), paused, paused - timedelta(hours=1)) == timedelta(0)
