"""Routing over HTTP: units, calendars, worklists, and what officers do with dossiers, one at a time or in bulk."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import Field, JsonValue

from services.routing import handlers, store, values
from services.routing.handlers import Calendars, Done, NotDone, NotPublished
from services.routing.values import Command
from shared.access import Action, Actor
from shared.calendar import CalendarError
from shared.http.actor import actor_of, demand
from shared.http.commands import digest_of, idempotency_key
from shared.http.fields import BusinessTime, Form, ShortText
from shared.http.problems import Problem, RefusedError
from shared.store import Database

ActorHere = Annotated[Actor, Depends(actor_of)]
KeyHere = Annotated[str, Depends(idempotency_key)]
Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Officer = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
# A record's own words, as long as they may be in an event.
RecordedStage = Annotated[ShortText, Field(max_length=120)]
RecordedUnit = Annotated[ShortText, Field(max_length=32)]
RecordedOfficer = Annotated[ShortText, Field(max_length=64)]
DossierId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


class CalendarForm(Form):
    """A calendar's data: zone, weekly hours, days off, make-up days (see ``shared.calendar.to_data``)."""

    data: dict[str, JsonValue]


class UnitForm(Form):
    """A unit as of a day."""

    name: ShortText
    level: Literal["commune", "town", "province", "replay"]
    parent: Code | None = None
    calendar: Code
    valid_from: date
    valid_to: date | None = None
    head: Officer | None = None


class HandOver(Form):
    """On to the next stage of the route."""

    kind: Literal["hand_over"]
    officer: Officer | None = None


class SendBack(Form):
    """Back to the stage before."""

    kind: Literal["send_back"]
    reason: Reason


class RequestSupplement(Form):
    """Papers are missing: the clock stands."""

    kind: Literal["request_supplement"]
    components: tuple[Reason, ...] = Field(default=(), max_length=50)
    reason: Reason


class RequestFee(Form):
    """A fee is due: the clock stands."""

    kind: Literal["request_fee"]
    amount_vnd: Annotated[int, Field(ge=1, le=10_000_000_000)]
    reason: Reason


class Resume(Form):
    """The clock runs again."""

    kind: Literal["resume"]


class Finish(Form):
    """The result lies at the desk."""

    kind: Literal["finish"]


class RecordStep(Form):
    """A step of a replayed record, at its own time (role history)."""

    kind: Literal["record_step"]
    stage: RecordedStage
    unit: RecordedUnit
    officer: RecordedOfficer | None = None
    at: BusinessTime


ActionForm = Annotated[
    HandOver | SendBack | RequestSupplement | RequestFee | Resume | Finish | RecordStep, Field(discriminator="kind")
]


class CommandForm(Form):
    """One officer's wish. ``seen``: the version that was on his screen; only role history may leave it out."""

    seen: Annotated[int, Field(ge=0)] | None = None
    action: ActionForm


class BulkCommand(CommandForm):
    """A command among others: its own id and dossier."""

    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
    dossier: DossierId


class BulkForm(Form):
    """At most 500 commands, carried out in their order in one transaction; each has its own outcome."""

    commands: Annotated[tuple[BulkCommand, ...], Field(min_length=1, max_length=500)]


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
                    "unknown-reference",
                    "It names something that does not exist",
                    f"the {published.field} is not known",
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
                for one in found.values()
            ]
        }

    @routes.get("/worklist")
    async def get_worklist(
        who: ActorHere,
        unit: Code,
        role: Literal["desk", "officer", "specialist"] | None = None,
        skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
        count: Annotated[int, Query(ge=1, le=500)] = 100,
    ) -> dict[str, Any]:
        """What lies at a unit, most urgent first; each line with the version to send back as ``seen``."""
        demand(who, Action.READ_WORKLIST, unit)
        async with database.pool.acquire() as connection:
            found = await store.worklist(connection, unit, role, skip, count)
        return {"worklist": [_work_item(one) for one in found]}

    @routes.get("/dossiers/{dossier}")
    async def get_journey(who: ActorHere, dossier: DossierId) -> dict[str, Any]:
        """Where a dossier is, its clocks, and its deadline ledger."""
        async with database.pool.acquire() as connection:
            found = (await store.journeys(connection, [dossier])).get(dossier)
            if found is None:
                raise RefusedError(_not_done(NotDone("unknown_dossier", "check the id")))
            demand(who, Action.READ_WORKLIST, found.unit)
            ledger = await store.ledger_of(connection, dossier)
            version = await store.version_of(connection, dossier)
        return _journey(found, version, ledger)

    @routes.post("/dossiers/{dossier}/commands")
    async def post_command(who: ActorHere, key: KeyHere, dossier: DossierId, form: CommandForm) -> dict[str, Any]:
        """One command; its id is the Idempotency-Key. The same again gets the same answer."""
        outcome = (await handlers.act(database, calendars, who, [_command(key, dossier, form)]))[0]
        if isinstance(outcome, NotDone):
            raise RefusedError(_not_done(outcome))
        return outcome.answer

    @routes.post("/commands")
    async def post_commands(who: ActorHere, form: BulkForm) -> dict[str, Any]:
        """Many commands at once, each with its own outcome: ``done`` with an answer, or a problem."""
        commands = [_command(one.id, one.dossier, one) for one in form.commands]
        outcomes = await handlers.act(database, calendars, who, commands)
        return {
            "outcomes": [
                {"id": command.id, "dossier": command.dossier, **_outcome(outcome)}
                for command, outcome in zip(commands, outcomes, strict=True)
            ]
        }

    return routes


