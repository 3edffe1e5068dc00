"""Intake and routing as they answer over HTTP, on real stores, without a broker; and a cable that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import httpx
from fastapi import FastAPI

from deploy.launcher.layout import REPOSITORY
from services.intake import api as intake_api
from services.intake import handlers as intake_handlers
from services.intake import pages as intake_pages
from services.routing import api as routing_api
from services.routing import handlers as routing_handlers
from shared.access import Actor, Role
from shared.bus import Bus
from shared.http.pages import Pages
from shared.service import NAV, Running, make_app
from tests.builders import TOWN, WARD, an_actor, command_id, dev_actor
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing
from tests.http.asking import asking

NO_BROKER = "127.0.0.1:1"
DESK = an_actor(Role.DESK, Role.OFFICER, ident="desk-1")
HISTORY = an_actor(Role.HISTORY, unit=None, ident="replay")
A_RECORD = {"origin": "old-books", "received": "2019-05-06T08:00:00+07:00", "promise": "2019-05-20T17:00:00+07:00"}
A_UNIT = {"name": "UBND", "level": "commune", "parent": TOWN, "calendar": "office", "valid_from": "2013-06-03"}

AN_OFFICER = {"unit": WARD, "roles": ["officer"], "sectors": ["Hộ tịch"], "valid_from": "2018-01-01"}

A_ROUTE: dict[str, Any] = {
    "stages": [
        {"name": "officer", "place": "receiving", "role": "officer", "budget": {"value": 1.5, "unit": "working_day"}},
        {"name": "posting", "kind": "posting", "place": "receiving", "budget": {"value": 7, "unit": "calendar_day"}},
        {"name": "town", "place": "named", "unit": TOWN, "role": "leader", "budget": {"value": 2, "unit": "hour"}},
    ]
}


def intake_app(intake: Intake, figure: tuple[int, str] | None = None, banner: tuple[str, str] | None = None) -> FastAPI:
    """Intake as its main constructs it."""
    bus = Bus(intake_handlers.hearer(), intake.database, NO_BROKER)
    shell = Pages(_templates("intake"), "/intake", NAV, banner=banner)
    routes = intake_api.router(intake.database, intake.keyring, intake.register, intake.door, figure)
    running = Running("intake", intake.database, bus, None)
    app = make_app(running, shell, title="Lienthong intake", dev_actor=True)
    app.include_commands(routes)
    app.include_router(intake_pages.router(intake.database, shell, figure))
    return app


def routing_app(routing: Routing) -> FastAPI:
    """Routing as its main constructs it."""
    bus = Bus(routing_handlers.hearer(routing.calendars), routing.database, NO_BROKER)
    shell = Pages(_templates("routing"), "/routing", NAV)
    app = make_app(Running("routing", routing.database, bus, None), shell, title="Lienthong routing", dev_actor=True)
    app.include_router(routing_api.router(routing.database, routing.calendars))
    return app


def _templates(service: str) -> Path:
    return REPOSITORY / "services" / service / "templates"


class Desk:
    """Somebody at a counter: sends commands in his own name, each under an id of its own."""

    def __init__(self, client: httpx.AsyncClient, actor: Actor) -> None:
        self.client = client
        self.actor = actor

    async def gets(self, path: str, **parameters: Any) -> httpx.Response:
        return await self.client.get(path, params=parameters, headers=dev_actor(self.actor))

    async def posts(self, path: str, body: object = None, *, key: str | None = None) -> httpx.Response:
        return await self.client.post(path, json=body, headers=dev_actor(self.actor) | command_id(key))

    async def puts(self, path: str, body: object) -> httpx.Response:
        return await self.client.put(path, json=body, headers=dev_actor(self.actor))


@asynccontextmanager
async def at_counter(app: FastAPI, actor: Actor) -> AsyncIterator[Desk]:
    """A counter of a service."""
    async with asking(app) as client:
        yield Desk(client, actor)


class Cable:
    """What lies between a service and its database; the test cuts and mends it."""

    def __init__(self, url: str) -> None:
        self._there = urlsplit(url)
        self._server: asyncio.Server | None = None
        self._ends: set[asyncio.StreamWriter] = set()
        self._port = 0

    @property
    def url(self) -> str:
        """The database's address through this cable."""
        user = f"{self._there.username}:{self._there.password}"
        return urlunsplit(self._there._replace(netloc=f"{user}@127.0.0.1:{self._port}"))

    async def mend(self) -> None:
        """Connections go through (again)."""
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def cut(self) -> None:
        """What is connected breaks, and nobody can connect."""
        assert self._server is not None
        self._server.close()
        for end in list(self._ends):
            end.transport.abort()
        await self._server.wait_closed()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection(self._there.hostname, self._there.port)
        ends = {writer, there_writer}
        self._ends |= ends
        try:
            await asyncio.gather(_pump(reader, there_writer), _pump(there_reader, writer))
        finally:
            self._ends -= ends
            for end in ends:
                end.close()
                with contextlib.suppress(OSError):
                    await end.wait_closed()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
