"""The catalogue: publishing procedures in bulk. The same content again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.intake import store
from services.intake.values import Procedure
from shared import journal
from shared.access import Actor
from shared.events import ProcedurePublished, Service
from shared.journal import Saying, Stream
from shared.store import Database


@dataclass(frozen=True, slots=True)
class PublishedProcedure:
    """The version of a procedure after publishing, and whether this call made it."""

    code: str
    version: int
    changed: bool


async def publish_procedures(database: Database, actor: Actor, given: Sequence[Procedure]) -> list[PublishedProcedure]:
    """Publish procedures (each code once); those whose content differs from what there is get the next version."""
    subjects = {one.code: f"procedure:{one.code}" for one in given}
    async with database.transaction() as tx:
        locked = await journal.lock(tx, subjects.values())
        now = await journal.instant(tx)
        there = await store.procedures(tx, subjects)
        changed = [
            replace(one, version=locked[subjects[one.code]].version + 1)
            for one in given
            if one.code not in there or replace(there[one.code], version=0) != replace(one, version=0)
        ]
        before = {code: locked[subject].version for code, subject in subjects.items()}
        await store.save_procedures(tx, changed)
        await journal.announce(
            tx,
            Service.INTAKE,
            locked,
            [_saying(one, subjects[one.code], now, locked, actor) for one in changed],
        )
    made = {one.code: one.version for one in changed}
    return [PublishedProcedure(one.code, made.get(one.code, before[one.code]), one.code in made) for one in given]


def _saying(one: Procedure, subject: str, now: datetime, locked: dict[str, Stream], actor: Actor) -> Saying:
    event = ProcedurePublished(
        code=one.code, name=one.name, sector=one.sector, term=one.term, terms=dict(one.terms), level=one.level
    )
    return journal.in_order(locked, Saying(subject, event, now, actor=actor.id))
