"""What routing publishes: units, their heads, officers, routes; every version is kept."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any, Final

from asyncpg import Record

from services.routing.values import Budget, Head, Officer, Route, Stage, Unit
from shared.calendar import TermUnit
from shared.events import StageRole
from shared.store import Queries, Transaction

_sql: Final = Queries(Path(__file__).parents[1] / "sql")


async def units(tx: Transaction) -> dict[str, tuple[Unit, ...]]:
    """Every version of every unit, newest first."""
    found: dict[str, list[Unit]] = {}
    for row in await tx.fetch(_sql["units"]):
        found.setdefault(row["code"], []).append(Unit(**row))
    return {code: tuple(versions) for code, versions in found.items()}


async def save_unit(tx: Transaction, unit: Unit) -> None:
    await tx.execute(
        _sql["save_unit"],
        unit.code,
        unit.version,
        unit.name,
        unit.level,
        unit.parent,
        unit.calendar,
        unit.valid_from,
        unit.valid_to,
    )


async def heads(tx: Transaction) -> dict[str, tuple[Head, ...]]:
    """Everybody who ever headed a unit, in order."""
    found: dict[str, list[Head]] = {}
    for row in await tx.fetch(_sql["heads"]):
        found.setdefault(row["unit"], []).append(Head(**row))
    return {unit: tuple(one_after_another) for unit, one_after_another in found.items()}


async def save_head(tx: Transaction, unit: str, officer: str, since: date) -> None:
    """Whoever headed the unit before ends the day before; whoever follows already ends this one."""
    await tx.execute(_sql["save_head"], unit, officer, since)
    await end_heads(tx, unit)


async def end_heads(tx: Transaction, unit: str) -> None:
    await tx.execute(_sql["end_heads"], unit)


async def officers_of(tx: Transaction, ids: Iterable[str]) -> dict[str, tuple[Officer, ...]]:
    """Every version of some officers, newest first; who is not known is absent."""
    found: dict[str, list[Officer]] = {}
    for row in await tx.fetch(_sql["officers_of"], sorted(set(ids))):
        found.setdefault(row["id"], []).append(_officer(row))
    return {ident: tuple(versions) for ident, versions in found.items()}


async def officers(tx: Transaction, unit: str | None, on: date | None) -> list[Officer]:
    """Who is at a unit (None: at any) on a day (None: by the newest version), by id."""
    return [_officer(row) for row in await tx.fetch(_sql["officers"], unit, on)]


async def lock_officer(tx: Transaction, ident: str) -> None:
    await tx.execute(_sql["lock_officer"], ident)


async def save_officer(tx: Transaction, one: Officer) -> None:
    await tx.execute(
        _sql["save_officer"],
        one.id,
        one.version,
        one.unit,
        [role.value for role in one.roles],
        list(one.sectors),
        one.valid_from,
        one.valid_to,
    )


def _officer(row: Record) -> Officer:
    return Officer(
        row["id"],
        row["version"],
        row["unit"],
        tuple(StageRole(role) for role in row["roles"]),
        tuple(row["sectors"]),
        row["valid_from"],
        row["valid_to"],
    )


async def routes(tx: Transaction) -> dict[str, tuple[Route, ...]]:
    """Every version of every route, newest first."""
    found: dict[str, list[Route]] = {}
    for row in await tx.fetch(_sql["routes"]):
        stages = tuple(_stage(one) for one in json.loads(row["stages"]))
        found.setdefault(row["code"], []).append(Route(row["code"], row["level"], stages, row["version"]))
    return {code: tuple(versions) for code, versions in found.items()}


async def save_route(tx: Transaction, route: Route) -> None:
    stages = json.dumps([_stage_data(one) for one in route.stages])
    await tx.execute(_sql["save_route"], route.code, route.version, route.level, stages)


def _stage(data: Mapping[str, Any]) -> Stage:
    budget = data.get("budget")
    return Stage(
        data["name"],
        data["place"],
        StageRole(data["role"]) if data["role"] else None,
        data.get("share", 0),
        Budget(budget["quarters"], TermUnit(budget["unit"])) if budget else None,
        data.get("unit"),
        data.get("kind", "work"),
        data.get("parallel", False),
    )


def _stage_data(one: Stage) -> dict[str, Any]:
    return {
        "name": one.name,
        "kind": one.kind,
        "place": one.place,
        "unit": one.unit,
        "role": one.role.value if one.role else None,
        "share": one.share,
        "parallel": one.parallel,
        "budget": {"quarters": one.budget.quarters, "unit": one.budget.unit.value} if one.budget else None,
    }
