"""The door as an ASGI application: which prefix leads where, and the few addresses that are its own."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any, Final

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from deploy.door import problems
from deploy.door.addresses import COMMANDS, PREFIXES, SERVICES, VISITORS, StartedBy
from deploy.door.connection import UpstreamError
from deploy.door.crossing import Crossing
from deploy.door.documents import Documents
from deploy.door.upstream import Upstream
from deploy.site import BUILT
from shared.http.health import LoopLag, health_router
from shared.http.language import answering, asked_of
from shared.http.pages import Pages
from shared.http.problems import answer, say_problems
from shared.service import NAV
from shared.version import release

READY_SECONDS: Final = 3.0
"""A service that needs longer to say that it is ready is not."""


class Door:
    """Passes requests on by the first segment of their path; answers the rest itself."""

    def __init__(
        self, upstreams: Mapping[str, Upstream], banner: tuple[str, str] | None = None, started_by: StartedBy = ""
    ) -> None:
        self._upstreams = {prefix: upstreams[name] for prefix, name in PREFIXES.items() if name in upstreams}
        self._own = _own_addresses(upstreams, banner, COMMANDS[started_by])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._own(scope, receive, send)
            return
        upstream = self._upstreams.get(scope["path"][1:].partition("/")[0])
        if upstream is None:
            await self._own(scope, receive, _dated(send))
            return
        crossing = Crossing(upstream, scope, receive, send)
        try:
            await crossing.run()
        except UpstreamError as error:
            with answering(asked_of(scope)):
                refusal = answer({**scope, "app": self._own}, problems.of_upstream(upstream.name, error))
            if crossing.refused_unread:
                refusal.headers["connection"] = "close"
            await refusal(scope, receive, _dated(send))


def _own_addresses(
    upstreams: Mapping[str, Upstream], banner: tuple[str, str] | None, commands: Sequence[str]
) -> FastAPI:
    """The front page, health, and what is said of an address that leads nowhere."""
    lag = LoopLag()

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        async with lag.measured():
            yield
        for upstream in upstreams.values():
            upstream.close()

    async def not_ready() -> list[str]:
        states = await _states([upstreams[name] for name in SERVICES])
        return [f"{name}_{state}" for name, state in states.items() if state != "ready"]

    app = FastAPI(
        title="Lienthong",
        version=release(),
        openapi_url="/door/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=living,
    )
    say_problems(app)
    pages = Pages(Path(__file__).with_name("templates"), "/door", NAV, banner=banner)
    pages.serve(app)
    app.include_router(health_router(not_ready, lag))
    documents = Documents(BUILT)
    app.mount("/docs", documents, name="documents")

    @app.get("/", include_in_schema=False)
    async def landing() -> Response:
        states, figures = await asyncio.gather(_states(upstreams.values()), _figures(upstreams["reporting"]))
        visitors = [visitor.leading_to(upstreams, has_documents=documents.are_there) for visitor in VISITORS]
        return pages.page("landing.html", visitors=visitors, commands=commands, states=states, figures=figures)

    @app.exception_handler(404)
    async def unknown(request: Request, _: Exception) -> Response:
        return answer(request.scope, problems.UNKNOWN_ADDRESS)

    return app


async def _figures(reporting: Upstream) -> dict[str, Any] | None:
    """How many dossiers are where, as reporting tells everybody; None when it does not."""
    try:
        async with asyncio.timeout(READY_SECONDS):
            status, body = await reporting.ask("/reporting/now")
        totals = json.loads(body)["totals"] if status == 200 else None
    except (TimeoutError, UpstreamError, ValueError, KeyError, TypeError):
        return None
    return totals if isinstance(totals, dict) else None


async def _states(upstreams: Iterable[Upstream]) -> dict[str, str]:
    """What each says of itself, by name: ready, not_ready, late or away."""
    asked = list(upstreams)
    states = await asyncio.gather(*map(_state, asked))
    return {upstream.name: state for upstream, state in zip(asked, states, strict=True)}


async def _state(upstream: Upstream) -> str:
    try:
        async with asyncio.timeout(READY_SECONDS):
            status, _ = await upstream.ask("/health/ready")
    except TimeoutError:
        return "late"
    except UpstreamError:
        return "away"
    return "ready" if status == 200 else "not_ready"


def _dated(send: Send) -> Send:
    """Adds Date (RFC 9110 6.6.1) to an answer of our own; those of the services bring theirs."""

    async def send_dated(message: Message) -> None:
        if message["type"] == "http.response.start":
            MutableHeaders(scope=message)["date"] = format_datetime(datetime.now(UTC), usegmt=True)
        await send(message)

    return send_dated
