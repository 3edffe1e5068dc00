"""An app with the shared manners, and a client that asks it without a network."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.types import ASGIApp

from shared.access import Action, Actor
from shared.http.actor import actor_of, believe_dev_actors, demand
from shared.http.body import CheckedBody
from shared.http.command_route import Application
from shared.http.commands import idempotency_key
from shared.http.fields import BusinessTime, Form, ShortText, Text
from shared.http.problems import RESPONSES, say_problems

PROBLEM = "application/problem+json"
DESK = {"X-Dev-Actor": "id=officer-7; unit=H41.NN.01; roles=desk"}


class Citizen(Form):
    name: ShortText
    phones: tuple[ShortText, ...] = ()


class Reception(Form):
    citizen: Citizen
    happened: BusinessTime | None = None
    note: Text | None = None
    sets: int = 1


def an_app(
    fail: Callable[[], None] = lambda: None, max_bytes: int = 1024 * 1024, hot: APIRouter | None = None
) -> FastAPI:
    app = Application(responses=RESPONSES)
    if hot is not None:
        app.include_commands(hot)

    @app.post("/dossiers", status_code=201)
    async def receive(
        reception: Reception,
        actor: Annotated[Actor, Depends(actor_of)],
        key: Annotated[str, Depends(idempotency_key)],
    ) -> dict[str, Any]:
        demand(actor, Action.RECEIVE_DOSSIER, "H41.NN.01")
        return {"key": key, "name": reception.citizen.name, "actor": actor.id}

    @app.get("/dossiers/{code}")
    async def dossier(code: str, page: int = 1) -> dict[str, Any]:
        return {"code": code, "page": page}

    @app.post("/echo")
    async def echo(request: Request) -> dict[str, Any]:
        return {"body": (await request.body()).decode("utf-8", "replace")}

    @app.get("/fails")
    async def fails() -> None:
        fail()

    say_problems(app)
    believe_dev_actors(app, enabled=True)
    app.add_middleware(CheckedBody, max_bytes=max_bytes, form_paths=("/echo",))
    return app


@asynccontextmanager
async def asking(app: ASGIApp, peer: str = "127.0.0.1") -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app, raise_app_exceptions=True, client=(peer, 40000))
    async with httpx.AsyncClient(transport=transport, base_url="http://lienthong") as client:
        yield client


def problem_of(response: httpx.Response) -> dict[str, Any]:
    """The problem, after a look at what every problem has."""
    assert response.headers["content-type"] == PROBLEM
    content: dict[str, Any] = response.json()
    assert content["type"].startswith("/problems/")
    assert content["status"] == response.status_code
    assert content["title"]
    assert content["detail"]
    assert content["do"]
    return content
