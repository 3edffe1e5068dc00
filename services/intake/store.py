"""Intake's rows become values here; one function per named query, of the same name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from asyncpg import Record
from pydantic import TypeAdapter

from services.intake.values import Citizen, Dossier, Leg, Place, Procedure, Status, Unit
from shared.calendar import Term, WorkingCalendar, from_data
from shared.events import Channel
from shared.seal import Erasure
from shared.store import Migrations, Queries, Transaction

MIGRATIONS: Final = Migrations("intake", Path(__file__).parent / "sql" / "migrations")

_sql = Queries(Path(__file__).parent / "sql")
_term: Final = TypeAdapter(Term)
_legs: Final = TypeAdapter(tuple[Leg, ...])


class DossiersLostError(Exception):
    """A dossier that was loaded under its lock is gone: a fault of ours."""


@dataclass(frozen=True, slots=True)
class FoundProcedures:
    """A page of a search, and how many there are in all."""

    procedures: tuple[Procedure, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Counted:
    """Dossiers in the store."""

    live: int
    replayed: int


@dataclass(frozen=True, slots=True)
class Marks:
    """By which it is seen whether what was read before still holds, at the database's ``now``.

    ``copies``: how many versions of units and of calendars there are. ``procedures``: the versions of some.
    """

    now: datetime
    copies: tuple[int, int]
    procedures: Mapping[str, int]


# --- the catalogue -------------------------------------------------------------------------------------------------


async def procedures(tx: Transaction, codes: Iterable[str]) -> dict[str, Procedure]:
    return {row["code"]: _procedure(row) for row in await tx.fetch(_sql["procedures"], sorted(set(codes)))}


async def save_procedures(tx: Transaction, changed: Iterable[Procedure]) -> None:
    ordered = sorted(changed, key=lambda procedure: procedure.code)
    await tx.execute(
        _sql["save_procedures"],
        [one.code for one in ordered],
        [one.version for one in ordered],
        [one.name for one in ordered],
        [one.sector for one in ordered],
        [one.level for one in ordered],
        [_term.dump_json(one.term).decode() for one in ordered],
        [
            json.dumps({key.value: _term.dump_python(term, mode="json") for key, term in one.terms.items()})
            for one in ordered
        ],
        [json.dumps({key.value: fee for key, fee in one.fees.items()}) for one in ordered],
        [one.components for one in ordered],
        [one.result for one in ordered],
        [one.source for one in ordered],
        [one.route for one in ordered],
        [_legs.dump_json(one.legs).decode() for one in ordered],
        [one.online_level for one in ordered],
        [one.fee_note for one in ordered],
    )


async def found_procedures(
    tx: Transaction, words: Sequence[str], sector: str | None, skip: int, count: int
) -> FoundProcedures:
    rows = await tx.fetch(_sql["found_procedures"], words, sector, skip, count)
    if not rows and skip:  # a page beyond the last: how many there are is still true
        return FoundProcedures((), (await found_procedures(tx, words, sector, 0, 1)).total)
    return FoundProcedures(tuple(_procedure(row) for row in rows), rows[0]["total"] if rows else 0)


async def sectors(tx: Transaction) -> dict[str, int]:
    return {row["sector"]: row["procedures"] for row in await tx.fetch(_sql["sectors"])}


async def count_procedures(tx: Transaction) -> int:
    count: int = await tx.fetchval(_sql["count_procedures"])
    return count


def _procedure(row: Record) -> Procedure:
    return Procedure(
        row["code"],
        row["version"],
        row["name"],
        row["sector"],
        row["level"],
        _term.validate_json(row["term"]),
        {Channel(key): _term.validate_python(value) for key, value in json.loads(row["terms"]).items()},
        {Channel(key): value for key, value in json.loads(row["fees"]).items()},
        row["components"],
        row["result"],
        row["source"],
        row["route"],
        _legs.validate_json(row["legs"]),
        row["online_level"],
        row["fee_note"],
    )


# --- copies of units and calendars ---------------------------------------------------------------------------------


async def units(tx: Transaction) -> dict[str, tuple[Unit, ...]]:
    """Every version of every unit, newest first."""
    found: dict[str, list[Unit]] = {}
    for row in await tx.fetch(_sql["units"]):
        found.setdefault(row["code"], []).append(Unit(**row))
    return {code: tuple(versions) for code, versions in found.items()}


async def save_units(tx: Transaction, heard: Iterable[Unit]) -> None:
    ordered = sorted(heard, key=lambda unit: (unit.code, unit.version))
    await tx.execute(
        _sql["save_units"],
        [one.code for one in ordered],
        [one.version for one in ordered],
        [one.name for one in ordered],
        [one.level for one in ordered],
        [one.calendar for one in ordered],
        [one.valid_from for one in ordered],
        [one.valid_to for one in ordered],
    )


async def marks(tx: Transaction, procedures: Iterable[str]) -> Marks:
    row = await tx.fetchrow(_sql["marks"], sorted(set(procedures)))
    assert row is not None
    return Marks(row["now"], (row["units"], row["calendars"]), dict(zip(row["codes"], row["versions"], strict=True)))


async def calendar_versions(tx: Transaction) -> dict[str, int]:
    return {row["code"]: row["version"] for row in await tx.fetch(_sql["calendar_versions"])}


async def calendars(tx: Transaction, wanted: Iterable[tuple[str, int]]) -> dict[tuple[str, int], WorkingCalendar]:
    keys = sorted(set(wanted))
    rows = await tx.fetch(_sql["calendars"], [code for code, _ in keys], [version for _, version in keys])
    return {(row["code"], row["version"]): from_data(json.loads(row["data"])) for row in rows}


async def save_calendars(tx: Transaction, heard: Mapping[tuple[str, int], Mapping[str, Any]]) -> None:
    ordered = sorted(heard)
    await tx.execute(
        _sql["save_calendars"],
        [code for code, _ in ordered],
        [version for _, version in ordered],
        [json.dumps(heard[key]) for key in ordered],
    )


async def routes(tx: Transaction, codes: Iterable[str]) -> dict[str, int]:
    """The lengths of some routes of routing's (shared.calendar.lengths)."""
    return {row["code"]: row["length"] for row in await tx.fetch(_sql["routes"], sorted(set(codes)))}


