"""Routing over HTTP: units, calendars, worklists, and what officers do with dossiers, one at a time or in bulk."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query
from fastapi import Path as PathParameter

from services.routing import handlers, store
from services.routing.api.answers import (
    journey_of,
    not_done,
    not_published,
    officer_shown,
    outcome_of,
    route_shown,
    unit_of,
    work_item,
)
from services.routing.api.forms import (
    BulkForm,
    CalendarForm,
    Code,
    CommandForm,
    Day,
    DossierId,
    Officer,
    OfficerForm,
    RouteForm,
    UnitForm,
    command_of,
    officer_of,
    route_of,
)
from services.routing.handlers import Calendars, NotDone, NotPublished
from services.routing.rules.branches import units_of
from shared import telemetry
from shared.access import Action
from shared.calendar import CalendarError, to_data
from shared.events import StageRole
from shared.http.actor import ActorHere, demand
from shared.http.commands import KeyHere
from shared.http.problems import Problem, RefusedError
from shared.store import Database

_ONE_PICTURE: Final[dict[str, Any]] = {"isolation": "repeatable_read", "readonly": True}


def router(database: Database, calendars: Calendars) -> APIRouter:
    """Routing's routes."""
    routes = APIRouter(prefix="/routing", tags=["routing"])
    _published_routes(routes, database)
    _calendar_routes(routes, database)
    _officer_routes(routes, database)
    _dossier_routes(routes, database, calendars)
    return routes


def _published_routes(routes: APIRouter, database: Database) -> None:
    @routes.put("/calendars/{code}")
    async def put_calendar(who: ActorHere, code: Code, form: CalendarForm) -> dict[str, int]:
        """Publish a calendar; the same data again keeps its version."""
        demand(who, Action.PUBLISH_CALENDAR, None)
        try:
            published = await handlers.publish_calendar(database, code, dict(form.data), who)
        except CalendarError as error:
            raise RefusedError(
                Problem(
                    422,
                    "bad-calendar",
                    "The calendar's data is not acceptable",
                    error.reason,
                    "correct the field and send it again",
                    f"/data/{error.field}",
                )
            ) from None
        return {"version": published.version}

    @routes.put("/units/{code}")
    async def put_unit(who: ActorHere, code: Code, form: UnitForm) -> dict[str, int]:
        """Publish a unit; the same content again keeps its version."""
        demand(who, Action.PUBLISH_UNIT, None)
        published = await handlers.publish_unit(
            database,
            who,
            code=code,
            name=form.name,
            level=form.level,
            parent=form.parent,
            calendar=form.calendar,
            valid_from=form.valid_from,
            valid_to=form.valid_to,
            head=form.head,
        )
        if isinstance(published, NotPublished):
            raise RefusedError(not_published(published, "bad-unit", "The unit cannot be published so"))
        return {"version": published.version}

    @routes.get("/units")
    async def get_units() -> dict[str, Any]:
        """Every unit in its newest version, with its heads over time."""
        async with database.connection() as connection, connection.transaction(**_ONE_PICTURE):
            found = await store.units(connection)
            heads = await store.heads(connection)
        return {"units": [unit_of(versions[0], heads.get(code, ())) for code, versions in found.items()]}

    @routes.put("/routes/{code}")
    async def put_route(who: ActorHere, code: Code, form: RouteForm) -> dict[str, int]:
        """Publish a route; the same content again keeps its version, and dossiers in flight keep theirs."""
        demand(who, Action.PUBLISH_ROUTE, None)
        published = await handlers.publish_route(database, who, route_of(code, form))
        if isinstance(published, NotPublished):
            raise RefusedError(not_published(published, "bad-route", "The route cannot be published so"))
        return {"version": published.version}

    @routes.get("/routes")
    async def get_routes() -> dict[str, Any]:
        """Every route in its newest version."""
        async with database.connection() as connection:
            found = await store.routes(connection)
        return {"routes": [route_shown(versions[0]) for versions in found.values()]}


def _calendar_routes(routes: APIRouter, database: Database) -> None:
    @routes.get("/calendars/{code}")
    async def get_calendar(code: Code) -> dict[str, Any]:
        """A calendar in its newest version: what a promise of today is counted by."""
        async with database.connection() as connection:
            version = (await store.calendar_versions(connection)).get(code)
            found = await store.calendars(connection, [(code, version)]) if version else {}
        if version is None:
            raise RefusedError(
                Problem(404, "unknown-calendar", "No such calendar", "no calendar has this code", "see /routing/units")
            )
        return {"code": code, "version": version, "data": to_data(found[code, version])}


