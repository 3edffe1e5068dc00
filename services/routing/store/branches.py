"""Runs that are open together: read and written only for journeys that have several."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from asyncpg import Record

from services.routing.values import Branch, Journey, Timer
from shared.events import Scope, StageRole
from shared.store import Queries, Transaction

_sql: Final = Queries(Path(__file__).parents[1] / "sql")

_COLUMNS: Final = (
    "dossier",
    "run",
    "stage",
    "stage_number",
    "unit",
    "role",
    "officer",
    "started",
    "budget_minutes",
    "credit_seconds",
    "due",
    "rung",
    "generation",
    "fires_at",
)


async def branches_of(tx: Transaction, dossiers: Sequence[str]) -> dict[str, tuple[Branch, ...]]:
    """The open runs of some dossiers, ascending; who has one at a time is absent."""
    found: dict[str, list[Branch]] = {}
    for row in await tx.fetch(_sql["branches_of"], dossiers):
        found.setdefault(row["dossier"], []).append(_branch(row))
    return {dossier: tuple(runs) for dossier, runs in found.items()}


async def save_branches(tx: Transaction, rewritten: Sequence[Journey]) -> None:
    """Write the open runs of journeys anew, and the highest that was given."""
    await drop_branches(tx, [one.dossier for one in rewritten])
    rows = [_row(one.dossier, branch) for one in rewritten for branch in one.branches]
    if rows:
        await tx.copy_records_to_table("branch", records=rows, columns=_COLUMNS)
    await change_last_runs(tx, rewritten)


async def drop_branches(tx: Transaction, dossiers: Iterable[str]) -> None:
    await tx.execute(_sql["drop_branches"], list(dossiers))


async def change_last_runs(tx: Transaction, journeys: Sequence[Journey]) -> None:
    await tx.execute(_sql["change_last_runs"], [one.dossier for one in journeys], [one.last_run for one in journeys])


def _branch(row: Record) -> Branch:
    timer = None
    if row["fires_at"] is not None:
        timer = Timer(Scope.STAGE, row["run"], row["rung"], row["generation"], row["fires_at"])
    return Branch(
        row["run"],
        row["stage"],
        row["stage_number"],
        row["unit"],
        StageRole(row["role"]) if row["role"] else None,
        row["officer"],
        row["started"],
        row["budget_minutes"],
        timedelta(seconds=row["credit_seconds"]),
        row["due"],
        timer,
    )


def _row(dossier: str, one: Branch) -> tuple[Any, ...]:
    timer = (one.timer.rung, one.timer.generation, one.timer.fires_at) if one.timer is not None else (None, None, None)
    return (
        dossier,
        one.run,
        one.stage,
        one.stage_number,
        one.unit,
        one.role,
        one.officer,
        one.started,
        one.budget_minutes,
        int(one.credit.total_seconds()),
        one.due,
        *timer,
    )
