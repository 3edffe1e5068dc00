"""Intake over HTTP: dossiers come in, are looked up, and go out; procedures are published and searched."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Response
from pydantic import Field

from services.intake import store
from services.intake.handlers import catalogue, door
from services.intake.handlers.reception import APPLICANT, Asked, KeyReused, Received
from services.intake.rules.search import words_of
from services.intake.values import Dossier, NotAccepted, Procedure, Record, Submission
from shared import telemetry
from shared.access import Action, Actor, Role
from shared.calendar import Term, TermUnit
from shared.events import Channel
from shared.http.actor import actor_of, demand
from shared.http.commands import digest_of, idempotency_key, other_command
from shared.http.fields import BusinessTime, Form, ShortText, Text
from shared.http.problems import Problem, RefusedError
from shared.journal import CommandKey
from shared.seal import Keyring, open_sealed
from shared.seal.data_key import DataKey
from shared.store import Database, Together, Transaction

ActorHere = Annotated[Actor, Depends(actor_of)]
KeyHere = Annotated[str, Depends(idempotency_key)]
Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Component = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Email = Annotated[str, Field(max_length=254, pattern=r"^[^@\s<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+$")]
Phone = Annotated[str, Field(pattern=r"^\+?[0-9]{8,15}$")]
Door = Together[Asked, Received | NotAccepted | KeyReused]


class ApplicantForm(Form):
    """Whose dossier it is. Sealed as it comes in; it never leaves intake."""

    name: ShortText
    id_number: Annotated[str, Field(pattern=r"^[0-9]{9,12}$")] | None = None
    address: ShortText | None = None
    business: bool = False


class ContactForm(Form):
    """How the citizen can be told. It travels to notification as ciphertext."""

    email: Email | None = None
    phone: Phone | None = None


class RecordForm(Form):
    """Of a replayed dossier (role history): when it was received, what was promised, and what else was recorded."""

    origin: Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,64}$")]
    received: BusinessTime
    promise: BusinessTime
    attributes: dict[ShortText, ShortText] = Field(default={}, max_length=30)


class DossierForm(Form):
    """A dossier as it is handed in."""

    unit: Code
    procedure: Code
    channel: Channel
    applicant: ApplicantForm
    contact: ContactForm | None = None
    components: Annotated[tuple[Component, ...], Field(max_length=100)] = ()
    record: RecordForm | None = None


class SupplementForm(Form):
    """Papers that came in."""

    components: Annotated[tuple[Component, ...], Field(max_length=100)] = ()


class ResultForm(Form):
    """How the result went out."""

    way: Literal["desk", "post", "online"] = "desk"


class TermForm(Form):
    """A statutory term: a number and its unit; a same-day term has the value 0."""

    value: Annotated[int, Field(ge=0, le=3650)]
    unit: TermUnit


class ProcedureForm(Form):
    """A procedure of the catalogue. ``source`` says where term and fee come from."""

    code: Code
    name: Text
    sector: ShortText
    level: Literal["commune", "town", "province"]
    term: TermForm
    terms: dict[Channel, TermForm] = Field(default_factory=dict)
    fees: dict[Channel, Annotated[int, Field(ge=0, le=10_000_000_000)]] = Field(default_factory=dict)
    components: Annotated[int, Field(ge=0, le=1000)] | None = None
    result: Text | None = None
    source: ShortText


class CatalogueForm(Form):
    """At most 200 procedures, each code once."""

    procedures: Annotated[tuple[ProcedureForm, ...], Field(min_length=1, max_length=200)]


def router(database: Database, keyring: Keyring, reception: Door) -> APIRouter:
    """Intake's routes."""
    routes = APIRouter(prefix="/intake", tags=["intake"])
    _dossier_routes(routes, database, keyring, reception)
    _door_routes(routes, database)
    _catalogue_routes(routes, database)
    return routes


