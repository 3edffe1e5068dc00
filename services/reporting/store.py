"""Reporting's rows become values here; one function per named query, of the same name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import date, datetime
from operator import attrgetter
from pathlib import Path
from typing import Any, Final

from services.reporting.values import (
    Cell,
    Counts,
    Day,
    Dossier,
    Entry,
    Found,
    History,
    Moved,
    Pace,
    Period,
    Place,
    Standing,
    Status,
    Unit,
    Wanted,
    runs_of,
)
from shared.events import CalendarPublished, Channel, ProcedurePublished, UnitPublished
from shared.store import Migrations, Queries, Transaction
from shared.topics import Service

MIGRATIONS: Final = Migrations("reporting", Path(__file__).parent / "sql" / "migrations")

_sql = Queries(Path(__file__).parent / "sql")

_DOSSIER_COLUMNS: Final = tuple(field.name for field in fields(Dossier))
_dossier_row: Final = attrgetter(*_DOSSIER_COLUMNS)
_ENTRY_COLUMNS: Final = tuple(field.name for field in fields(Entry))
_entry_row: Final = attrgetter(*_ENTRY_COLUMNS)


class DossiersLostError(Exception):
    """A dossier that was loaded under its lock is gone: a fault of ours."""


# --- hearing -------------------------------------------------------------------------------------------------------


async def dossiers(tx: Transaction, wanted: Iterable[str]) -> dict[str, Dossier]:
    return {row["dossier"]: Dossier(*row.values()) for row in await tx.fetch(_sql["dossiers"], list(wanted))}


async def add_entries(tx: Transaction, entries: Sequence[Entry]) -> None:
    """Append to the timelines. UniqueViolationError for what is there already: the bus lets no repeat come this far."""
    records = [_entry_row(one) for one in entries]
    await tx.copy_records_to_table("timeline", records=records, columns=_ENTRY_COLUMNS)


async def save_dossiers(tx: Transaction, changed: Iterable[Dossier], known: Mapping[str, Dossier]) -> None:
    """New ones by COPY, known ones by one UPDATE; ascending, so that two savers cannot wait in a circle."""
    ordered = sorted(changed, key=lambda dossier: dossier.dossier)
    new = [one for one in ordered if one.dossier not in known]
    moved = [one for one in ordered if one.dossier in known]
    if new:
        records = [_dossier_row(one) for one in new]
        await tx.copy_records_to_table("dossier_now", records=records, columns=_DOSSIER_COLUMNS)
    if moved:
        await change_dossiers(tx, moved)


async def change_dossiers(tx: Transaction, moved: Sequence[Dossier]) -> None:
    """Rewrite dossiers that exist; DossiersLostError when one does not."""
    columns = zip(*map(_dossier_row, moved), strict=True)
    status = await tx.execute(_sql["change_dossiers"], *map(list, columns))
    if status != f"UPDATE {len(moved)}":
        raise DossiersLostError(f"{status} of {len(moved)} dossiers")


async def add_cells(
    tx: Transaction, shifts: Sequence[tuple[tuple[str | None, str | None, int, str, bool, str], int]]
) -> None:
    """Append what a batch changed: each the unit, stage, status, standing and lateness of a cell, in which figures it
    counts, and by how many."""
    wheres = [where for where, _ in shifts]
    await tx.execute(_sql["add_cells"], *(list(each) for each in zip(*wheres, strict=True)), [by for _, by in shifts])


async def add_pace(tx: Transaction, minutes: Mapping[tuple[datetime, str], int]) -> None:
    """Append how many events each speaker recorded in a minute."""
    ordered = sorted(minutes)
    await tx.execute(
        _sql["add_pace"],
        [minute for minute, _ in ordered],
        [source for _, source in ordered],
        [minutes[each] for each in ordered],
    )


async def merge_cells(tx: Transaction) -> None:
    await tx.execute(_sql["merge_cells"])


async def merge_pace(tx: Transaction, before: datetime) -> None:
    await tx.execute(_sql["merge_pace"], before)


async def forget_pace(tx: Transaction, before: datetime) -> None:
    await tx.execute(_sql["forget_pace"], before)


async def save_procedures(tx: Transaction, given: Mapping[str, tuple[int, ProcedurePublished]]) -> None:
    ordered = sorted(given.items())
    await tx.execute(
        _sql["save_procedures"],
        [code for code, _ in ordered],
        [version for _, (version, _) in ordered],
        [event.name for _, (_, event) in ordered],
        [event.sector for _, (_, event) in ordered],
        [event.level for _, (_, event) in ordered],
    )


async def save_units(tx: Transaction, given: Mapping[str, tuple[int, UnitPublished]]) -> None:
    ordered = sorted(given.items())
    await tx.execute(
        _sql["save_units"],
        [code for code, _ in ordered],
        [version for _, (version, _) in ordered],
        [event.name for _, (_, event) in ordered],
        [event.level for _, (_, event) in ordered],
        [event.parent for _, (_, event) in ordered],
        [event.calendar for _, (_, event) in ordered],
    )


async def save_calendars(tx: Transaction, given: Mapping[str, tuple[int, CalendarPublished]]) -> None:
    ordered = sorted(given.items())
    await tx.execute(
        _sql["save_calendars"],
        [code for code, _ in ordered],
        [version for _, (version, _) in ordered],
        [str(event.data["zone"]) for _, (_, event) in ordered],
    )


# --- reading -------------------------------------------------------------------------------------------------------


async def cells(tx: Transaction, now: datetime) -> list[Cell]:
    return [_cell(dict(row)) for row in await tx.fetch(_sql["cells"], now)]


async def cells_of_dossiers(tx: Transaction, now: datetime) -> list[Cell]:
    return [_cell(dict(row)) for row in await tx.fetch(_sql["cells_of_dossiers"], now)]


async def recounted_cells(tx: Transaction, now: datetime) -> list[Cell]:
    return [_cell(dict(row)) for row in await tx.fetch(_sql["recounted_cells"], now)]


async def pace(tx: Transaction, since: datetime) -> list[Pace]:
    return [_pace(dict(row)) for row in await tx.fetch(_sql["pace"], since)]


async def recounted_pace(tx: Transaction, since: datetime) -> list[Pace]:
    return [_pace(dict(row)) for row in await tx.fetch(_sql["recounted_pace"], since)]


async def days(tx: Transaction, since: datetime, first: date) -> list[Day]:
    return [Day(**row) for row in await tx.fetch(_sql["days"], since, first)]


async def recounted_days(tx: Transaction, first: date) -> list[Day]:
    return [Day(**row) for row in await tx.fetch(_sql["recounted_days"], first)]


async def counts(tx: Transaction, period: Period, origin: str | None) -> Counts:
    row = await tx.fetchrow(_sql["counts"], period.first, period.last, period.known_on, origin)
    assert row is not None
    return Counts(**row)


async def found_dossiers(
    tx: Transaction, wanted: Wanted, now: datetime, count: int, after: Place | None = None
) -> list[Found]:
    rows = await tx.fetch(
        _sql["found_dossiers"],
        *_asked(wanted, now),
        count,
        after.dossier if after else None,
        after.ended if after else None,
        after.urgency if after else None,
    )
    return [_found(dict(row)) for row in rows]


async def count_found(tx: Transaction, wanted: Wanted, now: datetime) -> int:
    return int(await tx.fetchval(_sql["count_found"], *_asked(wanted, now)))


def _asked(wanted: Wanted, now: datetime) -> tuple[object, ...]:
    return (
        wanted.origin,
        wanted.unit,
        wanted.stage,
        wanted.status,
        "open" if wanted.is_open else wanted.standing,
        wanted.late,
        wanted.code,
        wanted.done_today,
        now,
        wanted.received_on,
        wanted.ended_on,
        wanted.ended_since,
    )


async def entries(tx: Transaction, dossier: str) -> list[Entry]:
    return [_entry(dict(row)) for row in await tx.fetch(_sql["entries"], dossier)]


async def steps(tx: Transaction, dossier: str) -> list[Entry]:
    return [_entry(dict(row)) for row in await tx.fetch(_sql["steps"], dossier)]


async def moved(tx: Transaction, since: int, count: int) -> list[Moved]:
    rows = [dict(row) for row in await tx.fetch(_sql["moved"], str(since), count)]
    return [Moved(row.pop("heard"), _entry(row)) for row in rows]


async def told_up_to(tx: Transaction) -> int:
    return int(await tx.fetchval(_sql["told_up_to"]))


async def recorded_until(tx: Transaction) -> datetime | None:
    until: datetime | None = await tx.fetchval(_sql["recorded_until"])
    return until


async def history(tx: Transaction) -> list[History]:
    return [History(**row) for row in await tx.fetch(_sql["history"])]


async def units(tx: Transaction) -> list[Unit]:
    """In the order in which people read them."""
    return [Unit(**row) for row in await tx.fetch(_sql["units"])]


async def dossier_by_code(tx: Transaction, code: str) -> str | None:
    dossier: str | None = await tx.fetchval(_sql["dossier_by_code"], code)
    return dossier


async def procedure_name(tx: Transaction, code: str) -> str | None:
    name: str | None = await tx.fetchval(_sql["procedure_name"], code)
    return name


def _cell(row: dict[str, Any]) -> Cell:
    return Cell(**{**row, "status": Status(row["status"]), "standing": Standing(row["standing"])})


def _entry(row: dict[str, Any]) -> Entry:
    return Entry(**{**row, "source": Service(row["source"])})


def _pace(row: dict[str, Any]) -> Pace:
    return Pace(**{**row, "source": Service(row["source"])})


def _found(row: dict[str, Any]) -> Found:
    row["status"], row["standing"] = Status(row["status"]), Standing(row["standing"])
    row["channel"] = Channel(row["channel"]) if row["channel"] else None
    row["runs"] = runs_of(row["runs"])
    return Found(**row)
