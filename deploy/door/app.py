"""The door as an ASGI application: which prefix leads where, and the few pages that are its own."""

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from deploy.door import problems
from deploy.door.addresses import COMMANDS, LANDING, SERVICES
from deploy.door.crossing import Crossing
from deploy.door.problems import Problem
from deploy.door.upstream import Upstream, UpstreamError

READY_SECONDS: Final = 3.0
"""A service that needs longer to say that it is ready is not."""

PAGE_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


class Door:
    """Passes requests on by their first path segment; answers the rest itself."""

    def __init__(self, upstreams: Mapping[str, Upstream]) -> None:
        self._upstreams = upstreams
        self._pages = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined
        )
        self._own = Starlette(
            routes=[
                Route("/", self._landing),
                Route("/health/live", _live),
                Route("/health/ready", self._ready),
            ],
            exception_handlers={404: self._unknown},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        upstream = self._upstreams.get(scope["path"].split("/", 2)[1]) if _has_segment(scope) else None
        if upstream is None:
            await self._own(scope, receive, send)
            return
        crossing = Crossing(upstream, scope, receive, send)
        try:
            await crossing.run()
        except UpstreamError as error:
            answer = self._answer(Request(scope), problems.of_upstream(upstream.name, error))
            if crossing.refused_unread:
                answer.headers["connection"] = "close"
            await answer(scope, receive, send)

    async def _landing(self, _request: Request) -> Response:
        states = await self._states(self._upstreams)
        page = self._pages.get_template("landing.html").render(groups=LANDING, commands=COMMANDS, states=states)
        return _page(page)

    async def _ready(self, _request: Request) -> Response:
        states = await self._states(SERVICES)
        if all(state == "ready" for state in states.values()):
            return JSONResponse({"status": "ready", "services": states}, headers=_dated())
        return _problem_json(problems.not_ready(states))

    async def _unknown(self, request: Request, _error: Exception) -> Response:
        return self._answer(request, problems.unknown_address())

    def _answer(self, request: Request, problem: Problem) -> Response:
        if not prefers_html(request.headers.get("accept", "")):
            return _problem_json(problem)
        page = self._pages.get_template("problem.html").render(problem=problem)
        return _page(page, problem)

    async def _states(self, names: Mapping[str, Upstream] | tuple[str, ...]) -> dict[str, str]:
        """What each says of itself: ready, not ready, or away."""
        states = await asyncio.gather(*(_state(self._upstreams[name]) for name in names))
        return dict(zip(names, states, strict=True))


def prefers_html(accept: str) -> bool:
    """Whether an Accept field (RFC 9110 12.5.1) names HTML, and JSON not before it: a browser, not a program."""
    weights: dict[str, float] = {}
    for entry in accept.split(","):
        media, _, parameters = entry.partition(";")
        weight = 1.0
        for parameter in parameters.split(";"):
            name, _, value = parameter.partition("=")
            if name.strip().lower() == "q":
                try:
                    weight = float(value)
                except ValueError:
                    weight = 0.0
        weights[media.strip().lower()] = weight
    html = max(weights.get("text/html", 0.0), weights.get("application/xhtml+xml", 0.0))
    json = max(weights.get("application/json", 0.0), weights.get("application/problem+json", 0.0))
    return html > 0 and html >= json


def _has_segment(scope: Scope) -> bool:
    path: str = scope.get("path", "")
    return scope["type"] == "http" and path.startswith("/")


async def _state(upstream: Upstream) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            status, _ = await upstream.ask("/health/ready")
    except TimeoutError:
        return "late"
    except UpstreamError:
        return "away"
    return "ready" if status == 200 else "not ready"


async def _live(_request: Request) -> Response:
    return JSONResponse({"status": "live"}, headers=_dated())


def _dated() -> dict[str, str]:
    # The server adds no Date, because the upstream's own passes through (RFC 9110 6.6.1).
    return {"date": format_datetime(datetime.now(UTC), usegmt=True), "cache-control": "no-store"}


def _retry(problem: Problem) -> dict[str, str]:
    return {} if problem.retry_after is None else {"retry-after": str(problem.retry_after)}


def _problem_json(problem: Problem) -> Response:
    return Response(
        problem.as_json(),
        problem.status,
        headers={**_dated(), **_retry(problem), "content-type": "application/problem+json"},
    )


def _page(html: str, problem: Problem | None = None) -> Response:
    headers = _dated() | {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": PAGE_POLICY,
        "x-content-type-options": "nosniff",
        "referrer-policy": "same-origin",
    }
    if problem is None:
        return Response(html, headers=headers)
    return Response(html, problem.status, headers=headers | _retry(problem))
