"""A dossier's journey: what is heard of intake, and what a stage's start, pause and end mean for it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Final

from msgspec.structs import replace

from services.routing.rules import branches, deadline
from services.routing.rules.deadline import StageStart
from services.routing.values import (
    AS_RECORDED,
    Entry,
    EntryKind,
    Journey,
    Known,
    Route,
    Stage,
    Timer,
    Unit,
    Unsaved,
)
from shared.bus import Decided, Decision, Say, Unchanged, WaitsFor
from shared.calendar import WorkingCalendar
from shared.envelope import Heard
from shared.events import (
    DossierReceived,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    Scope,
    StageStarted,
    StandsBeside,
)

BOTH_CLOCKS: Final = frozenset(Scope)
_NO_CLOCK: Final[frozenset[Scope]] = frozenset()
_STAGE_CLOCK: Final = frozenset({Scope.STAGE})
_NO_TIME: Final = timedelta(0)
_NEW: Final = Unsaved(is_new=True)


def begin(journey: Journey | None, heard: Heard, known: Known) -> Decision[Journey]:
    """A dossier came in: it starts on the route of its procedure, or of its level, at the unit that received it.

    Waits when the procedure, its route, the unit or the calendar is not known here in the version that the event names.
    A replayed dossier begins without a stage: its record names the first.
    """
    event = heard.event
    assert isinstance(event, DossierReceived)
    if journey is not None:
        return Unchanged()
    unit = version_of(known.units.get(event.unit, ()), event.unit_version)
    if unit is None:
        return WaitsFor(f"unit:{event.unit}")
    calendar = known.calendars.get((event.calendar, event.calendar_version))
    if calendar is None:
        return WaitsFor(f"calendar:{event.calendar}")
    procedure = known.procedures.get(event.procedure)
    if procedure is None or procedure.version < event.procedure_version:
        return WaitsFor(f"procedure:{event.procedure}")
    if unit.level == "replay":
        return Decided(_fresh(heard, event, unit, AS_RECORDED, 0))
    route = known.route_for(procedure)
    if route is None:
        return WaitsFor(f"route:{procedure.route}")
    return start_stage(_fresh(heard, event, unit, route.code, route.version), route, 0, heard.time, known, calendar)


def _fresh(heard: Heard, event: DossierReceived, unit: Unit, route: str, route_version: int) -> Journey:
    # In UTC, as everything that a store gives: an offset of pydantic's own is asked again by whoever reckons with it.
    promise = event.promise.astimezone(UTC)
    # The first ones by their places: a Struct with more than fifteen named values takes a microsecond longer to make.
    return Journey(
        heard.subject,
        event.procedure,
        route,
        route_version,
        receiving_unit=unit.code,
        calendar=event.calendar,
        calendar_version=event.calendar_version,
        origin=heard.origin,
        unit=unit.code,
        received=heard.time,
        promise=promise,
        due=promise,
        stage_started=heard.time,
        stage_due=promise,
        last_at=heard.time,
        unsaved=_NEW,
    )


def start_stage(
    journey: Journey,
    route: Route,
    number: int,
    at: datetime,
    known: Known,
    calendar: WorkingCalendar,
    *,
    officer: str | None = None,
) -> Decided[Journey]:
    """Begin a stage of the route at an instant: a new run, with its budget and its own clock.

    The dossier's clock runs on: its due instant is the same, and what was said of it is not said again.
    """
    stage = route.stages[number]
    start = deadline.stage_start(
        calendar,
        at,
        received=journey.received,
        promise=journey.promise,
        due=journey.due,
        share=stage.share,
        shares=route.shares,
        own=_own_budget(stage, at, calendar),
    )
    run = journey.next_run
    unit = unit_of(journey, stage, known, calendar, at)
    entry = Entry(journey.entries + 1, "started", run, at, stage.name, unit, officer, start.budget_minutes * 60)
    if stage.kind == "posting":
        clocks, timers = _clock_of_posting(journey, run, start.due)
    else:
        clocks, timers = _clocks_of_start(journey, calendar, at, run, start)
    started = replace(
        journey,
        stage=stage.name,
        stage_number=number,
        run=run,
        unit=unit,
        role=stage.role,
        officer=officer,
        stage_started=at,
        stage_budget_minutes=start.budget_minutes,
        stage_credit=_NO_TIME,
        stage_due=start.due,
        entries=entry.number,
        last_at=max(journey.last_at, at),
        unsaved=journey.unsaved.with_clocks(clocks, timers, entry),
    )
    if journey.last_run:
        started = replace(started, last_run=0, unsaved=replace(started.unsaved, rewrites_branches=True))
    if stage.kind == "citizen":
        return _wait_for_citizen(started, at, calendar)
    return Decided(started, (Say(said_start(started), at),))


def _own_budget(stage: Stage, at: datetime, calendar: WorkingCalendar) -> int | None:
    """The working minutes that a stage has of its own; None where it has a share of the term."""
    if stage.kind == "citizen":
        return 0
    return deadline.own_budget(calendar, at, stage.budget) if stage.budget is not None else None


def _clock_of_posting(journey: Journey, run: int, due: datetime) -> tuple[frozenset[Scope], tuple[Timer, ...]]:
    """A posting has no deadline that anybody could miss: its only timer ends it. The dossier's own clock runs on."""
    if journey.origin is not None:
        return _NO_CLOCK, ()
    return _STAGE_CLOCK, (Timer(Scope.STAGE, run, "over", journey.generation, due),)


