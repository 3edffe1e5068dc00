"""A command route refuses and answers as FastAPI would have, and is described like any other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from fastapi import APIRouter, Response
from starlette.responses import JSONResponse

from shared.access import Action
from shared.http.actor import ActorHere, demand
from shared.http.command_route import CommandRoute
from shared.http.commands import KeyHere
from tests.http.asking import DESK, Reception, an_app, asking

GOOD: dict[str, Any] = {"citizen": {"name": "Bình"}}
ID = {"Idempotency-Key": "1"}


async def receive(who: ActorHere, key: KeyHere, form: Reception) -> Response:
    demand(who, Action.RECEIVE_DOSSIER, "H41.NN.01")
    return JSONResponse({"key": key, "name": form.citizen.name, "actor": who.id}, 201)


def both_ways() -> Any:
    """The app whose `/dossiers` FastAPI answers, with `/straight/dossiers` beside it, and no way around it."""
    router = APIRouter(prefix="/straight")
    router.add_api_route(
        "/dossiers",
        receive,
        methods=["POST"],
        status_code=201,
        response_model=dict[str, Any],
        route_class_override=CommandRoute,
    )
    return an_app(hot=router)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        (json.dumps(GOOD), {**DESK, **ID}),
        (json.dumps({**GOOD, "happened": "2019-05-04T08:30:00+07:00", "sets": "2"}), {**DESK, **ID}),
        (json.dumps({**GOOD, "sets": 1.5, "happened": 5}), {**DESK, **ID}),
        (json.dumps({"citizen": {"name": "\u0007", "phones": ["1", ""]}, "more": 1}), {**DESK, **ID}),
        (json.dumps({"citizen": []}), {**DESK, **ID}),
        (json.dumps([GOOD]), {**DESK, **ID}),
        (json.dumps("text"), {**DESK, **ID}),
        ("null", {**DESK, **ID}),
        ("{}", {**DESK, **ID}),
        ("", {**DESK, **ID}),
        ("{", {**DESK, **ID}),
        (json.dumps(GOOD), {**DESK, "Idempotency-Key": "with a blank"}),
        (json.dumps(GOOD), DESK),
        (json.dumps(GOOD), ID),
        (json.dumps({}), ID),
        (json.dumps(GOOD), {**ID, "X-Dev-Actor": "id=officer-7; unit=H41.NN.02; roles=desk"}),
        (json.dumps(GOOD), {**ID, "X-Dev-Actor": "nobody"}),
    ],
)
async def test_it_answers_and_refuses_as_fastapi_does(body: str, headers: dict[str, str]) -> None:
    async with asking(both_ways()) as client:
        kind = {"Content-Type": "application/json"}
        usual = await client.post("/dossiers", content=body, headers={**headers, **kind})
        straight = await client.post("/straight/dossiers", content=body, headers={**headers, **kind})

    assert (straight.status_code, straight.json()) == (usual.status_code, usual.json())
    assert straight.headers == usual.headers


async def test_another_method_at_its_address_is_refused_as_everywhere() -> None:
    async with asking(both_ways()) as client:
        usual, straight = await client.get("/dossiers"), await client.get("/straight/dossiers")

    assert (straight.status_code, straight.json(), straight.headers) == (405, usual.json(), usual.headers)


async def test_it_is_reached_by_the_router_as_well() -> None:
    app = both_ways()
    app.commands = {}
    async with asking(app) as client:
        answer = await client.post("/straight/dossiers", json=GOOD, headers={**DESK, **ID})
        refusal = await client.post("/straight/dossiers", json={}, headers={**DESK, **ID})

    assert (answer.status_code, refusal.status_code) == (201, 422)


async def test_it_is_described_like_any_other() -> None:
    async with asking(both_ways()) as client:
        described = (await client.get("/openapi.json")).json()["paths"]

    usual, straight = described["/dossiers"]["post"], described["/straight/dossiers"]["post"]
    assert straight["requestBody"] == usual["requestBody"]
    assert straight["responses"].keys() == usual["responses"].keys()