async def save_routes(tx: Transaction, heard: Mapping[str, tuple[int, int]]) -> None:
    """Version and length by code."""
    ordered = sorted(heard)
    await tx.execute(
        _sql["save_routes"], ordered, [heard[code][0] for code in ordered], [heard[code][1] for code in ordered]
    )


# --- dossiers --------------------------------------------------------------------------------------------------------


async def take_numbers(tx: Transaction, wanted: Mapping[tuple[str, date], int]) -> dict[tuple[str, date], int]:
    """Reserve ``wanted`` ordinals of each desk and day; returns the last of each range."""
    ordered = sorted(wanted)
    rows = await tx.fetch(
        _sql["take_numbers"],
        [unit for unit, _ in ordered],
        [day for _, day in ordered],
        [wanted[key] for key in ordered],
    )
    return {(row["unit"], row["day"]): row["last"] for row in rows}


async def add_dossiers(tx: Transaction, new: Sequence[Dossier], citizens: Sequence[Citizen]) -> None:
    """New dossiers and their citizens' sealed data."""
    await tx.execute(
        _sql["add_dossiers"],
        [one.id for one in new],
        [one.code for one in new],
        [one.unit for one in new],
        [one.procedure for one in new],
        [one.procedure_version for one in new],
        [one.channel for one in new],
        [one.received for one in new],
        [one.promise for one in new],
        [one.calendar for one in new],
        [one.calendar_version for one in new],
        [msgspec.json.encode(one.components).decode() for one in new],
        [one.origin for one in new],
        [msgspec.json.encode(one.attributes).decode() for one in new],
        [one.status for one in new],
        [one.due for one in new],
        [one.at_unit for one in new],
        [one.as_of for one in new],
        [one.dossier for one in citizens],
        [one.wrapped_key for one in citizens],
        [one.applicant for one in citizens],
        [one.contact for one in citizens],
        [one.contact_version for one in citizens],
    )


async def dossiers(tx: Transaction, ids: Iterable[str]) -> dict[str, Dossier]:
    return {row["id"]: _dossier(row) for row in await tx.fetch(_sql["dossiers"], list(ids))}


