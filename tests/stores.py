"""A service's store on real PostgreSQL, empty for every test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from deploy.launcher import postgres
from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.migrate import migrate_all
from shared.store import Database, connect, open_pool

_TABLES = """
SELECT string_agg(format('%I', tablename), ', ') FROM pg_tables
 WHERE schemaname = 'public' AND tablename NOT IN ('migration', 'route')
"""

_OWN_ROUTES: Final = {
    "intake": "DELETE FROM route",
    "routing": "DELETE FROM route WHERE code NOT IN ('commune', 'two_level') OR version > 1",
}
"""Routing's first routes come with its schema; all others are somebody's test's."""


@asynccontextmanager
async def databases(layout: Layout, suffix: str) -> AsyncIterator[Databases]:
    """Four migrated databases of our own, dropped at the end."""
    await postgres.drop_databases(layout, suffix)
    made = await postgres.make_databases(layout, suffix=suffix)
    await migrate_all(made.owner)
    try:
        yield made
    finally:
        await postgres.drop_databases(layout, suffix)


@asynccontextmanager
async def store(made: Databases, service: str) -> AsyncIterator[Database]:
    """A service's database through its login, emptied first."""
    owner = await connect(made.owner[service], name="tests")
    try:
        tables = await owner.fetchval(_TABLES)
        await owner.execute(f"TRUNCATE {tables}")
        if service in _OWN_ROUTES:
            await owner.execute(_OWN_ROUTES[service])
    finally:
        await owner.close()
    pool = await open_pool(made.login[service], name=f"tests {service}", smallest=1, largest=8)
    try:
        yield Database(pool)
    finally:
        await pool.close()
