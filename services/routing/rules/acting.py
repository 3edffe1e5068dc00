"""What officers do with a dossier: each action either fits where the dossier is, or is refused with what to do."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace

from services.routing.rules import deadline
from services.routing.rules.branches import in_front, settled, with_timer
from services.routing.rules.journey import pause, resume, said_start, set_timers, start_stage, write
from services.routing.rules.parallel import end_branch, fork
from services.routing.values import (
    AS_RECORDED,
    Action,
    Finish,
    HandOver,
    Journey,
    Known,
    RecordStep,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    Route,
    Rung,
    SendBack,
    Timer,
)
from shared.bus import Decided, Say, Unchanged
from shared.calendar import WorkingCalendar
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    Event,
    FeeRequested,
    HandedOver,
    ResultReady,
    Scope,
    SupplementRequested,
)


def carry_out(journey: Journey, action: Action, now: datetime, known: Known) -> Decided[Journey] | Refused:
    """Carry an action out at an instant, or refuse it. Of several open runs it is about the one in front."""
    decided = _carry_out(journey, action, now, known)
    if isinstance(decided, Decided) and decided.state.branches:
        return Decided(settled(decided.state), decided.say)
    return decided


def _carry_out(journey: Journey, action: Action, now: datetime, known: Known) -> Decided[Journey] | Refused:
    calendar = known.calendar_of(journey)
    if isinstance(action, RecordStep):
        return _record_step(journey, action, now, calendar)
    if journey.route == AS_RECORDED:
        return Refused("recorded", "this dossier is a replayed record: only its recorded steps can be added")
    if not journey.is_open:
        return Refused("closed", f"the dossier is {journey.state}: nothing can be done with it here")
    if isinstance(action, Resume):
        if journey.state != "paused":
            return Refused("not_paused", "the clock is running: there is nothing to resume")
        return _resume(journey, now, known, calendar)
    if journey.state == "paused":
        return Refused("paused", "the clock stands: resume the dossier first")
    return _move(journey, action, now, known, calendar)


def _move(
    journey: Journey, action: Action, now: datetime, known: Known, calendar: WorkingCalendar
) -> Decided[Journey] | Refused:
    route = known.route_of(journey)
    is_last = journey.stage_number == len(route.stages) - 1
    unfit = _unfit_for_posting(journey, route, action, now, calendar)
    if unfit is not None:
        return unfit
    match action:
        case HandOver(officer):
            if is_last:
                return Refused("last_stage", "this is the last stage: finish the dossier instead")
            following = route.step_of(journey.stage_number).stop
            if officer is not None and (journey.branches or len(route.step_of(following)) > 1):
                return Refused(
                    "several_take_it", "not one stage begins now but several, or none yet: leave officer out"
                )
            if journey.branches:
                return end_branch(journey, route, now, known)
            return _hand_over(journey, route, following, now, known, officer=officer)
        case SendBack(reason, stage):
            before = _before(route, journey.stage_number, stage)
            if isinstance(before, Refused):
                return before
            return _hand_over(journey, route, before, now, known, reason=reason)
        case RequestSupplement(components, reason):
            standing = replace(pause(journey, now, "supplement", calendar), supplements=journey.supplements + 1)
            said = SupplementRequested(run=journey.run, nth=standing.supplements, components=components, reason=reason)
            return Decided(standing, (Say(said, now),))
        case RequestFee(amount, reason):
            said_fee = FeeRequested(run=journey.run, amount_vnd=amount, reason=reason)
            return Decided(pause(journey, now, "fee", calendar), (Say(said_fee, now),))
        case Finish():
            if not is_last:
                return Refused("not_last_stage", "there are stages left: hand the dossier over instead")
            return _finish(journey, now, calendar)
        case _:
            raise AssertionError("resume, recorded steps and adoption were dealt with before")


def _unfit_for_posting(
    journey: Journey, route: Route, action: Action, now: datetime, calendar: WorkingCalendar
) -> Refused | None:
    """During a public posting nobody acts, save to take it back; it ends by itself, at its fixed end."""
    if route.stages[journey.stage_number].kind != "posting" or isinstance(action, SendBack):
        return None
    if isinstance(action, HandOver) and now >= journey.stage_due:
        return None
    until = calendar.local(journey.stage_due)
    return Refused(
        "posting", f"the public posting runs until {until:%Y-%m-%d %H:%M}: it ends by itself, or send it back"
    )


def _before(route: Route, number: int, stage: str | None) -> int | Refused:
    """Where a stage sends back to: the last one before it at which somebody works, of a fork the branch that is named.

    A branch sends nothing back: what comes before it waits for all of them. It misses papers, or says to the stage that
    joins what is wrong, which sends back to whoever has to put it right.
    """
    if number == 0:
        return Refused("first_stage", "this is the first stage: ask the citizen for a supplement instead")
    if route.stages[number].parallel:
        return Refused(
            "in_parallel",
            "others work on the dossier beside this stage: ask the citizen for a supplement, or hand over and let the "
            "stage that joins send it back",
        )
    # A route begins with work.
    before = next(before for before in range(number - 1, -1, -1) if route.stages[before].kind == "work")
    names = {route.stages[each].name: each for each in route.step_of(before)}
    if stage is None and len(names) == 1:
        return before
    if stage in names:
        return names[stage]
    return Refused("which_stage", f"it can be sent back to {' or '.join(names)}: name it in stage")


def _resume(journey: Journey, now: datetime, known: Known, calendar: WorkingCalendar) -> Decided[Journey]:
    """What the clock waited for has come. A stage that was nothing but this wait is over with it."""
    resumed = resume(journey, now, calendar)
    route = known.route_of(journey)
    if route.stages[journey.stage_number].kind != "citizen":
        return resumed
    following = _hand_over(resumed.state, route, route.step_of(journey.stage_number).stop, now, known)
    return Decided(following.state, resumed.say + following.say)


def _end_stage(journey: Journey, now: datetime) -> Journey:
    return write(journey, "ended", now)


def _hand_over(
    journey: Journey,
    route: Route,
    number: int,
    now: datetime,
    known: Known,
    *,
    officer: str | None = None,
    reason: str | None = None,
) -> Decided[Journey]:
    calendar = known.calendar_of(journey)
    ended = _end_stage(journey, now)
    if reason is None and route.stages[number].parallel:
        decided = fork(ended, route, number, now, known, calendar)
    else:
        decided = start_stage(ended, route, number, now, known, calendar, officer=officer)
    receiver = decided.state
    said = HandedOver(
        stage=journey.stage,
        run=journey.run,
        giver=journey.unit,
        giver_officer=journey.officer,
        receiver=receiver.unit,
        receiver_officer=officer,
        # Nobody can be late with a posting, nor with what the citizen was waited for.
        late=route.stages[journey.stage_number].kind == "work" and deadline.late(calendar, journey.stage_due, now),
        back=reason is not None,
        reason=reason,
    )
    return Decided(receiver, (Say(said, now), *decided.say))


def _finish(journey: Journey, now: datetime, calendar: WorkingCalendar) -> Decided[Journey]:
    done = write(replace(_end_stage(journey, now), state="done"), "finished", now)
    said = ResultReady(
        run=journey.run, unit=journey.unit, due=journey.due, late=deadline.late(calendar, journey.due, now)
    )
    return Decided(set_timers(done, calendar, now), (Say(said, now),))


def _record_step(
    journey: Journey, step: RecordStep, now: datetime, calendar: WorkingCalendar
) -> Decided[Journey] | Refused:
    """The next step of a replayed record: a changed officer is a hand-over."""
    if journey.route != AS_RECORDED:
        return Refused("not_recorded", "only dossiers of a replay unit take recorded steps")
    if not journey.is_open:
        return Refused("closed", f"the dossier is {journey.state}: its record is at its end")
    if step.at < journey.last_at:
        return Refused("before_the_last", "send the steps of a record in their order")
    if step.at > now:
        return Refused("not_yet", "a record holds what has happened: this step's time has not come yet")
    ended = _end_stage(journey, step.at) if journey.run else journey
    started = replace(
        ended,
        stage=step.stage,
        stage_number=journey.run,
        run=journey.run + 1,
        unit=step.unit,
        officer=step.officer,
        stage_started=step.at,
        stage_credit=timedelta(0),
    )
    started = write(started, "started", step.at)
    said: tuple[Say, ...] = ()
    if journey.run and step.officer != journey.officer:
        handed = HandedOver(
            stage=journey.stage,
            run=journey.run,
            giver=journey.unit,
            giver_officer=journey.officer,
            receiver=step.unit,
            receiver_officer=step.officer,
            late=deadline.late(calendar, journey.due, step.at),
        )
        said = (Say(handed, step.at),)
    start = said_start(started).model_copy(update={"budget_minutes": None, "stage_due": None})
    return Decided(started, (*said, Say(start, step.at)))


def fire(journey: Journey, timer: Timer, now: datetime, known: Known) -> Decided[Journey] | Unchanged:
    """A timer's instant has come: say so, if the clock that it belongs to still runs, and set the next rung.

    A timer of an older generation, of a clock that stands, or one that was read too early says nothing. When nobody
    looked for so long that later rungs came too, only the last of them is said.
    """
    if journey.state != "moving" or timer.generation != journey.generation or timer.fires_at > now:
        return Unchanged()
    if timer.scope is Scope.STAGE and timer.run != journey.run:
        if all(one.run != timer.run for one in journey.branches):
            return Unchanged()
        journey = in_front(journey, timer.run)
    if timer.rung == "over":
        route = known.route_of(journey)
        return _hand_over(journey, route, route.step_of(journey.stage_number).stop, now, known)
    calendar = known.calendar_of(journey)
    rung = deadline.rung_of(journey, calendar, timer, now)
    said = said_of(journey, timer.scope, rung)
    following = deadline.following_timer(journey, calendar, timer, rung)
    fired = replace(journey, last_at=max(journey.last_at, now))
    return Decided(set_clock(fired, timer, following), (Say(said, now),))


_SAID_OF: Final = {"near": DeadlineNear, "reached": DeadlineReached, "passed": DeadlinePassed}


def said_of(journey: Journey, scope: Scope, rung: Rung) -> Event:
    """What is announced when a clock comes to a rung."""
    return _SAID_OF[rung](
        scope=scope,
        run=journey.run,
        generation=journey.generation,
        unit=journey.unit,
        due=deadline.due_of(journey, scope),
    )


def set_clock(journey: Journey, fired: Timer, timer: Timer | None) -> Journey:
    """The clock of a timer that is over, with its next one or with none; the others stay as they are."""
    if fired.scope is Scope.STAGE and journey.branches:
        return with_timer(journey, fired.run, timer)
    timers = (timer,) if timer is not None else ()
    return replace(journey, unsaved=journey.unsaved.with_clocks(frozenset({fired.scope}), timers))
