"""The deadline is a budget and a ledger: due instants and timers, computed, never edited."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from services.routing.values import Branch, Budget, Entry, Journey, Rung, Timer
from shared.calendar import (
    Term,
    TermUnit,
    WorkingCalendar,
    due_of_term,
    due_with_credit,
    instant_of,
    is_late,
    ticks,
    ticks_of,
)
from shared.events import Scope

NEAR_OF_DOSSIER: Final = timedelta(hours=8)
"""A working day of eight hours before the promise: Decree 61/2018 art. 19 wants the apology by then [from memory]."""

_NEAR_OF_STAGE: Final = 4
"""A stage is near its end in the last quarter of its budget."""

_SECOND: Final = 1_000_000
_MINUTE: Final = 60 * _SECOND
_NEAR_OF_DOSSIER: Final = ticks_of(NEAR_OF_DOSSIER)


def stage_budget(calendar: WorkingCalendar, received: datetime, promise: datetime, share: int, shares: int) -> int:
    """The working minutes of a stage: its share of the working time between reception and promise, rounded down.

    Nothing where the promise lies before the reception, as some old records have it.
    """
    term = calendar.working_time(received, promise)
    return max(0, int(term.total_seconds())) * share // shares // 60


class StageStart(Struct, frozen=True):
    """What the start of a stage comes to: its budget, when it is due, and when the two clocks come near."""

    budget_minutes: int
    due: datetime
    near: datetime
    dossier_near: datetime


def stage_start(
    calendar: WorkingCalendar,
    at: datetime,
    *,
    received: datetime,
    promise: datetime,
    due: datetime,
    share: int,
    shares: int,
    own: int | None = None,
) -> StageStart:
    """`stage_budget`, `stage_due` and the near rungs of both clocks in one reckoning on the calendar.

    Every dossier goes through here: four questions share the places of three instants, at a third of the cost of
    asking one by one. A property test holds the answers equal. ``due`` is the dossier's; ``own``: the budget, where it
    is no share of the term.
    """
    start, end = ticks(at), ticks(promise)
    here, there = calendar.place_of(start), calendar.place_of(end)
    begun = here if received is at else calendar.place_of(ticks(received))
    budget = max(0, (there - begun) // _SECOND) * share // shares // 60 if own is None else own
    due_place = here + budget * _MINUTE
    dossier_place = there if due is promise else calendar.place_of(ticks(due))
    return StageStart(
        budget,
        instant_of(calendar.earliest_at(due_place)) if budget else instant_of(start),
        instant_of(calendar.latest_at(due_place - budget * _MINUTE // _NEAR_OF_STAGE)) if budget else instant_of(start),
        instant_of(calendar.latest_at(dossier_place - _NEAR_OF_DOSSIER)),
    )


def own_budget(calendar: WorkingCalendar, started: datetime, budget: Budget) -> int:
    """The working minutes of a stage that has a term of its own, from its start, rounded down.

    Whole days count dates, as every term does (the day of the start is not counted; it is due at a close of office
    hours). Quarters of a working day are working time: that part of the hours of the next working day.
    """
    whole, rest = divmod(budget.quarters, 4)
    if budget.unit is TermUnit.HOUR:
        return budget.quarters * 15
    if rest:
        day = calendar.nth_working_day(calendar.day_of(started), 1)
        worked = sum(_minutes(closes) - _minutes(opens) for opens, closes in calendar.hours_on(day))
        return worked * budget.quarters // 4
    due = due_of_term(calendar, started, Term(whole, budget.unit))
    return max(0, int(calendar.working_time(started, due).total_seconds())) // 60


def _minutes(clock: time) -> int:
    return clock.hour * 60 + clock.minute


def stage_due(calendar: WorkingCalendar, started: datetime, budget_minutes: int, credit: timedelta) -> datetime:
    """When a stage is due: its budget and the credited pauses, in working time from its start."""
    return calendar.add_working_time(started, timedelta(minutes=budget_minutes) + credit)


def dossier_due(calendar: WorkingCalendar, promise: datetime, credit: timedelta) -> datetime:
    """When the dossier is due: the promise, moved by exactly the working time of its pauses."""
    return due_with_credit(calendar, promise, credit)


def credit_of(calendar: WorkingCalendar, paused_at: datetime, answered_at: datetime) -> timedelta:
    """The working time between request and answer on the same calendar; never negative.

    In whole seconds, as events and rows carry it: what is computed again from them is the same to the microsecond.
    """
    stood = calendar.working_time(paused_at, max(paused_at, answered_at))
    return timedelta(seconds=stood // timedelta(seconds=1))


def passed_at(calendar: WorkingCalendar, due: datetime) -> datetime:
    """The first instant that is late by the date: midnight after the due date, in the calendar's zone."""
    following = calendar.local(due).date() + timedelta(days=1)
    return datetime.combine(following, time.min, tzinfo=calendar.local(due).tzinfo)


def timers(journey: Journey, calendar: WorkingCalendar, since: datetime) -> tuple[Timer, ...]:
    """The next rung of both clocks of a dossier; none while it stands, is done, or is a replayed record.

    While several runs are open, of the dossier's own clock alone: theirs are with the branches (`timed_branches`).
    A rung that lies before ``since`` is passed over, so that nothing catches up in a burst; when all do, the last one
    is said at once.
    """
    if journey.state != "moving" or journey.origin is not None:
        return ()
    of_dossier = dossier_timer(calendar, since, due=journey.due, generation=journey.generation)
    if journey.branches:
        return (of_dossier,)
    return (
        stage_timer(
            calendar,
            since,
            run=journey.run,
            due=journey.stage_due,
            budget_minutes=journey.stage_budget_minutes,
            generation=journey.generation,
        ),
        of_dossier,
    )


