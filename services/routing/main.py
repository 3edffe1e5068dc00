"""Routing, constructed: settings, telemetry, store, bus, api, in this order and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from services.routing import api, handlers, loops, store
from services.routing.handlers import Calendars
from services.routing.settings import Settings
from shared import telemetry
from shared.bus import Bus, Cadence
from shared.http.pages import Pages
from shared.outbox import Relay
from shared.service import NAV, Running, make_app, serve
from shared.settings import read
from shared.store import Database, open_pool
from shared.topics import Service


async def main() -> None:
    """Run routing until SIGTERM."""
    settings = read(Settings)
    telemetry.start_logging("routing", settings.log_level)
    telemetry.start("routing", settings.otel_exporter_otlp_endpoint, sampled=settings.traces_sampled)
    url = str(settings.database_url_routing)
    database = Database(await open_pool(url, name="routing"))
    calendars = Calendars()
    bus = Bus(handlers.hearer(calendars), database, settings.kafka_bootstrap_servers, settings.lanes, settings.slot)
    cadence = Cadence(settings.tally_seconds, settings.tally_rotation_seconds)
    relay = Relay(Service.ROUTING, url, settings.kafka_bootstrap_servers, database.committed)
    clock = loops.Clock()

    async def more() -> dict[str, Any]:
        async with database.connection() as connection:
            depth = await store.timer_depth(connection)
        return {
            "timers": {
                "waiting": depth.timers,
                "next": depth.next_at.isoformat() if depth.next_at else None,
                "overdue": depth.overdue,
                "late_seconds": round(depth.late_seconds, 3),
                "clock_stepped": clock.stopped,
            }
        }

    running = Running(
        "routing",
        database,
        bus,
        relay,
        loops={"timers": lambda: loops.timers(database, calendars, clock)},
        more=more,
        cadence=cadence,
    )
    pages = Pages(Path(__file__).parent / "templates", "/routing", NAV, banner=settings.banner)
    app = make_app(running, pages, title="Lienthong routing", dev_actor=settings.dev_actor)
    app.include_router(api.router(database, calendars))
    await serve(app, running, host=settings.http_host, port=settings.http_port)
