"""Routes with budgets of their own: what may be published, and how a dossier passes postings, citizens, named units."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from services.routing.rules import acting, deadline
from services.routing.rules.journey import begin
from services.routing.rules.routes import wrong_with
from services.routing.values import (
    Action,
    Budget,
    Finish,
    HandOver,
    Journey,
    Known,
    Procedure,
    Refused,
    RequestSupplement,
    Resume,
    Route,
    SendBack,
    Stage,
    Timer,
)
from shared.bus import Decided, WaitsFor
from shared.calendar import Term, TermUnit, length_of
from shared.events import Scope, StageRole
from tests.builders import (
    COMMUNE_ROUTE,
    REPLAY,
    TOWN,
    TOWN_PROCEDURE,
    WARD,
    a_dossier_received,
    a_journey,
    a_unit,
    after,
    at,
    heard,
    office,
    said,
    saved,
    what_routing_knows,
)

DIVISION = "000.51.99.H41"
DAY, CALENDAR_DAY, HOUR, SAME_DAY = TermUnit.WORKING_DAY, TermUnit.CALENDAR_DAY, TermUnit.HOUR, TermUnit.SAME_DAY


def days(number: float, unit: TermUnit = DAY) -> Budget:
    """A budget of whole, half and quarter days."""
    return Budget(int(number * 4), unit)


COUNCIL = Stage("council", "receiving", StageRole.OFFICER, budget=days(15, CALENDAR_DAY))
POSTING = Stage("posting", "receiving", None, budget=days(7, CALENDAR_DAY), kind="posting")
DESK = Stage("town_desk", "parent", StageRole.DESK, budget=days(0.5))
AT_DIVISION = Stage("division", "named", StageRole.SPECIALIST, budget=days(7), unit=DIVISION)
CITIZEN = Stage("citizen_pays", "receiving", None, kind="citizen")
COMMITTEE = Stage("committee", "parent", StageRole.LEADER, budget=days(2.5))
ROUTE = Route("tro-cap", None, (COUNCIL, POSTING, DESK, AT_DIVISION, CITIZEN, COMMITTEE))
MONDAY = at("2019-05-06 08:00")


def known_with(route: Route = ROUTE, *older: Route) -> Known:
    """What routing knows, where the town's procedure names the route."""
    known = what_routing_knows(a_unit(), a_unit(TOWN), a_unit(REPLAY), a_unit(DIVISION, level="town"))
    return replace(
        known,
        routes={**known.routes, route.code: (route, *older)},
        procedures={**known.procedures, TOWN_PROCEDURE: Procedure(1, "town", route.code, 0)},
    )


def on_its_way(*steps: tuple[Action, datetime], route: Route = ROUTE) -> Journey:
    """A dossier on the route after some actions."""
    known = known_with(route)
    return after(a_journey(received=MONDAY, known=known), *steps, known=known)


def in_posting() -> Journey:
    return on_its_way((HandOver(), at("2019-05-08 10:00")))


def the_end_of(posting: Journey) -> Timer:
    """The timer that ends a posting."""
    return Timer(Scope.STAGE, posting.run, "over", posting.generation, posting.stage_due)


# --- publishing ------------------------------------------------------------------------------------------------------


def test_a_route_that_fits_is_published() -> None:
    assert wrong_with(ROUTE, {WARD, TOWN, DIVISION}, [COMMUNE_ROUTE], {"1": ROUTE.length}) is None


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ((POSTING, COMMITTEE), "stages/0/kind"),
        ((COUNCIL, CITIZEN), "stages/1/kind"),
        ((COUNCIL, COUNCIL), "stages"),
        ((COUNCIL, Stage("shared", "receiving", StageRole.DESK, 1)), "stages"),
        ((replace(COUNCIL, share=1),), "stages/0/budget"),
        ((replace(COUNCIL, budget=None),), "stages/0/budget"),
        ((replace(COUNCIL, role=None),), "stages/0/role"),
        ((replace(COUNCIL, unit=WARD),), "stages/0/unit"),
        ((replace(AT_DIVISION, unit=None),), "stages/0/unit"),
        ((replace(AT_DIVISION, unit="000.52.99.H41"),), "stages/0/unit"),
        ((COUNCIL, replace(POSTING, role=StageRole.DESK), DESK), "stages/1/role"),
        ((COUNCIL, replace(POSTING, budget=days(1.5)), DESK), "stages/1/budget"),
        ((COUNCIL, replace(POSTING, budget=days(8, HOUR)), DESK), "stages/1/budget"),
        ((COUNCIL, replace(CITIZEN, budget=days(1)), DESK), "stages/1/budget"),
    ],
)
def test_a_route_that_contradicts_itself_is_refused_with_its_field(stages: tuple[Stage, ...], field: str) -> None:
    refused = wrong_with(Route("r", None, stages), {WARD, TOWN, DIVISION}, (), {})

    assert refused is not None
    assert (refused.field, bool(refused.detail), bool(refused.do)) == (field, True, True)


def test_stages_that_take_longer_than_a_procedure_s_term_are_refused_and_told_which() -> None:
    term = length_of(Term(35, DAY))

    fits = wrong_with(ROUTE, {DIVISION}, (), {"1.001776": term})
    refused = wrong_with(ROUTE, {DIVISION}, (), {"1.001776": term, "1.000002": length_of(Term(20, DAY))})

    assert fits is None
    assert refused is not None
    assert ("1.000002" in refused.detail, "28" in refused.detail) == (True, True)


def test_a_level_has_one_route() -> None:
    refused = wrong_with(replace(ROUTE, level="commune"), {DIVISION}, [COMMUNE_ROUTE], {})

    assert refused is not None
    assert refused.field == "level"


