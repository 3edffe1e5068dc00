"""Intake, constructed: settings, telemetry, store, bus, api, in this order and nowhere else."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from services.intake import api, handlers, pages
from services.intake.handlers import erasure, reception
from services.intake.handlers.known import Kept
from services.intake.handlers.reception import Asked, KeyReused, Received
from services.intake.settings import Settings
from services.intake.values import NotAccepted
from shared import telemetry
from shared.bus import Bus, Cadence
from shared.http.pages import Pages
from shared.outbox import Relay
from shared.seal import Keyring, Register
from shared.service import NAV, Running, make_app, serve
from shared.settings import read
from shared.store import Database, Together, open_pool
from shared.topics import Service


async def main() -> None:
    """Run intake until SIGTERM."""
    settings = read(Settings)
    telemetry.start_logging("intake", settings.log_level)
    telemetry.start("intake", settings.otel_exporter_otlp_endpoint, sampled=settings.traces_sampled)
    url = str(settings.database_url_intake)
    database = Database(await open_pool(url, name="intake"))
    register = Register(settings.erasure_register)
    keyring = Keyring.load(settings.seal_keys, "intake", register)
    kept = Kept()
    bus = Bus(handlers.hearer(), database, settings.kafka_bootstrap_servers, settings.lanes, settings.slot)
    cadence = Cadence(settings.tally_seconds, settings.tally_rotation_seconds)
    relay = Relay(Service.INTAKE, url, settings.kafka_bootstrap_servers, database.committed)

    async def receive(asked: Sequence[Asked]) -> Sequence[Received | NotAccepted | KeyReused]:
        return await reception.receive(database, keyring, kept, asked)

    door = Together(receive, at_once=2)
    running = Running(
        "intake",
        database,
        bus,
        relay,
        loops={"door": door.run, "erasures": partial(erasure.agree_at_start, database, register)},
        cadence=cadence,
    )
    shell = Pages(Path(__file__).parent / "templates", "/intake", NAV, banner=settings.banner)
    routes = api.router(database, keyring, register, door, settings.figure)
    app = make_app(running, shell, title="Lienthong intake", dev_actor=settings.dev_actor)
    app.include_commands(routes)
    app.include_router(pages.router(database, shell, settings.figure))
    await serve(app, running, host=settings.http_host, port=settings.http_port)