async def dossier_id(tx: Transaction, code: str) -> str | None:
    found: str | None = await tx.fetchval(_sql["dossier_id"], code)
    return found


async def citizens(tx: Transaction, dossiers: Iterable[str]) -> dict[str, Citizen]:
    return {row["dossier"]: Citizen(**row) for row in await tx.fetch(_sql["citizens"], list(dossiers))}


async def erase_citizens(tx: Transaction, dossiers: Iterable[str]) -> dict[str, int]:
    """Destroy the sealed data of some dossiers and their keys; the version of the contact that each had."""
    rows = await tx.fetch(_sql["erase_citizens"], sorted(set(dossiers)))
    return {row["dossier"]: row["contact_version"] for row in rows}


async def add_erasures(tx: Transaction, done: Iterable[Erasure]) -> None:
    ordered = sorted(done, key=lambda one: one.dossier)
    await tx.execute(
        _sql["add_erasures"],
        [one.dossier for one in ordered],
        [one.event for one in ordered],
        [one.version for one in ordered],
        [one.contact_version for one in ordered],
        [one.time for one in ordered],
        [one.reason for one in ordered],
        [one.actor for one in ordered],
    )


async def erasures(tx: Transaction, dossiers: Iterable[str]) -> dict[str, Erasure]:
    return {row["dossier"]: Erasure(**row) for row in await tx.fetch(_sql["erasures"], sorted(set(dossiers)))}


async def erasures_after(tx: Transaction, last: str, count: int) -> list[Erasure]:
    """The next erasures after a dossier's id, ascending."""
    return [Erasure(**row) for row in await tx.fetch(_sql["erasures_after"], last, count)]


async def sender_of(tx: Transaction, dossier: str) -> str | None:
    sender: str | None = await tx.fetchval(_sql["sender_of"], dossier)
    return sender


async def change_dossiers(tx: Transaction, changed: Iterable[Dossier]) -> None:
    """Rewrite what was heard of dossiers; DossiersLostError when one does not exist."""
    ordered = sorted(changed, key=lambda dossier: dossier.id)
    if not ordered:
        return
    status = await tx.execute(
        _sql["change_dossiers"],
        [one.id for one in ordered],
        [int(one.status) for one in ordered],
        [one.due for one in ordered],
        [one.at_unit for one in ordered],
        [one.at_stage for one in ordered],
        [one.run for one in ordered],
        [one.late for one in ordered],
        [one.supplements for one in ordered],
        [one.requested for one in ordered],
        [one.notices_sent for one in ordered],
        [one.notices_failed for one in ordered],
        [one.as_of for one in ordered],
        [one.origin for one in ordered],
    )
    if status != f"UPDATE {len(ordered)}":
        raise DossiersLostError(f"{status} of {len(ordered)} dossiers")


async def change_places(tx: Transaction, changed: Iterable[Dossier]) -> None:
    """Rewrite in which places dossiers lie that lie in several, or did."""
    ordered = sorted(changed, key=lambda dossier: dossier.id)
    await tx.execute(
        _sql["change_places"],
        [one.id for one in ordered],
        [
            json.dumps([[place.run, place.unit, place.stage] for place in one.places]) if one.places else None
            for one in ordered
        ],
    )


async def version_of(tx: Transaction, subject: str) -> int:
    version: int | None = await tx.fetchval(_sql["version_of"], subject)
    return version or 0


async def count_dossiers(tx: Transaction) -> Counted:
    row = await tx.fetchrow(_sql["count_dossiers"])
    assert row is not None
    return Counted(row["live"], row["replayed"])


def _dossier(row: Record) -> Dossier:
    return Dossier(
        row["id"],
        row["code"],
        row["unit"],
        row["procedure"],
        row["procedure_version"],
        Channel(row["channel"]),
        row["received"],
        row["promise"],
        row["calendar"],
        row["calendar_version"],
        tuple(row["components"]),
        row["origin"],
        json.loads(row["attributes"]),
        Status(row["status"]),
        row["due"],
        row["at_unit"],
        row["at_stage"],
        row["run"],
        row["late"],
        row["supplements"],
        row["requested"],
        row["notices_sent"],
        row["notices_failed"],
        row["as_of"],
        tuple(Place(*one) for one in json.loads(row["places"])) if row["places"] is not None else (),
    )