def _wait_for_citizen(started: Journey, at: datetime, calendar: WorkingCalendar) -> Decided[Journey]:
    """The clock stands from the start of the stage on; what is to be paid stands on somebody else's notice."""
    asked = FeeRequested(run=started.run, amount_vnd=0, reason="as_on_the_notice")
    return Decided(pause(started, at, "fee", calendar), (Say(said_start(started), at), Say(asked, at)))


def _clocks_of_start(
    journey: Journey, calendar: WorkingCalendar, at: datetime, run: int, start: StageStart
) -> tuple[frozenset[Scope], tuple[Timer, ...]]:
    """The clocks that a new stage sets, with their timers: the stage's own; the first stage sets the dossier's too."""
    if journey.origin is not None:
        return _NO_CLOCK, ()
    generation = journey.generation
    of_stage = deadline.next_rung(calendar, Scope.STAGE, run, start.due, start.near, generation, at)
    if journey.run:
        return _STAGE_CLOCK, (of_stage,)
    of_dossier = deadline.next_rung(calendar, Scope.DOSSIER, 0, journey.due, start.dossier_near, generation, at)
    return BOTH_CLOCKS, (of_stage, of_dossier)


def said_start(journey: Journey) -> StageStarted:
    """What is announced of a stage's start."""
    return StageStarted(
        stage=journey.stage,
        run=journey.run,
        unit=journey.unit,
        role=journey.role,
        officer=journey.officer,
        budget_minutes=journey.stage_budget_minutes,
        stage_due=journey.stage_due,
        due=journey.due,
        generation=journey.generation,
    )


def version_of(versions: Sequence[Unit], number: int) -> Unit | None:
    """The version of a unit that an event names."""
    for one in versions:
        if one.version == number:
            return one
    return None


def as_of(versions: Sequence[Unit], day: date) -> Unit:
    """The unit as it is on a day: its newest version that holds by then; before all of them, the first.

    ``versions`` newest first, at least one. A version that is published ahead changes nothing before its day.
    """
    return next((one for one in versions if one.valid_from <= day), versions[-1])


def unit_of(journey: Journey, stage: Stage, known: Known, calendar: WorkingCalendar, at: datetime) -> str:
    """Where a stage is: the unit that it names, the receiving one, or that one's parent on the day; a unit without a
    parent (the town itself) does both."""
    if stage.unit is not None:
        return stage.unit
    if stage.place == "receiving":
        return journey.receiving_unit
    return as_of(known.units[journey.receiving_unit], calendar.day_of(at)).parent or journey.receiving_unit


