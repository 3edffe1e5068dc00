"""The catalogue: publishing procedures in bulk. The same content again changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.intake import store
from services.intake.rules.catalogue import wrong_with
from services.intake.values import Coverage, NotPublishable, Procedure
from shared import journal
from shared.access import Actor
from shared.events import ProcedurePublished
from shared.journal import Saying, Stream
from shared.store import Database, Transaction
from shared.topics import Service


@dataclass(frozen=True, slots=True)
class PublishedProcedure:
    """The version of a procedure after publishing, and whether this call made it."""

    code: str
    version: int
    changed: bool


async def publish_procedures(
    database: Database, actor: Actor, given: Sequence[Procedure]
) -> list[PublishedProcedure] | NotPublishable:
    """Publish procedures (each code once); those whose content differs from what there is get the next version.

    All or none: the first that cannot be published is the answer.
    """
    subjects = {one.code: f"procedure:{one.code}" for one in given}
    async with database.transaction() as tx:
        routes = await store.routes(tx, {one.route for one in given if one.route is not None})
        for place, one in enumerate(given):
            wrong = wrong_with(place, one, routes)
            if wrong is not None:
                return wrong
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


async def coverage(tx: Transaction, figure: tuple[int, str] | None) -> Coverage | None:
    """How much of the town's own figure is loaded; None where none is set."""
    return Coverage(await store.count_procedures(tx), *figure) if figure is not None else None


def _saying(one: Procedure, subject: str, now: datetime, locked: dict[str, Stream], actor: Actor) -> Saying:
    event = ProcedurePublished(
        code=one.code,
        name=one.name,
        sector=one.sector,
        term=one.term,
        terms=dict(one.terms),
        level=one.level,
        route=one.route,
    )
    return journal.in_order(locked, Saying(subject, event, now, actor=actor.id))
