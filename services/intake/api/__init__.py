"""Intake over HTTP: dossiers come in, are looked up, and go out; procedures are published and searched."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Response

from services.intake import store
from services.intake.api.answers import (
    applicant_of,
    coverage_of,
    dossier_of,
    erasure_of,
    not_accepted,
    not_done,
    not_publishable,
    received,
    shown,
    taken,
    unknown_dossier,
)
from services.intake.api.erasures import add as add_erasures
from services.intake.api.finding import found, without
from services.intake.api.forms import (
    BulkForm,
    CatalogueForm,
    Code,
    DossierCode,
    DossierForm,
    RecordsForm,
    ResultForm,
    SupplementForm,
    WithdrawalForm,
    coming_of,
    procedure_of,
    submission_of,
)
from services.intake.handlers import catalogue, door
from services.intake.handlers.reception import Asked, KeyReused, Received
from services.intake.rules.search import words_of
from services.intake.values import NotAccepted, NotPublishable
from shared import telemetry
from shared.access import Action, Actor, Role
from shared.events import Channel
from shared.http.actor import ActorHere, demand
from shared.http.command_route import CommandRoute
from shared.http.commands import KeyHere, digest_of, other_command
from shared.http.problems import Problem, RefusedError
from shared.journal import CommandKey
from shared.seal import Keyring, Register
from shared.store import Database, Together

Door = Together[Asked, Received | NotAccepted | KeyReused]

_ONE_PICTURE: Final[dict[str, Any]] = {"isolation": "repeatable_read", "readonly": True}


def router(
    database: Database,
    keyring: Keyring,
    register: Register,
    reception: Door,
    figure: tuple[int, str] | None = None,
) -> APIRouter:
    """Intake's routes. ``figure``: how many procedures the town says it offers, and whose figure that is."""
    routes = APIRouter(prefix="/intake", tags=["intake"])
    _dossier_routes(routes, database, keyring, reception)
    _history_routes(routes, database, reception)
    _door_routes(routes, database)
    add_erasures(routes, database, register)
    _catalogue_routes(routes, database, figure)
    return routes


def _dossier_routes(routes: APIRouter, database: Database, keyring: Keyring, reception: Door) -> None:
    async def post_dossier(who: ActorHere, key: KeyHere, form: DossierForm) -> Response:
        """Receive a dossier: the answer is what the receipt says (form 01). The same command again: the same answer."""
        _demand_reception(who, form)
        outcome = await reception.ask(_asked(who, key, form))
        if isinstance(outcome, KeyReused):
            raise RefusedError(other_command())
        if isinstance(outcome, NotAccepted):
            raise RefusedError(not_accepted(outcome))
        telemetry.about(outcome.answer["id"])
        headers = {"Location": f"/intake/dossiers/{outcome.answer['code']}"}
        if outcome.repeated:
            headers["Idempotent-Replayed"] = "true"
        return Response(msgspec.json.encode(outcome.answer), 201, headers, "application/json")

    routes.add_api_route(
        "/dossiers",
        post_dossier,
        methods=["POST"],
        status_code=201,
        response_model=dict[str, Any],
        route_class_override=CommandRoute,
    )

    @routes.get("/dossiers/{code}")
    async def get_dossier(who: ActorHere, code: DossierCode) -> dict[str, Any]:
        """A dossier end to end, by its printed code or its stream id: as of what routing and notification said.

        For the unit where it came in, the one that holds it, and the citizen who handed it in.
        """
        async with database.connection() as connection, connection.transaction(**_ONE_PICTURE):
            dossier = await found(connection, who, code, Action.READ_DOSSIER)
            citizen = (await store.citizens(connection, [dossier.id])).get(dossier.id)
            version = await store.version_of(connection, dossier.id)
            erasure = (await store.erasures(connection, [dossier.id])).get(dossier.id)
        applicant = applicant_of(keyring, citizen) if citizen is not None else None
        erased = erasure_of(erasure) if erasure is not None else None
        return {**dossier_of(dossier, version), "applicant": applicant, "erased": erased}

    @routes.get("/operations/streams/{code}")
    async def get_stream(who: ActorHere, code: DossierCode) -> dict[str, str]:
        """The stream id of a dossier, by its printed code or by itself: all that an operator learns of it here."""
        demand(who, Action.OPERATE, None)
        async with database.connection() as connection:
            ident = await store.dossier_id(connection, code) or code
            known = await store.dossiers(connection, [ident])
        if ident not in known:
            raise RefusedError(unknown_dossier())
        return {"stream": ident}

    @routes.get("/counts")
    async def get_counts() -> dict[str, int]:
        """How many dossiers came in through this door, live and replayed."""
        async with database.connection() as connection:
            counted = await store.count_dossiers(connection)
        return {"live": counted.live, "replayed": counted.replayed}


def _asked(who: Actor, key: str, form: DossierForm) -> Asked:
    return Asked(
        submission_of(form),
        who,
        CommandKey(f"sender:{who.id}", key),
        digest_of(form.model_dump(mode="json", exclude={"id"})),
        telemetry.traceparent(),
        time.time_ns(),
    )


