"""Migrations of all four stores, run by their owner roles. The one place outside `services` that imports them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from services.intake import store as intake
from services.notification import store as notification
from services.reporting import store as reporting
from services.routing import store as routing
from shared import bus, journal
from shared.store import Migrations, connect, migrate

_OWN: Final[Mapping[str, Migrations]] = {
    "intake": intake.MIGRATIONS,
    "routing": routing.MIGRATIONS,
    "notification": notification.MIGRATIONS,
    "reporting": reporting.MIGRATIONS,
}


async def migrate_all(owner_urls: Mapping[str, str]) -> dict[str, int]:
    """Bring each store up to date; service -> migrations applied. MigrationChangedError, or PostgresError when away."""
    applied = {}
    for service, own in _OWN.items():
        applied[service] = await migrate_one(owner_urls[service], own)
    return applied


async def migrate_one(owner_url: str, own: Migrations) -> int:
    """Bring one store up to date: what every service has, then its own."""
    connection = await connect(owner_url, name="migrate")
    try:
        return await migrate(connection, [journal.MIGRATIONS, bus.MIGRATIONS, own])
    finally:
        await connection.close()
