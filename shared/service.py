"""How a service lives: its HTTP door, its ear, its relay and its loops, in one process, until SIGTERM."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import uvicorn
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig

from shared.bus import BrokerAwayError, Bus, Cadence, Control
from shared.http.actor import believe_dev_actors
from shared.http.body import CheckedBody
from shared.http.command_route import Application
from shared.http.health import LoopLag, health_router
from shared.http.pages import Link, Pages
from shared.http.problems import RESPONSES, say_problems
from shared.http.traces import Traces
from shared.operations import Operated, operations_router, status_of, tell_figures
from shared.outbox import Relay
from shared.store import Database, is_transient
from shared.version import release

log = logging.getLogger(__name__)

_GRACE: Final = 10
_FIGURES_EVERY: Final = 10.0


@dataclass(slots=True)
class Running:
    """The parts that `serve` keeps running. ``loops``: name -> what runs for ever beside hearing and relaying.

    ``cadence``: how often it is compared how much was said and heard.
    """

    service: str
    database: Database
    bus: Bus
    relay: Relay | None
    loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]] = field(default_factory=dict)
    more: Callable[[], Awaitable[dict[str, Any]]] | None = None
    lag: LoopLag = field(default_factory=LoopLag)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    """Set as soon as the process is told to end: whoever holds a stream open ends it."""
    hears: bool = False
    cadence: Cadence = field(default_factory=Cadence)
    control: Control = field(init=False)

    def __post_init__(self) -> None:
        """What looks after ear and relay."""
        self.control = Control(self.bus, self.relay, self.cadence)

    @property
    def operated(self) -> Operated:
        """The parts that operators look after."""
        return Operated(self.service, self.database, self.bus, self.relay, self.more, self.lag, self.control)

    async def not_ready(self) -> list[str]:
        """Codes of what stands against readiness."""
        reasons = []
        try:
            async with self.database.connection(within=2) as connection:
                await connection.fetchval("SELECT 1")
        except Exception:
            reasons.append("database_away")
        if not self.hears or self.bus.is_deaf:
            reasons.append("broker_away")
        if self.bus.stopped:
            reasons.append("hearing_stopped")
        return reasons


# FastAPI would tell of every request by itself: its path, which may hold a printed code, and what exceptions say.
_UNTOLD: Final[TelemetryConfig] = {"tracing": False, "metrics": False, "logs": False}

NAV: Final = (
    Link("/reporting/river", "Dòng hồ sơ", "The river"),
    Link("/reporting/", "Hồ sơ ở đâu", "What is where"),
    Link("/intake/procedures/page", "Thủ tục", "Procedures"),
)
"""The places that lie in the head of every service's pages."""


def make_app(running: Running, pages: Pages, *, title: str, dev_actor: bool) -> Application:
    """An application with the manners of the house; the service adds its own routes."""
    name = running.service
    app = Application(
        title=title,
        version=release(),
        openapi_url=f"/{name}/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
        telemetry=_UNTOLD,
    )
    say_problems(app)
    believe_dev_actors(app, enabled=dev_actor)
    app.add_middleware(CheckedBody)
    app.add_middleware(Traces, service=name)
    pages.serve(app)
    app.include_router(health_router(running.not_ready, running.lag))
    app.include_router(operations_router(running.operated))
    return app


async def serve(app: FastAPI, running: Running, *, host: str, port: int) -> None:
    """Answer HTTP at once, hear as soon as the broker is there, and stop in order at SIGTERM or SIGINT.

    A loop that ends by an unforeseen exception ends the process: the supervisor starts a new one.
    """
    server = _Door(
        uvicorn.Config(
            app,
            host=host,
            port=port,
            log_config=None,
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(running.lag.measured())
        work: dict[str, Coroutine[Any, Any, Any]] = {"http": server.serve(), "hearing": _hear(running)}
        if running.relay is not None:
            work["relay"] = running.relay.run()
        work["control"] = running.control.run()
        work["figures"] = _figures(running)
        work |= {name: make() for name, make in running.loops.items()}
        tasks = [asyncio.create_task(one, name=name) for name, one in work.items()]
        stopping = asyncio.create_task(stop.wait(), name="stop")
        spare_the_collector()
        log.info("service_started", extra={"port": port, "pid": os.getpid()})
        ended, _ = await asyncio.wait([*tasks, stopping], return_when=asyncio.FIRST_COMPLETED)
        running.stopping.set()
        server.should_exit = True
        failed = [one for one in ended if one is not stopping]
        for one in failed:
            why = one.exception() if not one.cancelled() else None
            log.critical("loop_ended", extra={"loop": one.get_name()}, exc_info=why)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await running.bus.stop()
        http = next(one for one in tasks if one.get_name() == "http")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(http), _GRACE)
        for one in (*tasks, stopping):
            one.cancel()
        await asyncio.gather(*tasks, stopping, return_exceptions=True)
        log.info("service_stopped", extra={"pid": os.getpid()})
        if failed:
            raise SystemExit(1)


def spare_the_collector() -> None:
    """Objects made at start live for ever: scanning them again and again would cost a tenth of the time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(500_000, 20, 100)


class _Door(uvicorn.Server):
    """uvicorn would take the signals for itself; here one place stops everything in order."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _figures(running: Running) -> None:
    """Tell the figures of the status as metrics, every few seconds; while the database is away there are none."""
    while True:
        await asyncio.sleep(_FIGURES_EVERY)
        try:
            tell_figures(await status_of(running.operated))
        except Exception as error:
            if not is_transient(error):
                raise


async def _hear(running: Running) -> None:
    wait, is_said = 0.2, False
    while True:
        try:
            await running.bus.start()
        except BrokerAwayError as error:
            if not is_said:
                log.warning("broker_away", extra={"error": str(error)})
            is_said = True
        else:
            break
        await asyncio.sleep(wait)
        wait = min(wait * 2, 5.0)
    running.hears = True
    await asyncio.Event().wait()
