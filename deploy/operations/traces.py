"""`/traces/`: find a dossier, read its journey, and look at each command's waterfall."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Annotated, Any, Final, Literal, TypeVar

from fastapi import FastAPI, Query, Request
from starlette.responses import RedirectResponse, Response

from deploy.journey import asking
from deploy.journey.asking import Away, Journey, NoSpans, Nothing, Unknown
from deploy.journey.walks import Walk
from deploy.launcher.errors import LaunchError
from deploy.operations.guard import Guard
from deploy.operations.neighbours import Neighbours
from deploy.operations.waterfall import lines
from deploy.speaking import Actor, Refusal
from shared.http.pages import Pages
from shared.http.problems import Problem, RefusedError

T = TypeVar("T")

_SHOWN: Final = 50
_STATUS: Final = {Unknown: 404, NoSpans: 404, Away: 503}


def add_traces(app: FastAPI, pages: Pages, neighbours: Neighbours, guard: Guard) -> None:
    """The routes below `/traces`."""

    @app.get("/traces", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/traces/", 308)

    @app.get("/traces/", include_in_schema=False)
    async def find(
        request: Request,
        q: Annotated[str, Query(max_length=200)] = "",
        hours: Literal["1", "24", "168", "2160"] = "24",
        reads: bool = False,
    ) -> Response:
        who = guard.operator_of(request)
        given = q.strip()
        if asking.is_trace(given.lower()):
            return RedirectResponse(f"/traces/{given.lower()}", 303)
        if given:
            found = await _journey(neighbours, who, given, reads=reads)
            if isinstance(found, Journey):
                return pages.page("journey.html", here="/traces/", q=given, journey=found, lines=lines)
            nothing: Nothing | None = found
        else:
            nothing = None
        short = await _short(neighbours, who, float(hours))
        if isinstance(short, Away):
            nothing, short = nothing or short, {"recent": [], "slowest": []}
        return pages.page(
            "find.html",
            here="/traces/",
            status=_STATUS[type(nothing)] if nothing else 200,
            q=given,
            hours=hours,
            nothing=nothing,
            kind=type(nothing).__name__ if nothing else None,
            short=short,
        )

    @app.get("/traces/{trace}", include_in_schema=False)
    async def one(request: Request, trace: str) -> Response:
        who = guard.operator_of(request)
        found = await _kept(asking.walk_by_id(neighbours.of("receiver"), who, trace.lower()))
        if not isinstance(found, Walk):
            return pages.page(
                "find.html",
                here="/traces/",
                status=_STATUS[type(found)],
                q=trace[:64],
                hours="24",
                nothing=found,
                kind=type(found).__name__,
                short={"recent": [], "slowest": []},
            )
        logged = await neighbours.of("receiver").ask(who, "GET", "/telemetry/logs", query={"trace": found.trace})
        said = () if isinstance(logged, Refusal) else logged["lines"]
        return pages.page("trace.html", here="/traces/", walk=found, logged=said, lines=lines)


async def _journey(neighbours: Neighbours, who: Actor, given: str, *, reads: bool) -> Journey | Nothing:
    stream = await _kept(asking.stream_of(neighbours.of("intake"), who, given))
    if not isinstance(stream, str):
        return stream
    return await _kept(asking.journey_of(neighbours.of("receiver"), who, stream, reads=reads, count=_SHOWN))


async def _short(neighbours: Neighbours, who: Actor, hours: float) -> dict[str, list[dict[str, Any]]] | Away:
    found = {}
    for order in ("recent", "slowest"):
        short = await _kept(asking.short_traces(neighbours.of("receiver"), who, order, hours=hours, count=15))
        if isinstance(short, Away):
            return short
        found[order] = short
    return found


async def _kept(asked: Awaitable[T]) -> T:
    """What was asked; a refusal that is no absence is passed on to whoever reads the page."""
    try:
        return await asked
    except LaunchError as error:
        raise RefusedError(Problem(502, "refused", "The answer was a refusal", str(error), "see the log")) from error