def timed_branches(journey: Journey, calendar: WorkingCalendar, since: datetime) -> tuple[Branch, ...]:
    """The branches, each with the next rung of its clock; without one where `timers` gives none."""
    runs = journey.state == "moving" and journey.origin is None
    return tuple(
        replace(
            one,
            timer=stage_timer(
                calendar,
                since,
                run=one.run,
                due=one.due,
                budget_minutes=one.budget_minutes,
                generation=journey.generation,
            )
            if runs
            else None,
        )
        for one in journey.branches
    )


def credited(branch: Branch, calendar: WorkingCalendar, credit: timedelta) -> Branch:
    """A branch whose clock stood, due by so much working time later."""
    whole = branch.credit + credit
    return replace(branch, credit=whole, due=stage_due(calendar, branch.started, branch.budget_minutes, whole))


def stage_timer(
    calendar: WorkingCalendar, since: datetime, *, run: int, due: datetime, budget_minutes: int, generation: int
) -> Timer:
    """The next rung of a stage's clock."""
    near = near_of_stage(calendar, due, budget_minutes)
    return next_rung(calendar, Scope.STAGE, run, due, near, generation, since)


def dossier_timer(calendar: WorkingCalendar, since: datetime, *, due: datetime, generation: int) -> Timer:
    """The next rung of the clock of the dossier as a whole."""
    near = near_of_dossier(calendar, due)
    return next_rung(calendar, Scope.DOSSIER, 0, due, near, generation, since)


def near_of_stage(calendar: WorkingCalendar, due: datetime, budget_minutes: int) -> datetime:
    """When a stage comes near its end."""
    return calendar.subtract_working_time(due, timedelta(minutes=budget_minutes / _NEAR_OF_STAGE))


def near_of_dossier(calendar: WorkingCalendar, due: datetime) -> datetime:
    """When a dossier comes near its end."""
    return calendar.subtract_working_time(due, NEAR_OF_DOSSIER)


def next_rung(
    calendar: WorkingCalendar,
    scope: Scope,
    run: int,
    due: datetime,
    near: datetime,
    generation: int,
    since: datetime,
) -> Timer:
    """The first of the three rungs that lies after ``since``; the last when none does. ``near`` is its instant."""
    if near > since:
        return Timer(scope, run, "near", generation, near)
    return _later_rung(calendar, scope, run, due, generation, since)


def _later_rung(
    calendar: WorkingCalendar, scope: Scope, run: int, due: datetime, generation: int, since: datetime
) -> Timer:
    if due > since:
        return Timer(scope, run, "reached", generation, due)
    return Timer(scope, run, "passed", generation, passed_at(calendar, due))


def rung_of(journey: Journey, calendar: WorkingCalendar, fired: Timer, now: datetime) -> Rung:
    """What a timer that fires now says: its own rung, or the last whose instant came while nobody looked."""
    due = due_of(journey, fired.scope)
    if passed_at(calendar, due) <= now:
        return "passed"
    return "reached" if due <= now else fired.rung


def following_timer(journey: Journey, calendar: WorkingCalendar, fired: Timer, said: Rung) -> Timer | None:
    """The rung after the one that was said; None after the last."""
    due = due_of(journey, fired.scope)
    match said:
        case "near":
            return Timer(fired.scope, fired.run, "reached", fired.generation, due)
        case "reached":
            return Timer(fired.scope, fired.run, "passed", fired.generation, passed_at(calendar, due))
        case "passed" | "over":
            return None


def due_of(journey: Journey, scope: Scope) -> datetime:
    """The due instant of one of the two clocks."""
    return journey.stage_due if scope is Scope.STAGE else journey.due


def late(calendar: WorkingCalendar, due: datetime, at: datetime) -> bool:
    """Late by the date reached, not by the hour."""
    return is_late(calendar, due, at)


@dataclass(frozen=True, slots=True)
class Recomputed:
    """The due instants that a ledger gives. ``beside``: of the other runs that are open, the higher ones."""

    due: datetime
    stage_due: datetime
    beside: tuple[datetime, ...] = ()


def recompute(calendar: WorkingCalendar, promise: datetime, ledger: Sequence[Entry]) -> Recomputed | None:
    """Both due instants from promise, ledger and calendar alone; None for a ledger in which no stage began.

    The journey's row is a projection of this; after an edit of the calendar every open deadline is computed so.
    """
    credit, paused = timedelta(0), None
    runs: dict[int, Entry] = {}
    stood_in: dict[int, timedelta] = {}
    is_open: set[int] = set()
    for entry in ledger:
        if entry.kind == "started":
            runs[entry.run], stood_in[entry.run] = entry, timedelta(0)
            is_open.add(entry.run)
        elif entry.kind == "ended":
            is_open.discard(entry.run)
        elif entry.kind == "paused":
            paused = entry.at
        elif entry.kind == "resumed" and paused is not None:
            stood = credit_of(calendar, paused, entry.at)
            credit, paused = credit + stood, None
            stood_in.update({run: stood_in[run] + stood for run in is_open})
    shown = sorted(is_open) or sorted(runs)[-1:]
    budgets = [(runs[run], runs[run].seconds, stood_in[run]) for run in shown]
    dues = [
        stage_due(calendar, started.at, seconds // 60, stood)
        for started, seconds, stood in budgets
        if seconds is not None
    ]
    if not dues:
        return None
    return Recomputed(dossier_due(calendar, promise, credit), dues[0], tuple(dues[1:]))