def _officer_routes(routes: APIRouter, database: Database) -> None:
    @routes.put("/officers/{id}")
    async def put_officer(
        who: ActorHere, ident: Annotated[Officer, PathParameter(alias="id")], form: OfficerForm
    ) -> dict[str, int]:
        """Appoint an officer (a pseudonym, never a name); the same content again keeps its version."""
        demand(who, Action.APPOINT_OFFICER, None)
        published = await handlers.appoint_officer(database, officer_of(ident, form))
        if isinstance(published, NotPublished):
            raise RefusedError(not_published(published, "bad-officer", "The officer cannot be appointed so"))
        return {"version": published.version}

    @routes.get("/officers")
    async def get_officers(who: ActorHere, unit: Code | None = None, on: Day | None = None) -> dict[str, Any]:
        """Officers of a unit (or of all), as appointed on a day; without a day, everybody in the newest version."""
        demand(who, Action.READ_OFFICERS, unit)
        async with database.connection() as connection:
            found = await store.officers(connection, unit, on)
        return {"officers": [officer_shown(one) for one in found]}


def _dossier_routes(routes: APIRouter, database: Database, calendars: Calendars) -> None:
    @routes.get("/worklist")
    async def get_worklist(
        who: ActorHere,
        unit: Code,
        role: StageRole | None = None,
        after: Annotated[str | None, Query(max_length=100)] = None,
        count: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """What lies at a unit, most urgent first; each line with the version to send back as ``seen``.

        ``next`` goes into ``after`` for the next page; it is null on the last. What moves meanwhile shifts nothing.
        """
        demand(who, Action.READ_WORKLIST, unit)
        async with database.connection() as connection:
            found = await store.worklist(connection, unit, role, _place(after), count + 1)
        page = found[:count]
        last = page[-1] if len(found) > count else None
        following = f"{last.stage_due.isoformat()}_{last.dossier}_{last.run}" if last is not None else None
        return {"worklist": [work_item(one) for one in page], "next": following}

    @routes.get("/dossiers/{dossier}")
    async def get_journey(who: ActorHere, dossier: DossierId) -> dict[str, Any]:
        """Where a dossier is, its clocks, and its deadline ledger; for who holds it and where it came in."""
        telemetry.about(dossier)
        # One picture: a version that is newer than what is shown beside it would let a stale command pass.
        async with database.connection() as connection, connection.transaction(**_ONE_PICTURE):
            found = (await store.journeys(connection, [dossier])).get(dossier)
            if found is None:
                raise RefusedError(not_done(NotDone("unknown_dossier", "check the id")))
            demand(who, Action.READ_WORKLIST, who.unit if who.unit in units_of(found) else found.unit)
            ledger = await store.ledger_of(connection, dossier)
            version = await store.version_of(connection, dossier)
        return journey_of(found, version, ledger)

    @routes.post("/dossiers/{dossier}/commands")
    async def post_command(who: ActorHere, key: KeyHere, dossier: DossierId, form: CommandForm) -> dict[str, Any]:
        """One command; its id is the Idempotency-Key. The same again gets the same answer."""
        telemetry.about(dossier)
        demand(who, Action.CARRY_OUT_STAGE, who.unit)
        outcome = (await handlers.act(database, calendars, who, [command_of(key, dossier, form)]))[0]
        if isinstance(outcome, NotDone):
            raise RefusedError(not_done(outcome))
        return outcome.answer

    @routes.post("/commands")
    async def post_commands(who: ActorHere, form: BulkForm) -> dict[str, Any]:
        """Many commands at once, each with its own outcome: ``done`` with an answer, or a problem."""
        demand(who, Action.CARRY_OUT_STAGE, who.unit)
        commands = [command_of(one.id, one.dossier, one) for one in form.commands]
        outcomes = await handlers.act(database, calendars, who, commands)
        return {
            "outcomes": [
                {"id": command.id, "dossier": command.dossier, **outcome_of(outcome)}
                for command, outcome in zip(commands, outcomes, strict=True)
            ]
        }


def _place(after: str | None) -> tuple[datetime, str, int] | None:
    if after is None:
        return None
    due, _, place = after.partition("_")
    dossier, _, number = place.partition("_")
    run = int(number) if number.isascii() and number.isdigit() and len(number) < 10 else None
    try:
        instant = datetime.fromisoformat(due.replace(" ", "+"))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not dossier or run is None:
        raise RefusedError(
            Problem(
                422, "bad-page", "There is no such page", "not a place in a worklist", "send what next said", "after"
            )
        )
    return instant, dossier, run