def _command(ident: str, dossier: str, form: CommandForm) -> Command:
    action = form.action
    wanted: values.Action
    match action:
        case HandOver():
            wanted = values.HandOver(action.officer)
        case SendBack():
            wanted = values.SendBack(action.reason)
        case RequestSupplement():
            wanted = values.RequestSupplement(action.components, action.reason)
        case RequestFee():
            wanted = values.RequestFee(action.amount_vnd, action.reason)
        case Resume():
            wanted = values.Resume()
        case Finish():
            wanted = values.Finish()
        case RecordStep():
            wanted = values.RecordStep(action.stage, action.unit, action.officer, action.at)
    return Command(ident, dossier, form.seen, wanted, digest_of(action.model_dump(mode="json")))


def _outcome(outcome: Done | NotDone) -> dict[str, Any]:
    if isinstance(outcome, Done):
        return {"done": True, "answer": outcome.answer}
    return {"done": False, "problem": _not_done(outcome).content()}


_STATUS = {"unknown_dossier": 404, "stale": 409, "denied": 403, "key_reused": 409, "refused": 409}
_TITLE = {
    "unknown_dossier": "Routing does not know this dossier",
    "stale": "The dossier moved on since you looked",
    "denied": "Not yours to do",
    "key_reused": "The command's id was used before",
    "refused": "The dossier is not where this can be done",
}


def _not_done(outcome: NotDone) -> Problem:
    more: dict[str, Any] = {}
    if outcome.version is not None:
        more["version"] = outcome.version
    if outcome.since:
        more["since"] = list(outcome.since)
    if outcome.reason:
        more["reason"] = outcome.reason
    name = outcome.code.replace("_", "-")
    return Problem(_STATUS[outcome.code], name, _TITLE[outcome.code], _TITLE[outcome.code], outcome.do, more=more)


def _work_item(one: values.WorkItem) -> dict[str, Any]:
    return {
        "dossier": one.dossier,
        "version": one.version,
        "procedure": one.procedure,
        "state": one.state,
        "stage": one.stage,
        "run": one.run,
        "unit": one.unit,
        "role": one.role,
        "officer": one.officer,
        "received": one.received,
        "promise": one.promise,
        "due": one.due,
        "stage_due": one.stage_due,
        "pause_reason": one.pause_reason,
    }


def _journey(one: values.Journey, version: int, ledger: list[values.Entry]) -> dict[str, Any]:
    return {
        "dossier": one.dossier,
        "version": version,
        "procedure": one.procedure,
        "route": one.route,
        "state": one.state,
        "stage": one.stage,
        "run": one.run,
        "unit": one.unit,
        "role": one.role,
        "officer": one.officer,
        "received": one.received,
        "promise": one.promise,
        "due": one.due,
        "stage_due": one.stage_due,
        "credited_seconds": int(one.credit.total_seconds()),
        "generation": one.generation,
        "pause_reason": one.pause_reason,
        "ledger": [
            {
                "number": entry.number,
                "kind": entry.kind,
                "run": entry.run,
                "at": entry.at,
                "stage": entry.stage,
                "unit": entry.unit,
                "officer": entry.officer,
                "seconds": entry.seconds,
                "reason": entry.reason,
            }
            for entry in ledger
        ],
    }