def _dossier_routes(routes: APIRouter, database: Database, keyring: Keyring, reception: Door) -> None:
    @routes.post("/dossiers", status_code=201)
    async def post_dossier(who: ActorHere, key: KeyHere, form: DossierForm, response: Response) -> dict[str, Any]:
        """Receive a dossier: the answer is what the receipt says (form 01). The same command again: the same answer."""
        demand(who, Action.RECEIVE_DOSSIER, form.unit)
        if form.record is not None:
            demand(who, Action.GIVE_PAST_TIME, form.unit)
        elif who.roles == {Role.HISTORY}:
            raise RefusedError(
                Problem(403, "not-yours-to-do", "Not yours to do", "the role history brings records", "send record")
            )
        asked = Asked(
            _submission(form),
            who,
            CommandKey(f"sender:{who.id}", key),
            digest_of(form.model_dump(mode="json")),
            telemetry.traceparent(),
        )
        outcome = await reception.ask(asked)
        if isinstance(outcome, KeyReused):
            raise RefusedError(other_command())
        if isinstance(outcome, NotAccepted):
            raise RefusedError(
                Problem(422, outcome.name, "The dossier cannot be received", outcome.detail, outcome.do, outcome.field)
            )
        response.headers["Location"] = f"/intake/dossiers/{outcome.answer['code']}"
        if outcome.repeated:
            response.headers["Idempotent-Replayed"] = "true"
        return outcome.answer

    @routes.get("/dossiers/{code}")
    async def get_dossier(who: ActorHere, code: Code) -> dict[str, Any]:
        """A dossier end to end, by its printed code or its stream id: as of what routing and notification said."""
        async with database.pool.acquire() as connection:
            dossier = await _found(connection, code)
            demand(who, Action.READ_DOSSIER, dossier.at_unit if who.unit == dossier.at_unit else dossier.unit)
            citizen = await store.citizen(connection, dossier.id)
            version = await store.version_of(connection, dossier.id)
        applicant: dict[str, Any] | None = None
        if citizen is not None:
            applicant = _opened(keyring, dossier.id, citizen.wrapped_key, citizen.applicant)
        return {**_shown(dossier, version), "applicant": applicant}

    @routes.get("/counts")
    async def get_counts() -> dict[str, int]:
        """How many dossiers came in through this door, live and replayed."""
        async with database.pool.acquire() as connection:
            counted = await store.count_dossiers(connection)
        return {"live": counted.live, "replayed": counted.replayed}


def _door_routes(routes: APIRouter, database: Database) -> None:
    async def take(who: Actor, key: str, code: str, action: Action, wish: door.Wish, form: Form) -> dict[str, Any]:
        async with database.pool.acquire() as connection:
            dossier = await _found(connection, code)
        demand(who, action, dossier.unit)
        digest = digest_of([type(wish).__name__, form.model_dump(mode="json")])
        outcome = await door.take(database, who, dossier.id, key, digest, wish)
        if isinstance(outcome, door.Done):
            return outcome.answer
        if outcome.code == "key_reused":
            raise RefusedError(other_command())
        raise RefusedError(
            Problem(
                409,
                "not-now",
                "The dossier is not where this can be done",
                f"its status is {int(outcome.status) if outcome.status else 'unknown'}",
                outcome.do,
            )
        )

    @routes.post("/dossiers/{code}/supplement")
    async def post_supplement(who: ActorHere, key: KeyHere, code: Code, form: SupplementForm) -> dict[str, Any]:
        """Missing papers came in; what counts for the clock is this instant."""
        return await take(who, key, code, Action.RECEIVE_DOSSIER, door.Supplement(form.components), form)

    @routes.post("/dossiers/{code}/withdrawal")
    async def post_withdrawal(who: ActorHere, key: KeyHere, code: Code) -> dict[str, Any]:
        """The citizen wants the dossier back: requested here, decided by routing."""
        return await take(who, key, code, Action.RECEIVE_DOSSIER, door.Withdrawal(), Form())

    @routes.post("/dossiers/{code}/result")
    async def post_result(who: ActorHere, key: KeyHere, code: Code, form: ResultForm) -> dict[str, Any]:
        """The result was handed to the citizen (status 10)."""
        return await take(who, key, code, Action.HAND_OVER_RESULT, door.HandOut(form.way), form)


