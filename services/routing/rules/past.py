"""What happened earlier and is told now (role history): each entry at its own time, and what fell due between them.

No timer of a record ever fires. That a deadline came near, was reached and passed is a fact all the same: it is said,
with the instant at which it was so, when a later entry or the adoption shows that the instant has gone by.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from msgspec.structs import replace

from services.routing.rules import acting, deadline
from services.routing.rules.branches import in_front, rewritten
from services.routing.rules.journey import BOTH_CLOCKS
from services.routing.values import AS_RECORDED, Action, Adopt, Journey, Known, Refused, Rung, StageKind, Timer
from shared.bus import Decided, Decision, Say
from shared.calendar import WorkingCalendar
from shared.envelope import Heard
from shared.events import DossierAdopted, Scope

Rule = Callable[[Journey | None, Heard, Known], Decision[Journey]]


def unfit(journey: Journey, at: datetime, latest: datetime, now: datetime) -> Refused | None:
    """Why nothing can have happened to a dossier at ``at``; ``latest`` is the business time of its last entry."""
    if journey.origin is None:
        return Refused("live", "the dossier is live: what happens to it happens now; leave the time out")
    if at > now:
        return Refused("not_yet", "a record holds what has happened: this time has not come yet")
    if at < latest:
        return Refused("before_the_last", "send what happened to a dossier in its order: its last entry is later")
    return None


def carry_out(
    journey: Journey, action: Action, at: datetime, now: datetime, known: Known
) -> Decided[Journey] | Refused:
    """Carry an action out at an instant, or refuse it; of a record, what fell due until then is said before it."""
    if isinstance(action, Adopt):
        return _adopt(journey, now, known)
    if journey.origin is None or journey.route == AS_RECORDED:
        return acting.carry_out(journey, action, at, known)
    before = _told_until(journey, at, known)
    decided = acting.carry_out(before.state, action, at, known)
    if isinstance(decided, Refused):
        return decided
    return Decided(decided.state, (*before.say, *decided.say, *_late_at_once(journey, decided.state, at, known)))


def in_its_time(rule: Rule) -> Rule:
    """The rule; of a record, what fell due until the heard event is said before it."""

    def decide(journey: Journey | None, heard: Heard, known: Known) -> Decision[Journey]:
        origin = heard.origin if journey is None else journey.origin
        if origin is None or (journey is not None and journey.route == AS_RECORDED):
            return rule(journey, heard, known)
        if journey is None:
            began = rule(None, heard, known)
            if not isinstance(began, Decided) or began.state.route == AS_RECORDED:
                return began
            late = _late_at_once(None, began.state, heard.time, known)
            return Decided(began.state, (*began.say, *late))
        before = _told_until(journey, heard.time, known)
        decided = rule(before.state, heard, known)
        if not isinstance(decided, Decided):
            return decided
        late = _late_at_once(journey, decided.state, heard.time, known)
        return Decided(decided.state, (*before.say, *decided.say, *late))

    return decide


def _told_until(journey: Journey, until: datetime, known: Known) -> Decided[Journey]:
    """The rungs of all clocks between the last entry and an instant, each at its own time.

    What lies before the last entry was said with it; a clock that stands comes to no rung.
    """
    if journey.state != "moving" or journey.origin is None:
        return Decided(journey)
    calendar = known.calendar_of(journey)
    clocks = {(scope, one.run): one for scope, one in _running(journey, known)}
    came = sorted(
        (instant, scope.value, run, rung)
        for (scope, run), one in clocks.items()
        for rung, instant in _rungs(one, scope, calendar).items()
        if journey.last_at < instant <= until
    )
    return Decided(
        journey,
        tuple(
            Say(acting.said_of(clocks[Scope(scope), run], Scope(scope), rung), instant)
            for instant, scope, run, rung in came
        ),
    )


def _running(journey: Journey, known: Known) -> tuple[tuple[Scope, Journey], ...]:
    """The clocks that can miss something, each with the journey as its run has it: nobody is late with a public
    posting, nor with what the citizen is to do."""
    of_dossier = (Scope.DOSSIER, journey)
    if _kind(journey, known) != "work":
        return (of_dossier,)
    runs = [in_front(journey, one.run) for one in journey.branches] or [journey]
    return (*((Scope.STAGE, one) for one in runs), of_dossier)


def _kind(journey: Journey, known: Known) -> StageKind:
    return known.route_of(journey).stages[journey.stage_number].kind


def _rungs(journey: Journey, scope: Scope, calendar: WorkingCalendar) -> dict[Rung, datetime]:
    due = deadline.due_of(journey, scope)
    if scope is Scope.DOSSIER:
        near = deadline.near_of_dossier(calendar, due)
    else:
        near = deadline.near_of_stage(calendar, due, journey.stage_budget_minutes)
    return {"near": near, "reached": due, "passed": deadline.passed_at(calendar, due)}


def _late_at_once(before: Journey | None, after: Journey, at: datetime, known: Known) -> tuple[Say, ...]:
    """A clock that begins to run (again) when its date is over: late from this instant on, as a live one would say."""
    starts = after.state == "moving" and (before is None or before.state == "paused")
    if not starts:
        return ()
    calendar = known.calendar_of(after)
    return tuple(
        Say(acting.said_of(one, scope, "passed"), at)
        for scope, one in _running(after, known)
        if deadline.passed_at(calendar, deadline.due_of(one, scope)) <= at
    )


def _adopt(journey: Journey, now: datetime, known: Known) -> Decided[Journey] | Refused:
    """A record becomes live: what fell due until now is said at its own time, and timers are set for what is to come.

    One whose result still lies at the desk is adopted too: there is something left to be done with it.
    """
    if journey.origin is None:
        return Refused("live", "the dossier is live already")
    if journey.route == AS_RECORDED:
        return Refused("recorded", "this dossier is a replayed record: it has no route on which it could go on")
    if journey.state == "withdrawn":
        return Refused("closed", "the dossier is withdrawn: it stays a record")
    calendar = known.calendar_of(journey)
    told = _told_until(journey, now, known)
    live = replace(told.state, origin=None, last_at=max(journey.last_at, now))
    timers = tuple(one for one in deadline.timers(live, calendar, now) if one.fires_at > now)
    if live.state == "moving" and _kind(live, known) == "posting":
        # One that is over meanwhile ends now: that is the next thing that happens, and no deadline that was missed.
        over = Timer(Scope.STAGE, live.run, "over", live.generation, live.stage_due)
        timers = (over, *(one for one in timers if one.scope is Scope.DOSSIER))
    unsaved = replace(live.unsaved.with_clocks(BOTH_CLOCKS, timers), is_adopted=True)
    adopted = replace(live, unsaved=unsaved)
    if live.branches:
        timed = deadline.timed_branches(live, calendar, now)
        to_come = (one if one.timer and one.timer.fires_at > now else replace(one, timer=None) for one in timed)
        adopted = rewritten(adopted, tuple(to_come))
    said = DossierAdopted(origin=journey.origin, run=journey.run, unit=journey.unit)
    return Decided(adopted, (*told.say, Say(said, now)))
