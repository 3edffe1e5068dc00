"""Where a route forks: several stages begin together, each ends by itself, and the last that ends joins."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from msgspec.structs import replace

from services.routing.rules import deadline
from services.routing.rules.branches import branch_of, rewritten
from services.routing.rules.journey import start_stage, unit_of, write
from services.routing.values import Branch, Journey, Known, Route
from shared.bus import Decided, Say
from shared.calendar import WorkingCalendar
from shared.events import HandedOver, Scope, StageStarted

_STAGE_CLOCK: Final = frozenset({Scope.STAGE})


def fork(
    journey: Journey, route: Route, number: int, at: datetime, known: Known, calendar: WorkingCalendar
) -> Decided[Journey]:
    """Begin every branch of a fork at an instant: each a run of its own, with its budget and its own clock."""
    started: list[Branch] = []
    said: list[StageStarted] = []
    for each in route.step_of(number):
        decided = start_stage(journey, route, each, at, known, calendar)
        journey = decided.state
        timers = (one for one in journey.unsaved.timers if one.scope is Scope.STAGE)
        started.append(branch_of(journey, next(timers, None)))
        said.extend(one.event for one in decided.say if isinstance(one.event, StageStarted))
    runs = [one.run for one in started]
    # Each branch keeps its own clock: none is left in the place of the only stage's.
    unsaved = journey.unsaved.with_clocks(_STAGE_CLOCK, ())
    forked = rewritten(replace(journey, last_run=runs[-1], unsaved=unsaved), tuple(started))
    beside = [one.model_copy(update={"beside": tuple(run for run in runs if run != one.run)}) for one in said]
    return Decided(forked, tuple(Say(one, at) for one in beside))


def end_branch(journey: Journey, route: Route, now: datetime, known: Known) -> Decided[Journey]:
    """The branch in front is done while others are still open: it goes to where they join, and waits for them there."""
    calendar = known.calendar_of(journey)
    joins = route.stages[route.step_of(journey.stage_number).stop]
    left = tuple(one for one in journey.branches if one.run != journey.run)
    said = HandedOver(
        stage=journey.stage,
        run=journey.run,
        giver=journey.unit,
        giver_officer=journey.officer,
        receiver=unit_of(journey, joins, known, calendar, now),
        late=deadline.late(calendar, journey.stage_due, now),
        beside=tuple(one.run for one in left),
    )
    return Decided(rewritten(write(journey, "ended", now), left), (Say(said, now),))
