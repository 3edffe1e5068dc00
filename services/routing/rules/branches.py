"""Several runs that are open together: which one somebody acts on, and what becomes of the others meanwhile."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from services.routing.values import Branch, Journey, Refused, Timer
from shared.events import Scope

_STAGE_CLOCK: Final = frozenset({Scope.STAGE})


def branch_of(journey: Journey, timer: Timer | None) -> Branch:
    """The front of a journey as one of several runs."""
    return Branch(
        run=journey.run,
        stage=journey.stage,
        stage_number=journey.stage_number,
        unit=journey.unit,
        role=journey.role,
        officer=journey.officer,
        started=journey.stage_started,
        budget_minutes=journey.stage_budget_minutes,
        credit=journey.stage_credit,
        due=journey.stage_due,
        timer=timer,
    )


def chosen(journey: Journey, run: int | None) -> Journey | Refused:
    """The journey with the run in front that a command names, or why none can be chosen."""
    if run is None and not journey.branches:
        return journey
    there = open_runs(journey)
    listed = ", ".join(f"{one.run} ({one.stage} at {one.unit})" for one in there) or "none"
    if run is None:
        return Refused("run_missing", f"several stages are open, say in run which one is meant: {listed}")
    if all(one.run != run for one in there):
        return Refused("run_not_open", f"run {run} is not open; what is open: {listed}")
    return in_front(journey, run)


def open_runs(journey: Journey) -> tuple[Branch, ...]:
    """The runs that somebody is to end, ascending: several, one, or none once the dossier is over."""
    if journey.branches or not (journey.is_open and journey.run):
        return journey.branches
    return (branch_of(journey, None),)


def units_of(journey: Journey) -> frozenset[str]:
    """Who may look at a dossier as his own: where it came in, and every unit that holds it."""
    return frozenset({journey.receiving_unit, journey.unit, *(one.unit for one in journey.branches)})


def in_front(journey: Journey, run: int) -> Journey:
    """The journey with one of its open runs in front; as it is where that is the front already."""
    if run == journey.run:
        return journey
    return _shown(journey, next(one for one in journey.branches if one.run == run))


def settled(journey: Journey) -> Journey:
    """The journey with its lowest open run in front, as it is kept."""
    return _shown(journey, journey.branches[0]) if journey.branches else journey


def rewritten(journey: Journey, branches: tuple[Branch, ...]) -> Journey:
    """The journey with these runs open, ascending, the lowest in front; of a single one it keeps no branch."""
    unsaved = replace(journey.unsaved, rewrites_branches=True)
    if len(branches) > 1:
        return settled(replace(journey, branches=branches, unsaved=unsaved))
    (last,) = branches
    timers = (last.timer,) if last.timer is not None else ()
    return _shown(replace(journey, branches=(), unsaved=unsaved.with_clocks(_STAGE_CLOCK, timers)), last)


def closed(journey: Journey) -> Journey:
    """The journey with all its branches over at once."""
    if not journey.branches:
        return journey
    return replace(journey, branches=(), last_run=0, unsaved=replace(journey.unsaved, rewrites_branches=True))


def with_timer(journey: Journey, run: int, timer: Timer | None) -> Journey:
    """One branch's clock set anew; the others stay as they are."""
    timed = tuple(replace(one, timer=timer) if one.run == run else one for one in journey.branches)
    return rewritten(journey, timed)


def _shown(journey: Journey, branch: Branch) -> Journey:
    return replace(
        journey,
        run=branch.run,
        stage=branch.stage,
        stage_number=branch.stage_number,
        unit=branch.unit,
        role=branch.role,
        officer=branch.officer,
        stage_started=branch.started,
        stage_budget_minutes=branch.budget_minutes,
        stage_credit=branch.credit,
        stage_due=branch.due,
    )
