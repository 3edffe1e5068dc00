"""What reporting makes of an event: a dossier as it stands, and the line in its timeline.

Each event changes only what belongs to its own source, so that the picture does not depend on the order in which the
three sources are heard; within one source the bus keeps the order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Any, Final

from services.reporting.values import (
    Dossier,
    Entry,
    Run,
    Standing,
    Status,
    written_runs,
)
from shared.bus import Decided
from shared.envelope import Heard
from shared.events import (
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    DossierAdopted,
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
    """A stage began (status 4): its own clock starts clean, the dossier's runs on. A branch runs beside the others."""
    event = heard.event
    assert isinstance(event, StageStarted)
    begun = Run(event.run, event.unit, event.stage, event.officer, event.stage_due)
    others = _runs(dossier, event.beside) if event.beside else ()
    return _changed(
        dossier,
        heard,
        phase=Status.IN_PROCESS,
        generation=event.generation,
        closed=None,
        **_in((*others, begun)),
        **_due(event),
    )


def handed_over(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """It changed hands: the receiver has it. Of several places one is done with, and it lies in the others."""
    event = heard.event
    assert isinstance(event, HandedOver)
    if left := _runs(dossier, event.beside):
        return _changed(dossier, heard, **_in(left))
    return _changed(dossier, heard, unit=event.receiver, officer=event.receiver_officer, runs=None)


def _runs(dossier: Dossier | None, numbers: Collection[int] | None = None) -> tuple[Run, ...]:
    """The open runs as far as routing has said, of these numbers or all; whatever intake says of the end."""
    if dossier is None:
        return ()
    runs = replace(dossier, ended=None).open_runs
    return tuple(one for one in runs if numbers is None or one.run in numbers)


def _in(runs: Iterable[Run]) -> dict[str, Any]:
    """Where a dossier lies: the fields of the lowest run, and how the clocks of all stand together."""
    ordered = sorted(runs, key=lambda one: one.run)
    first = ordered[0]
    return {
        "stage": first.stage,
        "run": first.run,
        "unit": first.unit,
        "officer": first.officer,
        "stage_due": first.due,
        "stage_near": any(one.near for one in ordered),
        "stage_late": any(one.late for one in ordered),
        "runs": written_runs(ordered),
    }


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
        generation=event.generation,
        dossier_late=False,
        **_resumed(dossier, event),
    )


def _resumed(dossier: Dossier | None, event: DossierResumed) -> dict[str, Any]:
    if dossier is None or dossier.runs is None:
        return {"stage_due": event.stage_due, "stage_late": False}
    dues = {event.run: event.stage_due} | {one.run: one.stage_due for one in event.beside}
    return _in(replace(one, due=dues.get(one.run, one.due), late=False) for one in _runs(dossier))


def deadline_comes(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """A deadline is near, or its instant has come: late is only who lets the date pass."""
    event = heard.event
    assert isinstance(event, DeadlineNear | DeadlineReached)
    if event.scope is Scope.STAGE:
        return _changed(dossier, heard, **_stage_comes(dossier, event.run, late=False))
    return _changed(dossier, heard, dossier_near=True)


def deadline_passed(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """The due date is over: the stage is late, or the dossier as a whole."""
    event = heard.event
    assert isinstance(event, DeadlinePassed)
    if event.scope is Scope.STAGE:
        return _changed(dossier, heard, **_stage_comes(dossier, event.run, late=True))
    return _changed(dossier, heard, dossier_near=True, dossier_late=True)


def _stage_comes(dossier: Dossier | None, run: int, *, late: bool) -> dict[str, Any]:
    """A stage's clock came to a rung: of several open ones the one that is named."""
    if dossier is None or dossier.runs is None:
        return {"stage_near": True} | ({"stage_late": True} if late else {})
    return _in(replace(one, near=True, late=one.late or late) if one.run == run else one for one in _runs(dossier))


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
        runs=None,
        **_due(event),
    )


def given_back(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """Withdrawn (status 7)."""
    return _changed(dossier, heard, phase=Status.WITHDRAWN, closed=heard.time, runs=None)


def adopted(dossier: Dossier | None, heard: Heard, _: None) -> Decided[Dossier]:
    """A record became live: it belongs in the picture of now."""
    assert isinstance(heard.event, DossierAdopted)
    return _changed(dossier, heard, origin=None)


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


def standing_of(dossier: Dossier, run: Run | None = None) -> Standing:
    """How it stands, as a whole or at one of several places: there by that stage's own clock and the dossier's.

    Late goes before paused: a request for papers does not undo a date that was missed.
    """
    near, late = (dossier.stage_near, dossier.stage_late) if run is None else (run.near, run.late)
    match status_of(dossier):
        case Status.RESULT_READY | Status.RESULT_HANDED_OVER:
            return Standing.DONE
        case Status.WITHDRAWN:
            return Standing.WITHDRAWN
        case status:
            if late or dossier.dossier_late:
                return Standing.LATE
            if status in {Status.WAITS_FOR_SUPPLEMENT, Status.WAITS_FOR_FEE}:
                return Standing.PAUSED
            return Standing.NEAR if near or dossier.dossier_near else Standing.ON_TIME


# --- the timeline -----------------------------------------------------------------------------------------------------


def entry_of(heard: Heard) -> Entry:
    """The line that an event makes in its dossier's timeline. A hand-over is the giver's: so is its lateness."""
    event = heard.event
    unit = stage = officer = late = None
    if isinstance(event, DossierReceived | StageStarted | ResultReady | DossierAdopted | Deadline):
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
