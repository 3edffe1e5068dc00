"""What the simulated town does with dossiers whose route forks fits routing's own rules, act by act."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import cache
from typing import Any

from deploy.simulate.arrivals import period_of
from deploy.simulate.model import the_model
from deploy.simulate.plan import figures, plan
from deploy.simulate.town import Town, town_of
from deploy.simulate.values import Course, Plan
from services.routing.api.forms import CommandForm, command_of
from services.routing.rules import journey as rules
from services.routing.rules import past
from services.routing.rules.branches import chosen
from services.routing.values import Budget, Journey, Known, Procedure, Refused, Route, Stage
from shared.bus import Decided, Decision
from shared.calendar import Term, TermUnit, due_of_term
from shared.events import StageRole, SupplementReceived, WithdrawalRequested
from tests.builders import HANOI, TOWN_PROCEDURE, WARD, a_dossier_received, heard, office, saved, what_routing_knows
from tests.rules.test_simulated_town import UNITS, officers

DAYS = TermUnit.WORKING_DAY
ROUTE = Route(
    "forked",
    None,
    (
        Stage("commune_officer", "receiving", StageRole.OFFICER, budget=Budget(4, DAYS)),
        Stage("town_specialist", "parent", StageRole.SPECIALIST, budget=Budget(24, DAYS), parallel=True),
        Stage("commune_check", "receiving", StageRole.OFFICER, budget=Budget(12, DAYS), parallel=True),
        Stage("town_desk", "parent", StageRole.DESK, budget=Budget(12, DAYS), parallel=True),
        Stage("commune_return", "receiving", StageRole.DESK, budget=Budget(4, DAYS)),
    ),
)
TERM = Term(10, DAYS)


def shown(stage: Stage) -> dict[str, Any]:
    """A stage as routing shows it."""
    assert stage.budget is not None
    budget = {"value": stage.budget.quarters / 4, "unit": stage.budget.unit}
    return {
        "name": stage.name,
        "place": stage.place,
        "role": stage.role,
        "parallel": stage.parallel,
        "share": 0,
        "budget": budget,
    }


@cache
def town() -> Town:
    """A town that knows one procedure, whose route forks."""
    made = town_of(
        UNITS,
        officers(),
        [{"code": "forked", "level": "commune", "stages": [shown(one) for one in ROUTE.stages]}],
        [
            {
                "code": TOWN_PROCEDURE,
                "sector": "Hộ tịch",
                "level": "commune",
                "term": {"value": 10, "unit": "working_day"},
                "terms": {},
                "fees": {"desk": 8_000},
                "route": "forked",
            }
        ],
        {"office": office()},
    )
    assert isinstance(made, Town)
    return made


@cache
def a_plan() -> Plan:
    """Three months of it."""
    until = datetime(2019, 6, 1, tzinfo=HANOI)
    return plan(town(), the_model(), period_of("2019"), seed=1, volume=1_500, until=until)


def known() -> Known:
    found = what_routing_knows()
    return Known(
        found.units,
        found.calendars,
        {**found.routes, "forked": (ROUTE,)},
        {TOWN_PROCEDURE: Procedure(1, "town", "forked")},
    )


def played(course: Course) -> Journey:
    """Where a course leads by routing's rules; each act must fit."""
    promise = due_of_term(office(), course.received, TERM)
    event = a_dossier_received(course.received, unit=WARD, promise=promise)
    begun = rules.begin(None, heard(event, course.received, origin="simulated"), known())
    assert isinstance(begun, Decided)
    journey = saved(begun.state)
    for act in course.acts:
        kind = act.action["kind"]
        done: Decision[Journey] | Refused
        if act.door == "routing":
            form = CommandForm.model_validate({"action": dict(act.action), "run": act.run, "at": act.at.isoformat()})
            meant = chosen(journey, form.run)
            assert isinstance(meant, Journey), (meant, act)
            later = act.at + timedelta(days=1)
            done = past.carry_out(meant, command_of("1", journey.dossier, form).action, act.at, later, known())
        elif kind == "supplement":
            done = past.in_its_time(rules.resume_by_citizen)(journey, heard(SupplementReceived(), act.at), known())
        elif kind == "withdrawal":
            done = past.in_its_time(rules.withdraw)(journey, heard(WithdrawalRequested(), act.at), known())
        else:
            continue
        assert isinstance(done, Decided), (done, act)
        journey = saved(done.state)
    return journey


def test_every_act_of_a_forked_dossier_is_one_that_routing_carries_out() -> None:
    ends = [(course, played(course)) for course in a_plan().courses]

    states = {journey.state for _, journey in ends}
    assert states == {"moving", "paused", "done", "withdrawn"}
    assert any(journey.branches for _, journey in ends)
    for course, journey in ends:
        finished = any(act.action["kind"] == "finish" for act in course.acts)
        assert finished == (journey.state == "done")


def test_branches_are_worked_on_at_once_and_in_any_order() -> None:
    orders = {
        tuple(act.run for act in course.acts if act.run is not None and act.action["kind"] == "hand_over")
        for course in a_plan().courses
    }

    assert {(2, 3), (3, 2), (4, 3), (3, 4)} <= orders
    model, counted = the_model(), figures(a_plan().courses)
    assert counted.late_share <= model.late_band[1] + 0.03
