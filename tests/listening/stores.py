"""Databases with nothing in them but journal, bus and what a listener writes down; and speaking in one of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from deploy.launcher import postgres
from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from shared import bus, journal
from shared.events import Event
from shared.journal import Saying
from shared.store import Database, Migrations, connect, migrate, open_pool
from shared.topics import Service
from tests.telling import MORNING

MIGRATIONS: Final = Migrations("tests", Path(__file__).parent / "tables")

_TABLES: Final = (
    "SELECT string_agg(tablename, ', ') FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migration'"
)


@asynccontextmanager
async def listening(layout: Layout, suffix: str) -> AsyncIterator[Databases]:
    """Four databases of our own, dropped at the end."""
    await postgres.drop_databases(layout, suffix)
    made = await postgres.make_databases(layout, suffix=suffix)
    for url in made.owner.values():
        owner = await connect(url, name="tests")
        try:
            await migrate(owner, [journal.MIGRATIONS, bus.MIGRATIONS, MIGRATIONS])
        finally:
            await owner.close()
    try:
        yield made
    finally:
        await postgres.drop_databases(layout, suffix)


@asynccontextmanager
async def emptied(made: Databases, service: str) -> AsyncIterator[Database]:
    """A service's database through its login, emptied first."""
    owner = await connect(made.owner[service], name="tests")
    try:
        await owner.execute(f"TRUNCATE {await owner.fetchval(_TABLES)} RESTART IDENTITY")
    finally:
        await owner.close()
    pool = await open_pool(made.login[service], name=f"tests {service}", smallest=1, largest=16)
    try:
        yield Database(pool)
    finally:
        await pool.close()


async def speak(database: Database, service: Service, said: Sequence[tuple[str, Event]]) -> None:
    """Announce events of subjects in one transaction, as a handler does."""
    async with database.transaction() as tx:
        locked = await journal.lock(tx, {subject for subject, _ in said})
        await journal.announce(tx, service, locked, [Saying(subject, event, MORNING) for subject, event in said])
