"""Intake on a real store, without a broker: what it receives, hears and says."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from services.intake import handlers, store
from services.intake.handlers import catalogue, reception
from services.intake.handlers.catalogue import PublishedProcedure
from services.intake.handlers.door import Coming, Done, NotDone, Wish, take
from services.intake.handlers.known import Kept
from services.intake.handlers.reception import Asked, KeyReused, Received
from services.intake.values import Dossier, NotAccepted, Procedure, Submission
from shared.access import Actor, Role
from shared.bus import hear_batch
from shared.bus.hearing import Heeded
from shared.calendar import to_data
from shared.envelope import Heard
from shared.events import CalendarPublished, Event, UnitPublished
from shared.http.commands import digest_of
from shared.journal import CommandKey
from shared.seal import Keyring, Register
from shared.store import Database, Together
from tests.builders import (
    REPLAY,
    TOWN,
    WARD,
    WARD_PROCEDURE,
    a_procedure,
    a_submission,
    a_unit,
    an_actor,
    at,
    heard,
    office,
)
from tests.telling import records_of

ADMINISTRATOR = an_actor(Role.ADMINISTRATOR, unit=None, ident="admin-1")
DESK = an_actor(Role.DESK, ident="desk-1")

Outcome = Received | NotAccepted | KeyReused


@dataclass(slots=True)
class Intake:
    """One process of intake. Another one is another of these on the same database."""

    database: Database
    keyring: Keyring
    register: Register
    kept: Kept = field(default_factory=Kept)
    door: Together[Asked, Outcome] = field(init=False)

    def __post_init__(self) -> None:
        self.door = Together(self.receive_all, at_once=2)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Intake]:
        """While its door carries out what is asked at the same time in one transaction."""
        running = asyncio.create_task(self.door.run())
        try:
            yield self
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running

    async def seed(self) -> None:
        """What routing publishes, and two procedures."""
        await self.hears(
            heard(CalendarPublished(code="office", data=to_data(office())), subject="calendar:office"),
            *(a_unit_published(code) for code in (TOWN, WARD, REPLAY)),
        )
        given = [a_procedure(version=0), a_procedure(WARD_PROCEDURE, version=0, level="commune")]
        await self.publishes(*given)

    async def publishes(self, *given: Procedure) -> list[PublishedProcedure]:
        """Procedures that may be published."""
        published = await catalogue.publish_procedures(self.database, ADMINISTRATOR, given)
        assert isinstance(published, list), published
        return published

    async def receive_all(self, asked: Sequence[Asked]) -> Sequence[Outcome]:
        """Everything in one transaction, without the door."""
        return await reception.receive(self.database, self.keyring, self.kept, asked)

    async def receives(self, **changes: Any) -> dict[str, Any]:
        """A dossier handed in at the ward's desk; the receipt."""
        (outcome,) = await self.receive_all([asking(a_submission(**changes))])
        assert isinstance(outcome, Received), outcome
        return outcome.answer

    async def hears(self, *events: Heard) -> Heeded:
        """One batch."""
        async with self.database.transaction() as tx:
            return await hear_batch(tx, handlers.hearer(), records_of(events))

    async def is_told(self, dossier: str, *events: Event, version: int = 1) -> None:
        """Routing says some things of a dossier, in order, from a version on; now."""
        async with self.database.pool.acquire() as connection:
            now = await connection.fetchval("SELECT clock_timestamp()")
        await self.hears(
            *(heard(event, now, subject=dossier, version=number) for number, event in enumerate(events, version))
        )

    async def is_told_at(self, dossier: str, time: datetime, *events: Event, version: int = 1) -> None:
        """Routing says some things of a dossier, with a business time."""
        await self.hears(
            *(heard(event, time, subject=dossier, version=number) for number, event in enumerate(events, version))
        )

    async def takes(
        self,
        dossier: str,
        wish: Wish,
        *,
        ident: str | None = None,
        actor: Actor = DESK,
        when: datetime | None = None,
    ) -> Done | NotDone:
        """Something comes in for a dossier, now or (role history) at a time of its own."""
        digest = digest_of(repr(wish))
        coming = Coming(dossier, ident or str(uuid.uuid4()), digest, wish, when)
        return await take(self.database, actor, coming)

    async def dossier(self, ident: str) -> Dossier:
        async with self.database.pool.acquire() as connection:
            return (await store.dossiers(connection, [ident]))[ident]

    async def said(self, subject: str) -> list[str]:
        """Names of what was said of a subject, in order."""
        async with self.database.pool.acquire() as connection:
            rows = await connection.fetch("SELECT type FROM journal WHERE aggregateid = $1 ORDER BY version", subject)
            return [row["type"] for row in rows]


def asking(
    submission: Submission | None = None, *, ident: str | None = None, actor: Actor = DESK, body: object = None
) -> Asked:
    """A reception as the door is asked for it. ``body`` stands for what was sent, where two bodies are compared."""
    submission = submission or a_submission()
    key = CommandKey(f"sender:{actor.id}", ident or str(uuid.uuid4()))
    return Asked(submission, actor, key, digest_of(body if body is not None else repr(submission)), None)


def a_unit_published(code: str, version: int = 1, **changes: Any) -> Heard:
    """Routing published a version of a unit."""
    unit = replace(a_unit(code), **changes)
    published = UnitPublished(
        code=unit.code,
        name=unit.name,
        level=unit.level,
        parent=unit.parent,
        calendar=unit.calendar,
        valid_from=unit.valid_from,
        valid_to=unit.valid_to,
    )
    return heard(published, at("2019-01-02 08:00"), subject=f"unit:{code}", version=version)