def write(
    journey: Journey,
    kind: EntryKind,
    at: datetime,
    *,
    seconds: int | None = None,
    reason: str | None = None,
) -> Journey:
    """One more line in the ledger."""
    entry = Entry(
        journey.entries + 1, kind, journey.run, at, journey.stage, journey.unit, journey.officer, seconds, reason
    )
    return replace(
        journey,
        entries=entry.number,
        last_at=max(journey.last_at, at),
        unsaved=replace(journey.unsaved, entries=(*journey.unsaved.entries, entry)),
    )


def set_timers(journey: Journey, calendar: WorkingCalendar, since: datetime) -> Journey:
    """All clocks, set anew as they want it now."""
    timers = deadline.timers(journey, calendar, since)
    timed = replace(journey, unsaved=journey.unsaved.with_clocks(BOTH_CLOCKS, timers))
    if journey.branches:
        timed = branches.rewritten(timed, deadline.timed_branches(journey, calendar, since))
    return timed


def pause(journey: Journey, at: datetime, reason: str, calendar: WorkingCalendar) -> Journey:
    """The clock stands from an instant on, whoever asked: of a dossier with several open runs for all of them."""
    standing = replace(journey, state="paused", paused_at=at, pause_reason=reason)
    return set_timers(write(standing, "paused", at, reason=reason), calendar, at)


def resume(journey: Journey, answered_at: datetime, calendar: WorkingCalendar) -> Decided[Journey]:
    """The clock runs again; all due instants move by exactly the working time that it stood."""
    assert journey.paused_at is not None
    credit = deadline.credit_of(calendar, journey.paused_at, answered_at)
    credited, stage_credited = journey.credit + credit, journey.stage_credit + credit
    running = replace(
        journey,
        state="moving",
        paused_at=None,
        pause_reason=None,
        credit=credited,
        stage_credit=stage_credited,
        due=deadline.dossier_due(calendar, journey.promise, credited),
        stage_due=deadline.stage_due(calendar, journey.stage_started, journey.stage_budget_minutes, stage_credited),
        generation=journey.generation + 1,
    )
    if journey.branches:
        stood = tuple(deadline.credited(one, calendar, credit) for one in journey.branches)
        running = replace(running, branches=stood)
    running = write(running, "resumed", max(answered_at, journey.paused_at), seconds=int(credit.total_seconds()))
    said = DossierResumed(
        run=running.run,
        credited_seconds=int(credit.total_seconds()),
        stage_due=running.stage_due,
        due=running.due,
        generation=running.generation,
        beside=tuple(
            StandsBeside(run=one.run, stage_due=one.due) for one in running.branches if one.run != running.run
        ),
    )
    return Decided(set_timers(running, calendar, answered_at), (Say(said, answered_at),))


def resume_by_citizen(journey: Journey | None, heard: Heard, known: Known) -> Decision[Journey]:
    """Missing papers came in: what counts is the instant at the door, not the one at which routing heard of it.

    Papers that were handed in before the request answer an older one, which an officer took for answered meanwhile.
    """
    if journey is None or journey.state != "paused" or journey.pause_reason != "supplement":
        return Unchanged()
    assert journey.paused_at is not None
    if heard.time < journey.paused_at:
        return Unchanged()
    return resume(journey, heard.time, known.calendar_of(journey))


def withdraw(journey: Journey | None, heard: Heard, known: Known) -> Decision[Journey]:
    """The citizen wants the dossier back: it stops where it is, in every branch, unless it is done."""
    if journey is None or not journey.is_open:
        return Unchanged()
    stopped = write(replace(branches.closed(journey), state="withdrawn"), "withdrawn", heard.time)
    stopped = set_timers(stopped, known.calendar_of(journey), heard.time)
    return Decided(stopped, (Say(DossierWithdrawn(run=journey.run), heard.time),))
