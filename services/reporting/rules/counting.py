"""Figures: the cells that dossiers lie in, and what cells add up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from services.reporting.rules.following import standing_of
from services.reporting.values import (
    OPEN,
    Cell,
    Day,
    Dossier,
    Figures,
    Picture,
    Standing,
    Status,
    Tally,
    Wanted,
    runs_of,
)
from shared.envelope import Heard

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
    """Every figure of the page that moves by its name: `late`, `unit/CODE/late`, `unit/CODE/STAGE/late`; no zeros.

    What was done today is shown for the town alone: a name that the page does not have makes it load itself anew.
    """
    figures = {**_named("", picture.total), "done_today": picture.total.done_today, "broken": picture.promises_broken}
    for unit, tally in picture.units.items():
        figures |= _named(f"unit/{unit or ''}/", tally)
    for (unit, stage), tally in picture.places.items():
        figures |= _named(f"unit/{unit or ''}/{stage or ''}/", tally)
    return {name: count for name, count in figures.items() if count}


def _named(prefix: str, tally: Tally) -> dict[str, int]:
    parts = {"open": tally.open, **{part.value: getattr(tally, part.value) for part in OPEN}}
    return {prefix + name: count for name, count in parts.items()}


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
