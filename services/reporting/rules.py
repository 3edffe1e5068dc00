"""What reporting makes of what it hears: pure functions on frozen values.

Each event changes only what belongs to its own source, so that the picture does not depend on the order in which the
three sources are heard; within one source the bus keeps the order.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from services.reporting.values import Cell, Dossier, Entry, Picture, Standing, Status, Tally
from shared.bus import Decided
from shared.envelope import Heard
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    DossierReceived,
    DossierResumed,
    FeeRequested,
    HandedOver,
    NoticeSent,
    ResultReady,
    Scope,
    StageStarted,
    SupplementRequested,
)

Deadline: Final = DeadlineNear | DeadlineReached | DeadlinePassed

# --- one event --------------------------------------------------------------------------------------------------------


def received(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """It came in through the door: what it is, where, and what was promised."""
    event = heard.event
    assert isinstance(event, DossierReceived)
    return _changed(
        dossier,
        heard,
        code=event.code,
        procedure=event.procedure,
        receiving_unit=event.unit,
        channel=event.channel.value,
        calendar=event.calendar,
        received=heard.time,
        promise=event.promise,
    )


def asked_back(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The citizen wants it back: a request, until routing's answer."""
    return _changed(dossier, heard, withdrawal_requested=heard.time)


def handed_to_citizen(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The result is with the citizen (status 10), whether or not routing's word of it was heard yet."""
    return _changed(dossier, heard, handed_over=heard.time)


def noted(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """It goes into the timeline and changes nothing else."""
    return _changed(dossier, heard)


def started(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """A stage began (status 4): its own clock starts clean, the dossier's runs on."""
    event = heard.event
    assert isinstance(event, StageStarted)
    return _changed(
        dossier,
        heard,
        phase=Status.IN_PROCESS,
        stage=event.stage,
        run=event.run,
        unit=event.unit,
        officer=event.officer,
        stage_due=event.stage_due,
        generation=event.generation,
        closed=None,
        stage_near=False,
        stage_late=False,
        **_due(event),
    )


def handed_over(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """It changed hands: the receiver has it."""
    event = heard.event
    assert isinstance(event, HandedOver)
    return _changed(dossier, heard, unit=event.receiver, officer=event.receiver_officer)


def waits_for_citizen(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """Papers or a fee are missing (status 5 or 6); the clock stands."""
    event = heard.event
    if isinstance(event, SupplementRequested):
        return _changed(dossier, heard, phase=Status.WAITS_FOR_SUPPLEMENT, closed=None, supplements=event.nth)
    assert isinstance(event, FeeRequested)
    return _changed(dossier, heard, phase=Status.WAITS_FOR_FEE, closed=None)


def resumed(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The clock runs again; both due instants moved by exactly the working time that it stood.

    So what was left before the pause is left now: what was near is near. What was late may be within its date again;
    if it is not, routing says so anew for the new generation.
    """
    event = heard.event
    assert isinstance(event, DossierResumed)
    return _changed(
        dossier,
        heard,
        phase=Status.IN_PROCESS,
        closed=None,
        due=event.due,
        stage_due=event.stage_due,
        generation=event.generation,
        stage_late=False,
        dossier_late=False,
    )


def deadline_comes(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """A deadline is near, or its instant has come: late is only who lets the date pass."""
    event = heard.event
    assert isinstance(event, DeadlineNear | DeadlineReached)
    return _changed(dossier, heard, **{f"{event.scope.value}_near": True})


def deadline_passed(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The due date is over: the stage is late, or the dossier as a whole."""
    event = heard.event
    assert isinstance(event, DeadlinePassed)
    if event.scope is Scope.STAGE:
        return _changed(dossier, heard, stage_near=True, stage_late=True)
    return _changed(dossier, heard, dossier_near=True, dossier_late=True)


def result_ready(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The work is done (status 9); whether in time is said by the event."""
    event = heard.event
    assert isinstance(event, ResultReady)
    return _changed(
        dossier,
        heard,
        phase=Status.RESULT_READY,
        unit=event.unit,
        closed=heard.time,
        dossier_late=event.late,
        **_due(event),
    )


def given_back(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """Withdrawn (status 7)."""
    return _changed(dossier, heard, phase=Status.WITHDRAWN, closed=heard.time)


def told(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """What the citizen was told, or could not be."""
    if isinstance(heard.event, NoticeSent):
        return _changed(dossier, heard, notices_sent=(dossier.notices_sent if dossier else 0) + 1)
    return _changed(dossier, heard, notices_failed=(dossier.notices_failed if dossier else 0) + 1)


def _due(event: StageStarted | ResultReady) -> dict[str, Any]:
    return {"due": event.due} if event.due is not None else {}


def _changed(dossier: Dossier | None, heard: Heard, **changes: Any) -> Decided[Dossier]:
    if dossier is None:
        dossier = Dossier(heard.subject, heard.origin, heard.recorded)
    changed = replace(dossier, as_of=max(dossier.as_of, heard.recorded), **changes)
    status, standing = status_of(changed), standing_of(changed)
    ended = changed.closed or changed.handed_over
    if (status, standing, ended) == (changed.status, changed.standing, changed.ended):
        return Decided(changed)
    return Decided(replace(changed, status=status, standing=standing, ended=ended))


def status_of(dossier: Dossier) -> Status:
    """The national portal's code: intake decides before reception and after the result, routing in between."""
    if dossier.handed_over is not None:
        return Status.RESULT_HANDED_OVER
    return Status(dossier.phase) if dossier.phase is not None else Status.RECEIVED


def standing_of(dossier: Dossier) -> Standing:
    """How it stands. Late goes before paused: a request for papers does not undo a date that was missed."""
    match status_of(dossier):
        case Status.RESULT_READY | Status.RESULT_HANDED_OVER:
            return Standing.DONE
        case Status.WITHDRAWN:
            return Standing.WITHDRAWN
        case status:
            if dossier.stage_late or dossier.dossier_late:
                return Standing.LATE
            if status in {Status.WAITS_FOR_SUPPLEMENT, Status.WAITS_FOR_FEE}:
                return Standing.PAUSED
            return Standing.NEAR if dossier.stage_near or dossier.dossier_near else Standing.ON_TIME


# --- the timeline -----------------------------------------------------------------------------------------------------


def entry_of(heard: Heard) -> Entry:
    """The line that an event makes in its dossier's timeline. A hand-over is the giver's: so is its lateness."""
    event = heard.event
    unit = stage = officer = late = None
    if isinstance(event, DossierReceived | StageStarted | ResultReady | Deadline):
        unit = event.unit
    if isinstance(event, StageStarted):
        stage, officer = event.stage, event.officer
    elif isinstance(event, HandedOver):
        unit, stage, officer, late = event.giver, event.stage, event.giver_officer, event.late
    elif isinstance(event, ResultReady):
        late = event.late
    elif isinstance(event, DeadlinePassed):
        late = True
    return Entry(
        heard.subject,
        heard.source,
        heard.version,
        heard.type,
        heard.time,
        heard.recorded,
        heard.origin,
        heard.actor,
        unit,
        stage,
        getattr(event, "run", None),
        officer,
        late,
        event.model_dump_json(exclude_defaults=True),
    )


# --- figures ----------------------------------------------------------------------------------------------------------


def picture_of(cells: Iterable[Cell]) -> Picture:
    """The figures that cells add up to."""
    total, broken = Tally(), 0
    statuses = dict.fromkeys(Status, 0)
    units: dict[str | None, Tally] = {}
    stages: dict[str | None, Tally] = {}
    for cell in cells:
        statuses[cell.status] += cell.count
        total = _counted(total, cell)
        units[cell.unit] = _counted(units.get(cell.unit, Tally()), cell)
        if cell.standing in {Standing.DONE, Standing.WITHDRAWN}:
            continue
        stages[cell.stage] = _counted(stages.get(cell.stage, Tally()), cell)
        broken += cell.count if cell.dossier_late else 0
    return Picture(total, broken, statuses, units, stages)


def _counted(tally: Tally, cell: Cell) -> Tally:
    match cell.standing:
        case Standing.ON_TIME:
            return replace(tally, on_time=tally.on_time + cell.count)
        case Standing.NEAR:
            return replace(tally, near=tally.near + cell.count)
        case Standing.LATE:
            return replace(tally, late=tally.late + cell.count)
        case Standing.PAUSED:
            return replace(tally, paused=tally.paused + cell.count)
        case _ if cell.done_today:
            return replace(tally, done_today=tally.done_today + cell.count)
        case _:
            return tally
