"""Routing on a real store, without a broker: what it hears, is asked for and says."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.routing import handlers, store
from services.routing.handlers import Calendars, Done, NotDone
from services.routing.values import Action, Command, Entry, Journey
from shared.access import Actor, Role
from shared.bus import hear_batch
from shared.bus.hearing import Heeded
from shared.calendar import Term, TermUnit, to_data
from shared.envelope import Heard
from shared.events import Event, ProcedurePublished
from shared.store import Database
from tests.builders import (
    REPLAY,
    TOWN,
    TOWN_PROCEDURE,
    WARD,
    WARD_PROCEDURE,
    a_dossier_id,
    a_dossier_received,
    a_unit,
    an_actor,
    heard,
    office,
)
from tests.telling import records_of

ADMINISTRATOR = an_actor(Role.ADMINISTRATOR, unit=None, ident="admin-1")
WARD_STAFF = an_actor(Role.DESK, Role.OFFICER)
TOWN_STAFF = an_actor(Role.DESK, Role.SPECIALIST, unit=TOWN, ident="town-1")
HISTORY = an_actor(Role.HISTORY, unit=None, ident="replay")


@dataclass(slots=True)
class Routing:
    """One process of routing. Another one is another of these on the same database."""

    database: Database
    calendars: Calendars = field(default_factory=Calendars)

    async def seed(self) -> None:
        """The office calendar, the town, the ward, the replay unit, and two procedures of intake's."""
        calendar = await handlers.publish_calendar(self.database, "office", to_data(office()), ADMINISTRATOR)
        assert calendar.version == 1
        for code in (TOWN, WARD, REPLAY):
            await self.publish(code)
        await self.hears(a_catalogue_entry(TOWN_PROCEDURE, "town"), a_catalogue_entry(WARD_PROCEDURE, "commune"))

    async def publish(self, code: str, **changes: Any) -> handlers.Published | handlers.NotPublished:
        """A unit, as the builders give it."""
        unit = replace(a_unit(code), **changes)
        return await handlers.publish_unit(
            self.database,
            ADMINISTRATOR,
            code=unit.code,
            name=unit.name,
            level=unit.level,
            parent=unit.parent,
            calendar=unit.calendar,
            valid_from=unit.valid_from,
            valid_to=unit.valid_to,
            head=None,
        )

    async def hears(self, *events: Heard, again: Sequence[str] = ()) -> Heeded:
        """One batch."""
        async with self.database.transaction() as tx:
            return await hear_batch(tx, handlers.hearer(self.calendars), records_of(events), again=again)

    async def receives(self, received: datetime | None = None, *, origin: str | None = None, **changes: Any) -> str:
        """A new dossier; its stream id. Now, unless it says when."""
        received = received or await self.now()
        dossier = a_dossier_id()
        event = a_dossier_received(received, **changes)
        heeded = await self.hears(heard(event, received, subject=dossier, origin=origin))
        assert heeded.heard == 1
        return dossier

    async def acts(self, *commands: Command, actor: Actor = WARD_STAFF) -> list[Done | NotDone]:
        """A bulk of commands."""
        return await handlers.act(self.database, self.calendars, actor, commands)

    async def does(self, dossier: str, *actions: Action, actor: Actor = WARD_STAFF, run: int | None = None) -> None:
        """Actions that fit, one after the other, each on the version that there is."""
        for action in actions:
            command = a_command(dossier, action, await self.version(dossier), run=run)
            (outcome,) = await self.acts(command, actor=actor)
            assert isinstance(outcome, Done), outcome

    async def fires(self, *dossiers: str) -> int:
        """Timers of some dossiers; how many deadlines were said."""
        return await handlers.fire_timers(self.database, self.calendars, dossiers)

    async def now(self) -> datetime:
        """The database's clock."""
        async with self.database.pool.acquire() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
            return now

    async def version(self, dossier: str) -> int:
        async with self.database.pool.acquire() as connection:
            return await store.version_of(connection, dossier)

    async def journey(self, dossier: str) -> Journey:
        async with self.database.pool.acquire() as connection:
            return (await store.journeys(connection, [dossier]))[dossier]

    async def ledger(self, dossier: str) -> list[Entry]:
        async with self.database.pool.acquire() as connection:
            return await store.ledger_of(connection, dossier)

    async def said(self, subject: str) -> list[str]:
        """Names of what was said of a subject, in order."""
        async with self.database.pool.acquire() as connection:
            rows = await connection.fetch("SELECT type FROM journal WHERE aggregateid = $1 ORDER BY version", subject)
            return [row["type"] for row in rows]

    async def everything(self) -> dict[str, list[tuple[object, ...]]]:
        """Every row of every table."""
        return await every_row(self.database)


async def every_row(database: Database) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table, for comparing a store with itself."""
    async with database.pool.acquire() as connection:
        tables = [
            row["tablename"]
            for row in await connection.fetch(
                "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'migration'"
            )
        ]
        return {
            table: sorted((tuple(row.values()) for row in await connection.fetch(f'TABLE "{table}"')), key=repr)
            for table in tables
        }


def a_command(
    dossier: str, action: Action, seen: int | None, ident: str | None = None, *, run: int | None = None
) -> Command:
    """A command of its own; the same id again is a repeat."""
    return Command(ident or str(uuid.uuid4()), dossier, seen, action, repr((action, run)).encode(), run=run)


def a_catalogue_entry(code: str, level: str, version: int = 1) -> Heard:
    """Intake published a procedure."""
    published = ProcedurePublished.model_validate(
        {"code": code, "name": "Thủ tục", "sector": "Hộ tịch", "term": Term(10, TermUnit.WORKING_DAY), "level": level}
    )
    return heard(published, subject=f"procedure:{code}", version=version)


def later(event: Event, dossier: str, time: datetime, version: int) -> Heard:
    """What intake says next of a dossier."""
    return heard(event, time, subject=dossier, version=version)
