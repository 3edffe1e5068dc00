"""Notification, constructed: settings, telemetry, store, bus, api, in this order and nowhere else."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

from services.notification import api, handlers, store
from services.notification.gateway import Letters, Mail
from services.notification.loops import Sender
from services.notification.settings import Settings
from shared import telemetry
from shared.bus import Bus, Cadence
from shared.http.pages import Pages
from shared.outbox import Relay
from shared.seal import Keyring, Register
from shared.service import NAV, Running, make_app, serve
from shared.settings import read
from shared.store import Database, open_pool
from shared.topics import Service


async def main() -> None:
    """Run notification until SIGTERM."""
    settings = read(Settings)
    telemetry.start_logging("notification", settings.log_level)
    telemetry.start("notification", settings.otel_exporter_otlp_endpoint, sampled=settings.traces_sampled)
    url = str(settings.database_url_notification)
    database = Database(await open_pool(url, name="notification"))
    bus = Bus(handlers.hearer(), database, settings.kafka_bootstrap_servers, settings.lanes, settings.slot)
    cadence = Cadence(settings.tally_seconds, settings.tally_rotation_seconds)
    relay = Relay(Service.NOTIFICATION, url, settings.kafka_bootstrap_servers, database.committed)
    templates = Path(__file__).parent / "templates"
    sender = Sender(
        database,
        Keyring.load(settings.seal_keys, "notification", Register(settings.erasure_register)),
        Letters(templates, settings.mail_from, str(settings.public_url) if settings.public_url else None),
        Mail(settings.smtp_host, settings.smtp_port, settings.mail_from, settings.smtp_timeout),
        # Half as long again as the longest sending: time to record what came of it.
        lease=timedelta(seconds=settings.smtp_timeout * 1.5),
        at_once=settings.smtp_connections,
    )

    async def more() -> dict[str, Any]:
        async with database.connection() as connection:
            depth = await store.notice_depth(connection)
        return {
            "notices": {
                "waiting": depth.waiting,
                "oldest_waiting_seconds": round(depth.oldest_seconds, 3),
                "failed": depth.failed,
            },
            "provider": {"reachable": sender.reachable, "away_because": sender.away_because},
        }

    running = Running("notification", database, bus, relay, loops={"sender": sender.run}, more=more, cadence=cadence)
    shell = Pages(templates, "/notification", NAV, banner=settings.banner)
    app = make_app(running, shell, title="Lienthong notification", dev_actor=settings.dev_actor)
    app.include_router(api.router(database))
    await serve(app, running, host=settings.http_host, port=settings.http_port)
