"""What a route may be: its stages fit together, and all of them fit into the term that the citizen was promised."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from services.routing.values import NotPublished, Route, Stage
from shared.calendar import PER_DAY, TermUnit, length_of
from shared.events import ProcedurePublished

_WHOLE = frozenset({TermUnit.WORKING_DAY, TermUnit.CALENDAR_DAY})


def shortest(procedure: ProcedurePublished) -> int:
    """The length of a procedure's shortest term, whatever the channel (shared.calendar.lengths)."""
    return min(length_of(term) for term in (procedure.term, *procedure.terms.values()))


def wrong_with(
    route: Route, units: Collection[str], others: Collection[Route], terms: Mapping[str, int]
) -> NotPublished | None:
    """Why a route cannot be published; None when it can.

    ``units``: the codes that are known. ``others``: the newest versions of all other routes. ``terms``: length of the
    shortest term of each procedure that takes this route; the sum of its stages may not exceed any of them, or the
    receipt would promise what the stages do not keep (Decree 61/2018: the terms of the agencies add up to the term).
    """
    for number, stage in enumerate(route.stages):
        wrong = _wrong_with_stage(stage, units)
        if wrong is not None:
            field, detail, do = wrong
            return NotPublished(f"stages/{number}/{field}", detail, do)
    return _wrong_together(route) or _wrong_among(route, others) or _too_long(route, terms)


def _wrong_with_stage(stage: Stage, units: Collection[str]) -> tuple[str, str, str] | None:
    if (stage.place == "named") != (stage.unit is not None):
        return "unit", "a unit is given exactly where the place is named", "name the unit, or leave it out"
    if stage.unit is not None and stage.unit not in units:
        return "unit", "the unit is not known", "publish the unit first"
    if stage.kind == "citizen" and (stage.share or stage.budget is not None):
        return "budget", "a wait for the citizen has no time of its own", "leave share and budget out"
    if stage.kind != "citizen" and bool(stage.share) == (stage.budget is not None):
        return "budget", "a stage has either a share of the term or a budget", "give one of the two"
    if (stage.kind == "work") != (stage.role is not None):
        return "role", "a role is given exactly where somebody works", "name the role, or leave it out"
    if stage.kind == "posting" and (
        stage.budget is None or stage.budget.unit not in _WHOLE or stage.budget.quarters % 4
    ):
        return "budget", "a posting lasts whole days", "give working or calendar days, without a fraction"
    return None


def _wrong_together(route: Route) -> NotPublished | None:
    for number in (0, len(route.stages) - 1):
        if route.stages[number].kind != "work":
            return NotPublished(
                f"stages/{number}/kind", "a route begins and ends with work", "add a stage where somebody works"
            )
    timed = [stage for stage in route.stages if stage.kind != "citizen"]
    if len({stage.budget is None for stage in timed}) > 1:
        return NotPublished("stages", "some stages have shares and others budgets", "give all the one or all the other")
    forked = next((wrong for step in route.steps if (wrong := _wrong_with_fork(route, step))), None)
    if forked is not None:
        return forked
    names = [stage.name for stage in route.stages]
    if len(set(names)) != len(names):
        return NotPublished("stages", "two stages have one name", "give each a name of its own")
    return None


def _wrong_with_fork(route: Route, step: range) -> NotPublished | None:
    """A fork has two branches or more, each of work; somebody works before it, and at the stage that joins."""
    first = step.start
    if not route.stages[first].parallel:
        return None
    if len(step) == 1:
        return NotPublished(
            f"stages/{first}/parallel", "a branch has nothing beside it", "mark every stage that runs beside it, too"
        )
    if first == 0:
        return NotPublished("stages/0/parallel", "a route begins at one place", "add a stage before it forks")
    if step.stop == len(route.stages):
        return NotPublished(f"stages/{first}/parallel", "nothing joins the branches", "add the stage that joins them")
    for number in (*step, step.stop):
        if route.stages[number].kind != "work":
            return NotPublished(
                f"stages/{number}/kind",
                "branches, and the stage that joins them, are work",
                "put what is waited for before the fork, or after the stage that joins",
            )
    return None


def _wrong_among(route: Route, others: Collection[Route]) -> NotPublished | None:
    if route.level is None:
        return None
    other = next((one for one in others if one.level == route.level), None)
    if other is None:
        return None
    return NotPublished(
        "level",
        f"procedures of this level take the route {other.code}",
        "leave the level out, or take it from that one",
    )


def _too_long(route: Route, terms: Mapping[str, int]) -> NotPublished | None:
    short = sorted((length, code) for code, length in terms.items() if length < route.length)
    if not short:
        return None
    length, code = short[0]
    return NotPublished(
        "stages",
        f"the stages take {in_days(route.length)} calendar days together, the term of {code} is {in_days(length)}",
        "shorten the stages, or give the procedure another route",
    )


def in_days(length: int) -> str:
    """A length in calendar days, as people write it."""
    return f"{length / PER_DAY:.2f}".rstrip("0").rstrip(".")
