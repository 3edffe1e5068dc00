"""The receiver over HTTP: OTLP comes in at `/v1/…`; operators ask at `/telemetry/…` for what is kept."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Literal

from fastapi import Depends, FastAPI, Query
from fastapi import Path as InPath
from starlette.requests import Request
from starlette.responses import Response

from deploy.receiver.shelf import Shelf
from deploy.receiver.taking import Taking
from shared.access import Action, Actor
from shared.http.actor import actor_of, believe_dev_actors, demand
from shared.http.health import LoopLag, health_router
from shared.http.problems import RESPONSES, Problem, RefusedError, say_problems
from shared.version import release

Operator = Annotated[Actor, Depends(actor_of)]
Count = Annotated[int, Query(ge=1, le=500)]
TraceId = Annotated[str, InPath(pattern="^[0-9a-f]{32}$")]
Stream = Annotated[str, InPath(min_length=1, max_length=200)]

_TIDY_EVERY: Final = 60.0
_SEVERITIES: Final = {"info": 9, "warning": 13, "error": 17, "critical": 21}
_LINES_OF_TRACE: Final = 200


def make_app(traces: Shelf, metrics: Shelf, logs: Shelf, *, dev_actor: bool) -> FastAPI:
    """The web application over three open shelves."""
    lag = LoopLag()
    shelves = {"traces": traces, "metrics": metrics, "logs": logs}

    @asynccontextmanager
    async def living(_: FastAPI) -> AsyncIterator[None]:
        tidying = asyncio.create_task(_tidy(list(shelves.values())), name="tidy")
        async with lag.measured():
            yield
        tidying.cancel()
        await asyncio.gather(tidying, return_exceptions=True)

    app = FastAPI(
        title="Lienthong telemetry",
        version=release(),
        openapi_url="/telemetry/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        lifespan=living,
    )
    say_problems(app)
    believe_dev_actors(app, enabled=dev_actor)

    async def reasons() -> list[str]:
        # A full disk is no reason: it is taken and dropped, and the services have nothing to wait for.
        return []

    health = health_router(reasons, lag)
    app.include_router(health)
    app.include_router(health, prefix="/telemetry")
    _add_taking(app, Taking.onto(traces, metrics, logs))
    _add_traces(app, traces)
    _add_others(app, shelves)
    return app


def _add_taking(app: FastAPI, taking: Taking) -> None:
    @app.post("/v1/traces", include_in_schema=False)
    async def spans(request: Request) -> Response:
        return await taking.spans(request)

    @app.post("/v1/metrics", include_in_schema=False)
    async def points(request: Request) -> Response:
        return await taking.points(request)

    @app.post("/v1/logs", include_in_schema=False)
    async def lines(request: Request) -> Response:
        return await taking.lines(request)


def _add_traces(app: FastAPI, traces: Shelf) -> None:
    def of_stream(stream: str, reads: bool, count: int) -> dict[str, Any]:
        found = traces.ask("traces_of", stream=stream, reads=reads, count=count)
        looked = traces.ask("reads_of", stream=stream)[0]["count(*)"]
        return {
            "stream": stream,
            "reads": looked,
            "traces": [_trace(traces, row["id"]) for row in reversed(found)],
        }

    @app.get("/telemetry/streams/{stream}")
    async def get_stream(who: Operator, stream: Stream, reads: bool = False, count: Count = 200) -> dict[str, Any]:
        """The traces of a stream (a dossier's id), oldest first, each with all its spans; at most the newest 500.

        ``reads`` in the answer counts the traces that were mere looks (GET); they come along when asked for.
        """
        demand(who, Action.OPERATE, None)
        return await asyncio.to_thread(of_stream, stream, reads, count)

    @app.get("/telemetry/traces")
    async def get_traces(
        who: Operator,
        order: Literal["recent", "slowest"] = "recent",
        hours: Annotated[float, Query(gt=0, le=24 * 366)] = 24.0,
        count: Count = 20,
    ) -> dict[str, Any]:
        """Traces of commands in short: the newest, or those whose last effect was longest in coming."""
        demand(who, Action.OPERATE, None)
        since = time.time_ns() - int(hours * 3600e9)
        return {"traces": await asyncio.to_thread(traces.ask, order, since=since, count=count)}

    @app.get("/telemetry/traces/{trace}")
    async def get_trace(who: Operator, trace: TraceId) -> dict[str, Any]:
        """One trace with all its spans."""
        demand(who, Action.OPERATE, None)
        found = await asyncio.to_thread(_trace, traces, trace)
        if not found["spans"]:
            raise RefusedError(
                Problem(
                    404,
                    "unknown-trace",
                    "No such trace",
                    "no span of it is kept here",
                    "look at its age: the oldest traces go first",
                )
            )
        return found


def _add_others(app: FastAPI, shelves: dict[str, Shelf]) -> None:
    logs, metrics = shelves["logs"], shelves["metrics"]

    @app.get("/telemetry/logs")
    async def get_logs(
        who: Operator,
        trace: Annotated[str | None, Query(pattern="^[0-9a-f]{32}$")] = None,
        level: Literal["info", "warning", "error", "critical"] = "info",
        count: Count = 100,
    ) -> dict[str, Any]:
        """Log events: of a trace, in order; or the newest of a level and above."""
        demand(who, Action.OPERATE, None)
        if trace is not None:
            found = await asyncio.to_thread(logs.ask, "lines_of", trace=trace, count=min(count, _LINES_OF_TRACE))
        else:
            found = await asyncio.to_thread(logs.ask, "newest_lines", severity=_SEVERITIES[level], count=count)
        return {"lines": [_opened(row) for row in found]}

    @app.get("/telemetry/metrics")
    async def get_metrics(who: Operator) -> dict[str, Any]:
        """Of every series the newest point: for a histogram ``value`` is the sum and ``count`` how many."""
        demand(who, Action.OPERATE, None)
        return {"points": [_opened(row) for row in await asyncio.to_thread(metrics.ask, "newest_points")]}

    @app.get("/telemetry/metrics/{name}")
    async def get_course(
        who: Operator,
        name: Annotated[str, InPath(max_length=300)],
        minutes: Annotated[float, Query(gt=0, le=60 * 24 * 366)] = 60.0,
        count: Annotated[int, Query(ge=1, le=10_000)] = 5000,
    ) -> dict[str, Any]:
        """A figure's course, oldest point first."""
        demand(who, Action.OPERATE, None)
        since = time.time_ns() - int(minutes * 60e9)
        found = await asyncio.to_thread(metrics.ask, "points_of", name=name, since=since, count=count)
        return {"points": [_opened(row) for row in found]}

    @app.get("/telemetry/status")
    async def get_status() -> dict[str, Any]:
        """How full each shelf is, and what was dropped since the start, and why it is dropping now."""
        return {name: await asyncio.to_thread(shelf.status) for name, shelf in shelves.items()}


def _trace(traces: Shelf, trace: str) -> dict[str, Any]:
    return {"trace": trace, "spans": [_opened(row) for row in traces.ask("spans_of", trace=trace)]}


def _opened(row: dict[str, Any]) -> dict[str, Any]:
    """A row with its JSON texts opened."""
    return {
        name: json.loads(value) if name in {"attributes", "links"} else value
        for name, value in row.items()
        if not (name == "trace" and "links" in row)
    }


async def _tidy(shelves: list[Shelf]) -> None:
    while True:
        for shelf in shelves:
            await asyncio.to_thread(shelf.tidy)
        await asyncio.sleep(_TIDY_EVERY)
