"""Routing over HTTP: units, calendars, worklists, and what officers do with dossiers, one at a time or in bulk."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Query

from services.routing import handlers, store
from services.routing.api.answers import journey_of, not_done, outcome_of, work_item
from services.routing.api.forms import BulkForm, CalendarForm, Code, CommandForm, DossierId, UnitForm, command_of
from services.routing.handlers import Calendars, NotDone, NotPublished
from shared import telemetry
from shared.access import Action, Actor
from shared.calendar import CalendarError
from shared.http.actor import actor_of, demand
from shared.http.commands import idempotency_key
from shared.http.problems import Problem, RefusedError
from shared.store import Database

ActorHere = Annotated[Actor, Depends(actor_of)]
KeyHere = Annotated[str, Depends(idempotency_key)]

_ONE_PICTURE: Final[dict[str, Any]] = {"isolation": "repeatable_read", "readonly": True}


def router(database: Database, calendars: Calendars) -> APIRouter:
    """Routing's routes."""
    routes = APIRouter(prefix="/routing", tags=["routing"])

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
            raise RefusedError(
                Problem(
                    422,
                    "bad-unit",
                    "The unit cannot be published so",
                    published.detail,
                    published.do,
                    f"/{published.field}",
                )
            )
        return {"version": published.version}

    @routes.get("/units")
    async def get_units() -> dict[str, Any]:
        """Every unit in its newest version."""
        async with database.pool.acquire() as connection:
            found = await store.units(connection)
        return {
            "units": [
                {
                    "code": one.code,
                    "version": one.version,
                    "name": one.name,
                    "level": one.level,
                    "parent": one.parent,
                    "calendar": one.calendar,
                    "valid_from": one.valid_from,
                    "valid_to": one.valid_to,
                }
                for one in (versions[0] for versions in found.values())
            ]
        }

    @routes.get("/worklist")
    async def get_worklist(
        who: ActorHere,
        unit: Code,
        role: Literal["desk", "officer", "specialist"] | None = None,
        after: Annotated[str | None, Query(max_length=100)] = None,
        count: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """What lies at a unit, most urgent first; each line with the version to send back as ``seen``.

        ``next`` goes into ``after`` for the next page; it is null on the last. What moves meanwhile shifts nothing.
        """
        demand(who, Action.READ_WORKLIST, unit)
        async with database.pool.acquire() as connection:
            found = await store.worklist(connection, unit, role, _place(after), count + 1)
        page = found[:count]
        following = f"{page[-1].stage_due.isoformat()}_{page[-1].dossier}" if len(found) > count else None
        return {"worklist": [work_item(one) for one in page], "next": following}

    @routes.get("/dossiers/{dossier}")
    async def get_journey(who: ActorHere, dossier: DossierId) -> dict[str, Any]:
        """Where a dossier is, its clocks, and its deadline ledger; for who holds it and where it came in."""
        telemetry.about(dossier)
        # One picture: a version that is newer than what is shown beside it would let a stale command pass.
        async with database.pool.acquire() as connection, connection.transaction(**_ONE_PICTURE):
            found = (await store.journeys(connection, [dossier])).get(dossier)
            if found is None:
                raise RefusedError(not_done(NotDone("unknown_dossier", "check the id")))
            mine = who.unit == found.receiving_unit
            demand(who, Action.READ_WORKLIST, found.receiving_unit if mine else found.unit)
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

    return routes


def _place(after: str | None) -> tuple[datetime, str] | None:
    if after is None:
        return None
    due, _, dossier = after.partition("_")
    try:
        instant = datetime.fromisoformat(due.replace(" ", "+"))
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None or not dossier:
        raise RefusedError(
            Problem(
                422, "bad-page", "There is no such page", "not a place in a worklist", "send what next said", "after"
            )
        )
    return instant, dossier