# --- budgets ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("started", "budget", "due"),
    [
        ("2019-05-06 08:00", days(3), "2019-05-09 17:00"),
        ("2019-05-06 16:59", days(1), "2019-05-07 17:00"),
        ("2019-05-06 08:00", days(7, CALENDAR_DAY), "2019-05-13 17:00"),
        ("2019-05-06 08:00", days(5, CALENDAR_DAY), "2019-05-13 17:00"),
        ("2019-05-06 08:00", days(0.25), "2019-05-06 09:52"),
        ("2019-05-06 08:00", days(1.5), "2019-05-07 13:45"),
        ("2019-05-06 08:00", days(2, HOUR), "2019-05-06 10:00"),
        ("2019-05-06 08:00", days(0.5, HOUR), "2019-05-06 08:30"),
        ("2019-05-06 08:00", days(0, SAME_DAY), "2019-05-06 17:00"),
        ("2019-05-06 15:30", days(0, SAME_DAY), "2019-05-07 17:00"),
    ],
)
def test_a_budget_counts_dates_in_days_and_working_time_below(started: str, budget: Budget, due: str) -> None:
    minutes = deadline.own_budget(office(), at(started), budget)

    found = deadline.stage_due(office(), at(started), minutes, timedelta(0))

    # 09:52:30 is rounded down to the minute.
    assert found == at(due)


# --- travelling ------------------------------------------------------------------------------------------------------


def test_a_dossier_goes_by_the_route_that_its_procedure_names_and_waits_for_one_that_is_not_known() -> None:
    known = known_with()

    journey = a_journey(received=MONDAY, known=known)
    waits = begin(None, heard(a_dossier_received(MONDAY), MONDAY), replace(known, routes={"commune": (COMMUNE_ROUTE,)}))

    assert (journey.route, journey.stage, journey.unit) == ("tro-cap", "council", WARD)
    assert waits == WaitsFor("route:tro-cap")


def test_a_dossier_in_flight_keeps_the_version_of_the_route_that_it_began_with() -> None:
    journey = on_its_way()
    newer = replace(ROUTE, version=2, stages=(COUNCIL, COMMITTEE))

    moved = acting.carry_out(journey, HandOver(), at("2019-05-08 10:00"), known_with(newer, ROUTE))

    assert isinstance(moved, Decided)
    assert (moved.state.stage, moved.state.route_version) == ("posting", 1)


def test_a_posting_has_one_timer_which_ends_it_and_nobody_is_late() -> None:
    journey = on_its_way()
    posted = acting.carry_out(journey, HandOver(), at("2019-05-08 10:00"), known_with())
    assert isinstance(posted, Decided)
    (timer,) = posted.state.unsaved.timers

    early = acting.fire(saved(posted.state), timer, timer.fires_at - timedelta(seconds=1), known_with())
    ended = acting.fire(saved(posted.state), timer, timer.fires_at, known_with())

    assert (timer.rung, timer.fires_at) == ("over", at("2019-05-15 17:00"))
    assert not isinstance(early, Decided)
    assert isinstance(ended, Decided)
    assert (said(ended), ended.state.stage, ended.state.unit) == (["HandedOver", "StageStarted"], "town_desk", TOWN)


@pytest.mark.parametrize("action", [HandOver(), Finish(), RequestSupplement((), "papers_missing")])
def test_during_a_posting_nobody_acts(action: Action) -> None:
    refused = acting.carry_out(in_posting(), action, at("2019-05-10 09:00"), known_with())

    assert isinstance(refused, Refused)
    assert (refused.code, "2019-05-15 17:00" in refused.do) == ("posting", True)


def test_a_posting_may_be_taken_back_and_is_posted_anew_in_full() -> None:
    back = after(in_posting(), (SendBack("objection"), at("2019-05-10 09:00")), known=known_with())
    again = after(back, (HandOver(), at("2019-05-13 09:00")), known=known_with())

    assert (back.stage, again.stage, again.run) == ("council", "posting", 4)
    assert again.stage_due == at("2019-05-20 17:00")


def test_while_the_citizen_is_waited_for_the_clock_stands_and_then_the_next_stage_begins() -> None:
    ended = acting.fire(in_posting(), the_end_of(in_posting()), at("2019-05-15 17:00"), known_with())
    assert isinstance(ended, Decided)
    at_division = after(saved(ended.state), (HandOver(), at("2019-05-16 10:00")), known=known_with())

    waits = acting.carry_out(at_division, HandOver(), at("2019-05-20 09:00"), known_with())
    assert isinstance(waits, Decided)
    paid = acting.carry_out(saved(waits.state), Resume(), at("2019-05-22 09:00"), known_with())

    assert (said(waits), waits.state.state) == (["HandedOver", "StageStarted", "FeeRequested"], "paused")
    assert isinstance(paid, Decided)
    assert said(paid) == ["DossierResumed", "HandedOver", "StageStarted"]
    assert (paid.state.stage, paid.state.state, paid.state.unit) == ("committee", "moving", TOWN)
    # Two working days of seven and a half hours were not anybody's.
    assert paid.state.credit == timedelta(hours=15)


def test_what_is_sent_back_goes_to_somebody_who_works() -> None:
    route = replace(ROUTE, stages=(COUNCIL, POSTING, COMMITTEE))
    posted = on_its_way((HandOver(), at("2019-05-08 10:00")), route=route)
    ended = acting.fire(posted, the_end_of(posted), at("2019-05-15 17:00"), known_with(route))
    assert isinstance(ended, Decided)

    back = after(saved(ended.state), (SendBack("incomplete"), at("2019-05-16 09:00")), known=known_with(route))

    assert (back.stage, back.unit) == ("council", WARD)
