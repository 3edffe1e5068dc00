"""What routing owns besides journeys: units and calendars, published version by version."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from services.routing import store
from services.routing.rules.routes import wrong_with
from services.routing.values import Level, NotPublished, Officer, Route, Unit
from shared import journal
from shared.access import Actor
from shared.calendar import CalendarError, from_data, to_data
from shared.envelope import LARGEST_BODY
from shared.events import CalendarPublished, RoutePublished, UnitPublished
from shared.journal import Saying, Stream
from shared.store import Database, Transaction
from shared.topics import Service


@dataclass(frozen=True, slots=True)
class Published:
    """A version took effect; the same content again keeps the version that there was."""

    version: int


async def publish_calendar(database: Database, code: str, data: dict[str, Any], actor: Actor) -> Published:
    """Publish a calendar's next version. CalendarError (a ValueError) when the data is none."""
    calendar = to_data(from_data({**data, "code": code, "version": 1}))
    if len(CalendarPublished(code=code, data=calendar).model_dump_json()) > LARGEST_BODY - 100:
        raise CalendarError("days_off", "is more than an event can carry: leave out years that are long over")
    subject = f"calendar:{code}"
    async with database.transaction() as tx:
        locked = await journal.lock(tx, [subject])
        version = locked[subject].version
        if version:
            known = (await store.calendars(tx, [(code, version)]))[code, version]
            if to_data(known) == {**calendar, "version": version}:
                return Published(version)
        calendar["version"] = version + 1
        await store.save_calendar(tx, code, version + 1, calendar)
        await _announce_one(tx, locked, subject, CalendarPublished(code=code, data=calendar), actor)
        return Published(version + 1)


async def publish_unit(
    database: Database,
    actor: Actor,
    *,
    code: str,
    name: str,
    level: Level,
    parent: str | None,
    calendar: str,
    valid_from: date,
    valid_to: date | None,
    head: str | None,
) -> Published | NotPublished:
    """Publish a unit's next version; its calendar and its parent must exist."""
    subject = f"unit:{code}"
    unit = Unit(code, 0, name, level, parent, calendar, valid_from, valid_to)
    async with database.transaction() as tx:
        # Looked up before the lock, which makes a row: a refusal leaves nothing behind, and neither ever goes away.
        wrong = await _wrong_with(tx, unit)
        if wrong is not None:
            return wrong
        locked = await journal.lock(tx, [subject])
        version = locked[subject].version
        before = (await store.units(tx)).get(code)
        if head is not None:
            await store.save_head(tx, code, head, valid_from)
        if before is not None and before[0] == replace(unit, version=version):
            return Published(version)
        await store.save_unit(tx, replace(unit, version=version + 1))
        said = UnitPublished(
            code=code,
            name=name,
            level=level,
            parent=parent,
            calendar=calendar,
            valid_from=valid_from,
            valid_to=valid_to,
        )
        await _announce_one(tx, locked, subject, said, actor)
        return Published(version + 1)


async def publish_route(database: Database, actor: Actor, route: Route) -> Published | NotPublished:
    """Publish a route's next version (``route.version`` is not looked at); dossiers in flight keep theirs."""
    subject = f"route:{route.code}"
    async with database.transaction() as tx:
        routes = await store.routes(tx)
        others = [versions[0] for code, versions in routes.items() if code != route.code]
        terms = await store.procedures_on(tx, route.code, route.level)
        wrong = wrong_with(route, await store.units(tx), others, terms)
        if wrong is not None:
            return wrong
        locked = await journal.lock(tx, [subject])
        # Those that a migration brought were never spoken of: what is in the table counts, not the stream.
        there = (await store.routes(tx)).get(route.code, ())
        newest = there[0].version if there else 0
        if there and there[0] == replace(route, version=newest):
            return Published(newest)
        await store.save_route(tx, replace(route, version=newest + 1))
        said = RoutePublished(code=route.code, level=route.level, length=route.length)
        await _announce_one(tx, locked, subject, said, actor)
        return Published(newest + 1)


async def appoint_officer(database: Database, officer: Officer) -> Published | NotPublished:
    """Keep an officer's next version (``officer.version`` is not looked at); the unit must exist.

    Nobody outside routing needs to know yet, so nothing is announced.
    """
    if officer.valid_to is not None and officer.valid_to < officer.valid_from:
        return NotPublished("valid_to", "the appointment would end before it begins", "give a later day, or none")
    async with database.transaction() as tx:
        if officer.unit not in await store.units(tx):
            return NotPublished("unit", "the unit is not known", "publish the unit first")
        await store.lock_officer(tx, officer.id)
        versions = (await store.officers_of(tx, [officer.id])).get(officer.id, ())
        newest = versions[0].version if versions else 0
        if versions and versions[0] == replace(officer, version=newest):
            return Published(newest)
        await store.save_officer(tx, replace(officer, version=newest + 1))
        return Published(newest + 1)


async def _wrong_with(tx: Transaction, unit: Unit) -> NotPublished | None:
    if unit.valid_to is not None and unit.valid_to < unit.valid_from:
        return NotPublished("valid_to", "the unit would end before it begins", "give a later day, or none")
    if unit.parent == unit.code:
        return NotPublished("parent", "a unit is not its own parent", "leave it out, or name the unit above")
    if unit.parent is not None and unit.parent not in await store.units(tx):
        return NotPublished("parent", "the parent is not known", "publish the parent unit first")
    if unit.calendar not in await store.calendar_versions(tx):
        return NotPublished("calendar", "the calendar is not known", "publish the calendar first")
    return None


async def _announce_one(
    tx: Transaction,
    locked: dict[str, Stream],
    subject: str,
    event: CalendarPublished | UnitPublished | RoutePublished,
    actor: Actor,
) -> None:
    saying = Saying(subject, event, await journal.instant(tx), actor=actor.id)
    await journal.announce(tx, Service.ROUTING, locked, [saying])
