"""Routing's rows become values here; one function per named query, of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

from asyncpg import Record

from services.routing.store.branches import branches_of, change_last_runs, drop_branches, save_branches
from services.routing.store.published import (
    end_heads,
    heads,
    lock_officer,
    officers,
    officers_of,
    routes,
    save_head,
    save_officer,
    save_route,
    save_unit,
    units,
)
from services.routing.values import Branch, Entry, Journey, Procedure, Timer, WorkItem
from shared.calendar import WorkingCalendar, from_data
from shared.events import Scope, StageRole
from shared.store import Migrations, Queries, Transaction

__all__ = [
    "MIGRATIONS",
    "JourneysLostError",
    "TimerDepth",
    "branches_of",
    "calendar_versions",
    "calendars",
    "change_journeys",
    "change_last_runs",
    "drop_branches",
    "due_timers",
    "end_heads",
    "heads",
    "journeys",
    "ledger_of",
    "lock_officer",
    "officers",
    "officers_of",
    "procedures",
    "procedures_on",
    "routes",
    "save_calendar",
    "save_head",
    "save_journeys",
    "save_officer",
    "save_procedures",
    "save_route",
    "save_unit",
    "timer_depth",
    "timers_of",
    "units",
    "version_of",
    "worklist",
]

MIGRATIONS: Final = Migrations("routing", Path(__file__).parents[1] / "sql" / "migrations")

_sql = Queries(Path(__file__).parents[1] / "sql")

_JOURNEY_COLUMNS = (
    "dossier",
    "procedure",
    "route",
    "route_version",
    "receiving_unit",
    "calendar",
    "calendar_version",
    "origin",
    "state",
    "stage",
    "stage_number",
    "run",
    "unit",
    "role",
    "officer",
    "received",
    "promise",
    "credit_seconds",
    "due",
    "stage_started",
    "stage_budget_minutes",
    "stage_credit_seconds",
    "stage_due",
    "generation",
    "paused_at",
    "pause_reason",
    "supplements",
    "entries",
    "last_at",
)
_LEDGER_COLUMNS = ("dossier", "number", "kind", "run", "at", "stage", "unit", "officer", "seconds", "reason")
_TIMER_COLUMNS = (
    "dossier",
    "stage_run",
    "stage_rung",
    "stage_generation",
    "stage_at",
    "dossier_rung",
    "dossier_generation",
    "dossier_at",
)


class JourneysLostError(Exception):
    """A journey that was loaded under its lock is gone: a fault of ours."""


@dataclass(frozen=True, slots=True)
class TimerDepth:
    """How many timers wait, for how many seconds the oldest due one is late, how many are; when the next fires."""

    timers: int
    late_seconds: float
    overdue: int
    next_at: datetime | None


# --- calendars, procedures ----------------------------------------------------------------------------------------


async def calendar_versions(tx: Transaction) -> dict[str, int]:
    return {row["code"]: row["version"] for row in await tx.fetch(_sql["calendar_versions"])}


async def calendars(tx: Transaction, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], WorkingCalendar]:
    keys = sorted(set(wanted))
    rows = await tx.fetch(_sql["calendars"], [code for code, _ in keys], [version for _, version in keys])
    return {(row["code"], row["version"]): from_data(json.loads(row["data"])) for row in rows}


async def save_calendar(tx: Transaction, code: str, version: int, data: Mapping[str, Any]) -> None:
    await tx.execute(_sql["save_calendar"], code, version, json.dumps(data))


async def procedures(tx: Transaction, codes: Iterable[str]) -> dict[str, Procedure]:
    rows = await tx.fetch(_sql["procedures"], sorted(set(codes)))
    return {row["code"]: Procedure(row["version"], row["level"], row["route"], row["length"]) for row in rows}


async def procedures_on(tx: Transaction, route: str, level: str | None) -> dict[str, int]:
    """Length of the shortest term of each procedure that takes a route: by its name, or by the level."""
    return {row["code"]: row["length"] for row in await tx.fetch(_sql["procedures_on"], route, level)}


async def save_procedures(tx: Transaction, given: Mapping[str, Procedure]) -> None:
    codes = sorted(given)
    await tx.execute(
        _sql["save_procedures"],
        codes,
        [given[code].version for code in codes],
        [given[code].level for code in codes],
        [given[code].route for code in codes],
        [given[code].length for code in codes],
    )


# --- journeys --------------------------------------------------------------------------------------------------------


async def journeys(tx: Transaction, dossiers: Iterable[str]) -> dict[str, Journey]:
    found = await tx.fetch(_sql["journeys"], list(dossiers))
    forked = [row["dossier"] for row in found if row["last_run"]]
    branches = await branches_of(tx, forked) if forked else {}
    return {row["dossier"]: _journey(row, branches.get(row["dossier"], ())) for row in found}


async def save_journeys(tx: Transaction, changed: Iterable[Journey]) -> None:
    """Journeys, what their ledgers gained, and their timers; ascending, so that two savers cannot wait in a circle."""
    ordered = sorted(changed, key=lambda journey: journey.dossier)
    new = [journey for journey in ordered if journey.unsaved.is_new]
    moved = [journey for journey in ordered if not journey.unsaved.is_new]
    if new:
        await tx.copy_records_to_table("journey", records=[_row(one) for one in new], columns=_JOURNEY_COLUMNS)
    if moved:
        await change_journeys(tx, moved)
    adopted = [journey.dossier for journey in ordered if journey.unsaved.is_adopted]
    if adopted:
        await adopt_journeys(tx, adopted)
    rewritten = [journey for journey in ordered if journey.unsaved.rewrites_branches]
    if rewritten:
        await save_branches(tx, rewritten)
    entries = [(journey.dossier, *_entry(entry)) for journey in ordered for entry in journey.unsaved.entries]
    if entries:
        await tx.copy_records_to_table("ledger", records=entries, columns=_LEDGER_COLUMNS)
    await _save_timers(tx, ordered)


async def _save_timers(tx: Transaction, ordered: Sequence[Journey]) -> None:
    moved = [one.dossier for one in ordered if one.unsaved.clocks and not one.unsaved.is_new]
    before = await take_timers(tx, moved) if moved else {}
    rows = []
    for journey in ordered:
        unsaved = journey.unsaved
        timers = unsaved.timers
        if journey.dossier in before:
            timers += tuple(one for one in before[journey.dossier] if one.scope not in unsaved.clocks)
        if timers:
            rows.append(_timer_row(journey.dossier, timers))
    if rows:
        await tx.copy_records_to_table("timer", records=rows, columns=_TIMER_COLUMNS)


_NO_STAGE_CLOCK: Final = (None, None, None, None)
_NO_DOSSIER_CLOCK: Final = (None, None, None)


def _timer_row(dossier: str, timers: Iterable[Timer]) -> tuple[Any, ...]:
    of_stage: tuple[Any, ...] = _NO_STAGE_CLOCK
    of_dossier: tuple[Any, ...] = _NO_DOSSIER_CLOCK
    for one in timers:
        if one.scope is Scope.STAGE:
            of_stage = (one.run, one.rung, one.generation, one.fires_at)
        else:
            of_dossier = (one.rung, one.generation, one.fires_at)
    return (dossier, *of_stage, *of_dossier)


def _timers(row: Record) -> tuple[Timer, ...]:
    """The timers of a dossier, the one that fires first before the other."""
    found = []
    if row["stage_at"] is not None:
        found.append(Timer(Scope.STAGE, row["stage_run"], row["stage_rung"], row["stage_generation"], row["stage_at"]))
    if row["dossier_at"] is not None:
        found.append(Timer(Scope.DOSSIER, 0, row["dossier_rung"], row["dossier_generation"], row["dossier_at"]))
    return tuple(sorted(found, key=lambda one: (one.fires_at, one.scope)))


async def change_journeys(tx: Transaction, moved: Sequence[Journey]) -> None:
    """Rewrite journeys that exist; JourneysLostError when one does not."""
    rows = [
        (
            one.dossier,
            one.state,
            one.stage,
            one.stage_number,
            one.run,
            one.unit,
            one.role,
            one.officer,
            int(one.credit.total_seconds()),
            one.due,
            one.stage_started,
            one.stage_budget_minutes,
            int(one.stage_credit.total_seconds()),
            one.stage_due,
            one.generation,
            one.paused_at,
            one.pause_reason,
            one.supplements,
            one.entries,
            one.last_at,
        )
        for one in moved
    ]
    status = await tx.execute(_sql["change_journeys"], *(list(column) for column in zip(*rows, strict=True)))
    if status != f"UPDATE {len(moved)}":
        raise JourneysLostError(f"{status} of {len(moved)} journeys")


async def adopt_journeys(tx: Transaction, dossiers: Sequence[str]) -> None:
    await tx.execute(_sql["adopt_journeys"], dossiers)


async def take_timers(tx: Transaction, dossiers: Sequence[str]) -> dict[str, tuple[Timer, ...]]:
    """Delete the timers of some dossiers; what they were."""
    return {row["dossier"]: _timers(row) for row in await tx.fetch(_sql["take_timers"], dossiers)}


async def due_timers(tx: Transaction, but: Sequence[str], count: int) -> list[str]:
    return [row["dossier"] for row in await tx.fetch(_sql["due_timers"], but, count)]


async def timers_of(tx: Transaction, dossiers: Sequence[str]) -> dict[str, tuple[Timer, ...]]:
    return {row["dossier"]: _timers(row) for row in await tx.fetch(_sql["timers_of"], dossiers)}


async def timer_depth(tx: Transaction) -> TimerDepth:
    row = await tx.fetchrow(_sql["timer_depth"])
    assert row is not None
    return TimerDepth(row["timers"], row["late_seconds"], row["overdue"], row["next_at"])


async def worklist(
    tx: Transaction, unit: str, role: str | None, after: tuple[datetime, str, int] | None, count: int
) -> list[WorkItem]:
    """``after``: stage due, dossier and run of the line behind which to go on, or None for the most urgent."""
    due, dossier, run = after or (None, None, None)
    return [
        WorkItem(**{**row, "role": StageRole(row["role"]) if row["role"] else None})
        for row in map(dict, await tx.fetch(_sql["worklist"], unit, role, due, dossier, run, count))
    ]


async def ledger_of(tx: Transaction, dossier: str) -> list[Entry]:
    return [Entry(**row) for row in await tx.fetch(_sql["ledger_of"], dossier)]


async def version_of(tx: Transaction, subject: str) -> int:
    version: int | None = await tx.fetchval(_sql["version_of"], subject)
    return version or 0


def _journey(row: Record, branches: tuple[Branch, ...]) -> Journey:
    # By their places: thirty values that are named would take ten times as long.
    return Journey(
        row["dossier"],
        row["procedure"],
        row["route"],
        row["route_version"],
        row["receiving_unit"],
        row["calendar"],
        row["calendar_version"],
        row["origin"],
        row["unit"],
        row["received"],
        row["promise"],
        row["due"],
        row["stage_started"],
        row["stage_due"],
        row["last_at"],
        row["state"],
        row["stage"],
        row["stage_number"],
        row["run"],
        StageRole(row["role"]) if row["role"] else None,
        row["officer"],
        timedelta(seconds=row["credit_seconds"]),
        row["stage_budget_minutes"],
        timedelta(seconds=row["stage_credit_seconds"]),
        row["generation"],
        row["paused_at"],
        row["pause_reason"],
        row["supplements"],
        row["entries"],
        row["last_run"],
        branches,
    )


def _row(one: Journey) -> tuple[Any, ...]:
    return (
        one.dossier,
        one.procedure,
        one.route,
        one.route_version,
        one.receiving_unit,
        one.calendar,
        one.calendar_version,
        one.origin,
        one.state,
        one.stage,
        one.stage_number,
        one.run,
        one.unit,
        one.role,
        one.officer,
        one.received,
        one.promise,
        int(one.credit.total_seconds()),
        one.due,
        one.stage_started,
        one.stage_budget_minutes,
        int(one.stage_credit.total_seconds()),
        one.stage_due,
        one.generation,
        one.paused_at,
        one.pause_reason,
        one.supplements,
        one.entries,
        one.last_at,
    )


def _entry(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.number,
        entry.kind,
        entry.run,
        entry.at,
        entry.stage,
        entry.unit,
        entry.officer,
        entry.seconds,
        entry.reason,
    )
