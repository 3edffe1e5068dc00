"""Reporting's pages for people: what is where now, the dossiers behind each figure, and a dossier's timeline."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, HTMLResponse

from services.reporting import handlers
from services.reporting.values import Standing, Status, Wanted
from shared.access import DEV_ACTOR_HEADER, Action, Actor, dev_actor
from shared.http.actor import actor_of, demand
from shared.http.pages import Pages
from shared.store import Database

_HERE: Final = "/reporting/"
_LATEST: Final = 10
_PAGE: Final = 30
_REFRESH_SECONDS: Final = 20
_STREAM_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_DEV_READER: Final = "id=browser; roles=inspector"

Word = Annotated[str, Query(max_length=120)]


def reader_of(request: Request) -> Actor:
    """A FastAPI dependency: who reads. RefusedError (401) when nobody vouches for anybody.

    A browser cannot send the development header. Where that header is believed, whoever sits at this machine may call
    himself an inspector anyway, so a page that takes him for one gives nothing away; elsewhere it asks for a sign-in.
    """
    if DEV_ACTOR_HEADER not in request.headers:
        peer = request.client.host if request.client else None
        reader = dev_actor(_DEV_READER, peer, enabled=getattr(request.app.state, "dev_actor", False))
        if isinstance(reader, Actor):
            return reader
    return actor_of(request)


ReaderHere = Annotated[Actor, Depends(reader_of)]


def router(database: Database, shell: Pages) -> APIRouter:
    """Pages under /reporting. The first one is open to everybody: it counts, it names nobody."""
    routes = APIRouter(prefix="/reporting", include_in_schema=False)

    @routes.get("")
    @routes.get("/")
    async def now(still: bool = False) -> HTMLResponse:
        return shell.page(
            "now.html",
            here=_HERE,
            now=await handlers.look(database, latest=_LATEST),
            refresh=None if still else _REFRESH_SECONDS,
        )

    @routes.get("/reporting.css")
    async def style() -> FileResponse:
        return FileResponse(Path(__file__).parent / "static" / "reporting.css", media_type="text/css")

    @routes.get("/dossiers/page")
    async def dossiers(
        who: ReaderHere,
        q: Word = "",
        unit: Word = "",
        stage: Word = "",
        status: Literal["", "2", "4", "5", "6", "7", "9", "10"] = "",
        standing: Literal["", "on_time", "near", "late", "paused", "done", "withdrawn", "open", "done_today"] = "",
        late: Literal["", "true", "false"] = "",
        origin: Word = "",
        skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
    ) -> HTMLResponse:
        demand(who, Action.READ_REPORT, None)
        wanted = Wanted(
            origin=origin or None,
            unit=unit or None,
            stage=stage or None,
            status=Status(int(status)) if status else None,
            standing=Standing(standing) if standing in set(Standing) else None,
            is_open=standing == "open",
            late=late == "true" if late else None,
            code=q.strip() or None,
            done_today=standing == "done_today",
        )
        chosen = {
            "q": q,
            "unit": unit,
            "stage": stage,
            "status": status,
            "standing": standing,
            "late": late,
            "origin": origin,
        }
        kept = {name: value for name, value in chosen.items() if value}
        return shell.page(
            "dossiers.html",
            here=_HERE,
            found=await handlers.find(database, wanted, skip, _PAGE),
            units=await handlers.unit_names(database),
            chosen=chosen,
            skip=skip,
            page=_PAGE,
            at=lambda place: f"/reporting/dossiers/page?{urlencode({**kept, 'skip': place})}",
        )

    @routes.get("/dossiers/{dossier}")
    async def dossier(who: ReaderHere, dossier: str) -> HTMLResponse:
        demand(who, Action.READ_REPORT, None)
        told = await handlers.tell(database, dossier) if _STREAM_ID.fullmatch(dossier) else None
        if told is None:
            return shell.page("unknown.html", here=_HERE, status=404)
        return shell.page("dossier.html", here=_HERE, told=told)

    return routes
