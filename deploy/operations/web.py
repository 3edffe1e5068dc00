"""The pages: `/operations/` for the system, `/traces/` for what became of commands. Whole without JavaScript."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Final

import httpx
from fastapi import FastAPI, Form, Query, Request
from fastapi import Path as InPath
from starlette.responses import RedirectResponse, Response

from deploy.launcher.layout import SERVICES
from deploy.operations import words
from deploy.operations.guard import Guard
from deploy.operations.neighbours import Neighbours
from deploy.operations.traces import add_traces
from deploy.speaking import Actor, Refusal
from shared.http.actor import believe_dev_actors
from shared.http.body import CheckedBody
from shared.http.health import LoopLag, health_router
from shared.http.pages import Link, Pages
from shared.http.problems import RESPONSES, Problem, RefusedError, say_problems
from shared.topics import PARTITIONS
from shared.version import release

HOME: Final = Link("/operations/", "Tình trạng hệ thống", "The system")
TRACES: Final = Link("/traces/", "Vết xử lý", "Traces")

_SECONDS: Final = 10
_FORM_PATHS: Final = ("/operations/",)

ServiceName = Annotated[str, InPath(pattern=f"^({'|'.join(SERVICES)})$")]
Ident = Annotated[int, InPath(ge=1, le=2**62)]


def make_app(addresses: Mapping[str, str], guard: Guard, banner: tuple[str, str] | None = None) -> FastAPI:
    """The application; ``addresses`` of the four services and of the receiver, by name; ``banner``: see Pages."""
    lag = LoopLag()
    client = httpx.AsyncClient(timeout=httpx.Timeout(_SECONDS, connect=2), trust_env=False)
    neighbours = Neighbours(client, addresses)

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with client, lag.measured():
            yield

    app = FastAPI(
        title="Lienthong operations",
        version=release(),
        openapi_url="/operations/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        lifespan=living,
    )
    say_problems(app)
    believe_dev_actors(app, enabled=guard.enabled)
    app.add_middleware(CheckedBody, form_paths=_FORM_PATHS)
    foot = ("Dành cho người vận hành; không có dữ liệu cá nhân", "For operators; no personal data here")
    pages = Pages(Path(__file__).with_name("templates"), "/operations", (HOME, TRACES), foot, banner=banner)
    pages.add(words=words, instant=datetime.fromisoformat, shards=PARTITIONS)
    pages.serve(app)

    async def reasons() -> list[str]:
        return []

    health = health_router(reasons, lag)
    app.include_router(health)
    app.include_router(health, prefix="/operations")
    _add_system(app, pages, neighbours, guard)
    _add_letters(app, pages, neighbours, guard)
    add_traces(app, pages, neighbours, guard)
    return app


def _add_system(app: FastAPI, pages: Pages, neighbours: Neighbours, guard: Guard) -> None:
    @app.get("/operations", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/operations/", 308)

    @app.get("/operations/", include_in_schema=False)
    async def system(request: Request) -> Response:
        who = guard.operator_of(request)
        now = await neighbours.now(who)
        return pages.page("system.html", here=HOME.href, at=datetime.now(UTC), now=now, who=who.id)


def _add_letters(app: FastAPI, pages: Pages, neighbours: Neighbours, guard: Guard) -> None:
    async def shown(
        who: Actor, service: str, ident: int, *, status: int = 200, refusal: Refusal | None = None, reason: str = ""
    ) -> Response:
        letter = await neighbours.of(service).ask(who, "GET", f"/{service}/operations/dead-letters/{ident}")
        if isinstance(letter, Refusal):
            raise RefusedError(_passed_on(letter))
        return pages.page(
            "letter.html",
            status=status,
            service=service,
            letter=letter,
            refusal=refusal,
            reason=reason,
            who=who.id,
            tokens={each: guard.token(f"{each} {service} {ident}") for each in ("redrive", "void")},
        )

    @app.get("/operations/dead-letters/{service}/{ident}", include_in_schema=False)
    async def letter_page(request: Request, service: ServiceName, ident: Ident) -> Response:
        return await shown(guard.operator_of(request), service, ident)

    @app.post("/operations/dead-letters/{service}/{ident}/redrive", include_in_schema=False)
    async def redrive(
        request: Request, service: ServiceName, ident: Ident, token: Annotated[str, Form(max_length=100)] = ""
    ) -> Response:
        who = guard.operator_of(request)
        guard.check(request, f"redrive {service} {ident}", token)
        path = f"/{service}/operations/dead-letters/{ident}"
        answer = await neighbours.of(service).ask(who, "POST", f"{path}/redrive")
        if isinstance(answer, Refusal):
            return await shown(who, service, ident, status=answer.status, refusal=answer)
        return RedirectResponse(f"/operations/dead-letters/{service}/{ident}", 303)

    @app.post("/operations/dead-letters/{service}/{ident}/void", include_in_schema=False)
    async def void(
        request: Request,
        service: ServiceName,
        ident: Ident,
        token: Annotated[str, Form(max_length=100)] = "",
        reason: Annotated[str, Form(max_length=2000)] = "",
    ) -> Response:
        who = guard.operator_of(request)
        guard.check(request, f"void {service} {ident}", token)
        if not reason.strip():
            missing = Refusal(422, "no-reason", "A reason is missing", "", "say why; it is signed and kept")
            return await shown(who, service, ident, status=422, refusal=missing)
        path = f"/{service}/operations/dead-letters/{ident}"
        answer = await neighbours.of(service).ask(who, "POST", f"{path}/void", body={"reason": reason.strip()})
        if isinstance(answer, Refusal):
            return await shown(who, service, ident, status=answer.status, refusal=answer, reason=reason)
        return RedirectResponse(f"/operations/dead-letters/{service}/{ident}", 303)

    @app.get("/operations/dead-letters/{service}", include_in_schema=False)
    async def letters(
        request: Request, service: ServiceName, below: Annotated[int | None, Query(ge=1)] = None
    ) -> Response:
        who = guard.operator_of(request)
        query: dict[str, str | int] = {"closed": "true", "count": 101, **({"below": below} if below else {})}
        answer = await neighbours.of(service).ask(who, "GET", f"/{service}/operations/dead-letters", query=query)
        if isinstance(answer, Refusal):
            raise RefusedError(_passed_on(answer))
        found = answer["dead_letters"]
        older = found[99]["id"] if len(found) > 100 else None
        return pages.page("letters.html", service=service, letters=found[:100], older=older)


def _passed_on(refusal: Refusal) -> Problem:
    return Problem(refusal.status, refusal.name or "refused", refusal.title, refusal.detail or "refused", refusal.do)