def _history_routes(routes: APIRouter, database: Database, reception: Door) -> None:
    @routes.post("/records")
    async def post_records(who: ActorHere, form: RecordsForm) -> dict[str, Any]:
        """Receive many records (role history), in their order; each has its own outcome, like POST /dossiers."""
        demand(who, Action.GIVE_PAST_TIME, None)
        # Asked for at once they are carried out in this order, and together.
        outcomes = await asyncio.gather(*(reception.ask(_asked(who, one.id, one)) for one in form.records))
        return {
            "outcomes": [
                {"id": one.id, **received(outcome)} for one, outcome in zip(form.records, outcomes, strict=True)
            ]
        }

    @routes.post("/commands")
    async def post_commands(who: ActorHere, form: BulkForm) -> dict[str, Any]:
        """What came in for many records (role history), each at its own time and with its own outcome."""
        demand(who, Action.GIVE_PAST_TIME, None)
        if any(one.action.at is None for one in form.commands):
            raise RefusedError(
                Problem(422, "no-time", "A time is missing", "a record's entry has a time", "send at", "/commands")
            )
        comings = [coming_of(one.dossier, one.id, one.action) for one in form.commands]
        outcomes = await door.take_all(database, who, comings)
        return {
            "outcomes": [
                {"id": one.command, "dossier": one.dossier, **taken(outcome)}
                for one, outcome in zip(comings, outcomes, strict=True)
            ]
        }


def _demand_reception(who: Actor, form: DossierForm) -> None:
    """Who may hand it in: a record only the role history, and that role nothing else."""
    if form.record is not None:
        demand(who, Action.GIVE_PAST_TIME, form.unit)
        return
    demand(without(who, Role.HISTORY), Action.RECEIVE_DOSSIER, form.unit)
    if form.channel is Channel.DESK and Role.DESK not in who.roles:
        raise RefusedError(
            Problem(
                422,
                "not-at-a-desk",
                "The dossier cannot be received",
                "only a desk receives what is handed in at a desk",
                "send the channel online, or post",
                "/channel",
            )
        )


def _door_routes(routes: APIRouter, database: Database) -> None:
    async def take(
        who: Actor, key: str, code: str, action: Action, form: SupplementForm | WithdrawalForm | ResultForm
    ) -> dict[str, Any]:
        if form.at is not None or form.by is not None:
            demand(who, Action.GIVE_PAST_TIME, None)
        async with database.connection() as connection:
            dossier = await found(connection, who, code, action)
        outcome = await door.take(database, who, coming_of(dossier.id, key, form))
        if isinstance(outcome, door.NotDone):
            raise RefusedError(not_done(outcome))
        return outcome.answer

    @routes.post("/dossiers/{code}/supplement")
    async def post_supplement(who: ActorHere, key: KeyHere, code: DossierCode, form: SupplementForm) -> dict[str, Any]:
        """Missing papers came in; what counts for the clock is this instant."""
        return await take(who, key, code, Action.RECEIVE_DOSSIER, form)

    @routes.post("/dossiers/{code}/withdrawal")
    async def post_withdrawal(
        who: ActorHere, key: KeyHere, code: DossierCode, form: WithdrawalForm | None = None
    ) -> dict[str, Any]:
        """The citizen wants the dossier back: requested here, decided by routing."""
        return await take(who, key, code, Action.RECEIVE_DOSSIER, form or WithdrawalForm())

    @routes.post("/dossiers/{code}/result")
    async def post_result(who: ActorHere, key: KeyHere, code: DossierCode, form: ResultForm) -> dict[str, Any]:
        """The result was handed to the citizen (status 10)."""
        return await take(who, key, code, Action.HAND_OVER_RESULT, form)


def _catalogue_routes(routes: APIRouter, database: Database, figure: tuple[int, str] | None) -> None:
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
        given = [procedure_of(place, one) for place, one in enumerate(form.procedures)]
        published = await catalogue.publish_procedures(database, who, given)
        if isinstance(published, NotPublishable):
            raise RefusedError(not_publishable(published))
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
        async with database.connection() as connection:
            found = await store.found_procedures(connection, words_of(q), sector, skip, count)
        return {"total": found.total, "procedures": [shown(one) for one in found.procedures]}

    @routes.get("/procedures/coverage")
    async def get_coverage() -> dict[str, Any]:
        """How many procedures are loaded, beside the figure that the town has published (if the settings name one)."""
        async with database.connection() as connection:
            coverage = await catalogue.coverage(connection, figure)
        if coverage is None:
            raise RefusedError(
                Problem(
                    404,
                    "no-figure",
                    "There is nothing to compare with",
                    "no published figure is set",
                    "set CATALOGUE_FIGURE and CATALOGUE_FIGURE_WHOSE",
                )
            )
        return coverage_of(coverage)

    @routes.get("/procedures/by-code/{code}")
    async def get_procedure(code: Code) -> dict[str, Any]:
        """One procedure."""
        async with database.connection() as connection:
            found = (await store.procedures(connection, [code])).get(code)
        if found is None:
            raise RefusedError(
                Problem(404, "unknown-procedure", "No such procedure", "no such code", "search /intake/procedures")
            )
        return shown(found)
