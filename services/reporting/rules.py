"""What reporting makes of what it hears: pure functions on frozen values.

Each event changes only what belongs to its own source, so that the picture does not depend on the order in which the
three sources are heard; within one source the bus keeps the order.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import astuple, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.reporting.values import (
    OPEN,
    Cell,
    Day,
    Dossier,
    Entry,
    Figures,
    Picture,
    Run,
    Standing,
    Status,
    Tally,
    Wanted,
    runs_of,
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


# --- figures ----------------------------------------------------------------------------------------------------------


_WORST_FIRST: Final = (Standing.LATE, Standing.PAUSED, Standing.NEAR, Standing.ON_TIME)


class Where(NamedTuple):
    """What a dossier adds to: a cell that it lies in."""

    unit: str | None
    stage: str | None
    status: int
    standing: str
    dossier_late: bool
    counts: Figures = "all"


def wheres_of(dossier: Dossier) -> tuple[Where, ...]:
    """The cells of a dossier: one, or of one that lies in several places what it adds to the total, to each unit (there
    it stands as the worst of its stages) and to each place; none for a replayed one, which is not in the picture."""
    if dossier.origin is not None:
        return ()
    if dossier.runs is None or dossier.ended is not None:
        return (
            Where(
                dossier.unit if dossier.unit is not None else dossier.receiving_unit,
                dossier.stage if dossier.ended is None else None,
                dossier.status,
                dossier.standing,
                dossier.dossier_late,
            ),
        )
    status, late = dossier.status, dossier.dossier_late
    places = [(one, standing_of(dossier, one)) for one in runs_of(dossier.runs)]
    units = {
        unit: min((standing for one, standing in places if one.unit == unit), key=_WORST_FIRST.index)
        for unit in dict.fromkeys(one.unit for one, _ in places)
    }
    return (
        Where(None, None, status, dossier.standing, late, "total"),
        *(Where(unit, None, status, standing, late, "unit") for unit, standing in units.items()),
        *(Where(one.unit, one.stage, status, standing, late, "place") for one, standing in places),
    )


def shifts(known: Mapping[str, Dossier], changed: Mapping[str, Dossier]) -> list[tuple[Where, int]]:
    """What changed dossiers take from the cells where they lay and add to those where they lie; zeros left out."""
    by: Counter[Where] = Counter()
    for ident, dossier in changed.items():
        before = wheres_of(known[ident]) if ident in known else ()
        after = wheres_of(dossier)
        if before == after:
            continue
        for where in before:
            by[where] -= 1
        for where in after:
            by[where] += 1
    return [(where, count) for where, count in by.items() if count]


def minutes_of(heard: Iterable[Heard]) -> Counter[tuple[datetime, str]]:
    """How many events each speaker recorded in which minute."""
    return Counter((one.recorded.replace(second=0, microsecond=0), one.source.value) for one in heard)


def figures_of(picture: Picture) -> dict[str, int]:
    """Every figure of the page that moves by its name: `late`, `unit/CODE/late`, `unit/CODE/STAGE/late`; no zeros."""
    figures = _named("", picture.total)
    figures["broken"] = picture.promises_broken
    for unit, tally in picture.units.items():
        figures |= _named(f"unit/{unit or ''}/", tally)
    for (unit, stage), tally in picture.places.items():
        figures |= _named(f"unit/{unit or ''}/{stage or ''}/", tally)
    return {name: count for name, count in figures.items() if count}


def _named(prefix: str, tally: Tally) -> dict[str, int]:
    parts = zip(("on_time", "near", "late", "paused", "done_today"), astuple(tally), strict=True)
    return {f"{prefix}open": tally.open, **{prefix + name: count for name, count in parts}}


def difference(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    """The figures that are others now, with what they are now."""
    return {name: after.get(name, 0) for name in {*before, *after} if before.get(name, 0) != after.get(name, 0)}


def by_day(days: Iterable[Day]) -> dict[Any, Day]:
    """All units of a day together."""
    return _summed(days, lambda one: one.day, unit=None)


def by_unit(days: Iterable[Day]) -> dict[str | None, Day]:
    """All days of a unit together."""
    return _summed(days, lambda one: one.unit)


def _summed(days: Iterable[Day], key: Any, **same: Any) -> dict[Any, Day]:
    sums: dict[Any, Day] = {}
    for one in days:
        so_far = sums.get(key(one))
        sums[key(one)] = (
            replace(one, **same)
            if so_far is None
            else replace(
                so_far,
                received=so_far.received + one.received,
                on_time=so_far.on_time + one.on_time,
                late=so_far.late + one.late,
            )
        )
    return sums


def counted_by_cells(wanted: Wanted, cells: Iterable[Cell]) -> int | None:
    """How many dossiers a list has, when cells can tell it; None when it asks for what they do not know."""
    dates = (wanted.received_on, wanted.ended_on, wanted.ended_since)
    if wanted.origin is not None or wanted.code is not None or any(each is not None for each in dates):
        return None
    counts = "total" if wanted.unit is None else "unit"
    if wanted.stage is not None:
        counts = "place"
    return sum(one.count for one in cells if one.counts in {"all", counts} and _lies_in(wanted, one))


def _lies_in(wanted: Wanted, cell: Cell) -> bool:
    return (
        wanted.unit in {None, cell.unit}
        and (wanted.stage is None or (wanted.stage == (cell.stage or "") and cell.standing in OPEN))
        and wanted.status in {None, cell.status}
        and wanted.standing in {None, cell.standing}
        and wanted.late in {None, cell.dossier_late}
        and (cell.standing in OPEN or not wanted.is_open)
        and (cell.done_today or not wanted.done_today)
    )


def picture_of(cells: Iterable[Cell]) -> Picture:
    """The figures that cells add up to."""
    total, broken = Tally(), 0
    statuses = dict.fromkeys(Status, 0)
    units: dict[str | None, Tally] = {}
    stages: dict[str | None, Tally] = {}
    places: dict[tuple[str | None, str | None], Tally] = {}
    for cell in cells:
        is_open = cell.standing not in {Standing.DONE, Standing.WITHDRAWN}
        if cell.counts in {"all", "total"}:
            statuses[cell.status] += cell.count
            total = _counted(total, cell)
            broken += cell.count if cell.dossier_late and is_open else 0
        if cell.counts in {"all", "unit"}:
            units[cell.unit] = _counted(units.get(cell.unit, Tally()), cell)
        if cell.counts in {"all", "place"} and is_open:
            stages[cell.stage] = _counted(stages.get(cell.stage, Tally()), cell)
            place = (cell.unit, cell.stage)
            places[place] = _counted(places.get(place, Tally()), cell)
    return Picture(total, broken, statuses, units, stages, places)


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