def _catalogue_routes(routes: APIRouter, database: Database) -> None:
    @routes.put("/procedures")
    async def put_procedures(who: ActorHere, form: CatalogueForm) -> dict[str, Any]:
        """Publish procedures; the same content again changes nothing."""
        demand(who, Action.PUBLISH_PROCEDURE, None)
        codes = [one.code for one in form.procedures]
        if len(set(codes)) != len(codes):
            raise RefusedError(
                Problem(
                    422,
                    "code-twice",
                    "A code stands twice",
                    "each procedure is sent once",
                    "leave one out",
                    "/procedures",
                )
            )
        given = [_procedure(place, one) for place, one in enumerate(form.procedures)]
        published = await catalogue.publish_procedures(database, who, given)
        return {
            "changed": sum(one.changed for one in published),
            "procedures": [{"code": one.code, "version": one.version, "changed": one.changed} for one in published],
        }

    @routes.get("/procedures")
    async def get_procedures(
        q: Annotated[str, Query(max_length=200)] = "",
        sector: Annotated[str | None, Query(max_length=200)] = None,
        skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
        count: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> dict[str, Any]:
        """Search the catalogue, with or without tone marks and case."""
        async with database.pool.acquire() as connection:
            found = await store.found_procedures(connection, words_of(q), sector, skip, count)
        return {"total": found.total, "procedures": [_shown_procedure(one) for one in found.procedures]}

    @routes.get("/procedures/by-code/{code}")
    async def get_procedure(code: Code) -> dict[str, Any]:
        """One procedure."""
        async with database.pool.acquire() as connection:
            found = (await store.procedures(connection, [code])).get(code)
        if found is None:
            raise RefusedError(
                Problem(404, "unknown-procedure", "No such procedure", "no such code", "search /intake/procedures")
            )
        return _shown_procedure(found)


async def _found(tx: Transaction, code: str) -> Dossier:
    ident = await store.dossier_id(tx, code) or code
    dossier = (await store.dossiers(tx, [ident])).get(ident)
    if dossier is None:
        raise RefusedError(
            Problem(
                404,
                "unknown-dossier",
                "No such dossier",
                "no dossier has this code",
                "look at the code on the receipt: unit, date, number",
            )
        )
    return dossier


def _submission(form: DossierForm) -> Submission:
    contact = form.contact.model_dump(exclude_none=True) if form.contact else {}
    record = form.record
    return Submission(
        form.unit,
        form.procedure,
        form.channel,
        form.components,
        json.dumps(form.applicant.model_dump(exclude_none=True), ensure_ascii=False).encode(),
        json.dumps(contact).encode() if contact else None,
        Record(record.origin, record.received, record.promise, record.attributes) if record else None,
    )


def _opened(keyring: Keyring, dossier: str, wrapped: str, sealed: str) -> dict[str, Any] | None:
    key = keyring.unwrap(dossier, wrapped)
    opened = open_sealed(key, APPLICANT, sealed) if isinstance(key, DataKey) else None
    if not isinstance(opened, bytes):
        return None
    applicant: dict[str, Any] = json.loads(opened)
    return applicant


def _shown(one: Dossier, version: int) -> dict[str, Any]:
    return {
        "id": one.id,
        "code": one.code,
        "version": version,
        "unit": one.unit,
        "procedure": one.procedure,
        "procedure_version": one.procedure_version,
        "channel": one.channel.value,
        "received": one.received,
        "promise": one.promise,
        "calendar": one.calendar,
        "calendar_version": one.calendar_version,
        "components": list(one.components),
        "origin": one.origin,
        "attributes": dict(one.attributes),
        "status": int(one.status),
        "status_name": one.status.name.lower(),
        "due": one.due,
        "at_unit": one.at_unit,
        "at_stage": one.at_stage,
        "run": one.run,
        "late": one.late,
        "supplements": one.supplements,
        "requested": one.requested,
        "notices": {"sent": one.notices_sent, "failed": one.notices_failed},
        "as_of": one.as_of,
    }


def _procedure(place: int, form: ProcedureForm) -> Procedure:
    return Procedure(
        form.code,
        0,
        form.name,
        form.sector,
        form.level,
        _term(f"/procedures/{place}/term", form.term),
        {channel: _term(f"/procedures/{place}/terms/{channel.value}", term) for channel, term in form.terms.items()},
        dict(form.fees),
        form.components,
        form.result,
        form.source,
    )


def _term(field: str, form: TermForm) -> Term:
    try:
        return Term(form.value, form.unit)
    except ValueError as error:
        raise RefusedError(
            Problem(422, "bad-term", "The term is not acceptable", str(error), "correct the term", field)
        ) from None


def _shown_procedure(one: Procedure) -> dict[str, Any]:
    return {
        "code": one.code,
        "version": one.version,
        "name": one.name,
        "sector": one.sector,
        "level": one.level,
        "term": {"value": one.term.value, "unit": one.term.unit.value},
        "terms": {key.value: {"value": term.value, "unit": term.unit.value} for key, term in one.terms.items()},
        "fees": {key.value: fee for key, fee in one.fees.items()},
        "components": one.components,
        "result": one.result,
        "source": one.source,
    }
