"""Reporting, constructed: settings, telemetry, store, bus, api, in this order and nowhere else."""

from __future__ import annotations

import asyncio
from pathlib import Path

from services.reporting import api, handlers, loops, pages
from services.reporting.settings import Settings
from shared import telemetry
from shared.bus import Bus, Cadence
from shared.http.pages import Pages
from shared.service import NAV, Running, make_app, serve
from shared.settings import read
from shared.store import Database, open_pool


async def main() -> None:
    """Run reporting until SIGTERM."""
    settings = read(Settings)
    telemetry.start_logging("reporting", settings.log_level)
    telemetry.start("reporting", settings.otel_exporter_otlp_endpoint, sampled=settings.traces_sampled)
    database = Database(await open_pool(str(settings.database_url_reporting), name="reporting"))
    bus = Bus(handlers.hearer(), database, settings.kafka_bootstrap_servers, settings.lanes, settings.slot)
    cadence = Cadence(settings.tally_seconds, settings.tally_rotation_seconds)
    stopping = asyncio.Event()
    watch = handlers.Watch(database, stopping)
    running = Running(
        "reporting",
        database,
        bus,
        relay=None,  # the river ends here: there is nothing to relay
        loops={"merging": lambda: loops.merge_parts(database), "watching": watch.run},
        stopping=stopping,
        cadence=cadence,
    )
    shell = Pages(Path(__file__).parent / "templates", "/reporting", NAV, banner=settings.banner)
    app = make_app(running, shell, title="Lienthong reporting", dev_actor=settings.dev_actor)
    app.include_router(pages.router(database, shell, watch))
    app.include_router(api.router(database))
    await serve(app, running, host=settings.http_host, port=settings.http_port)
