"""Routing: load, decide, save, announce. Ends with the table of what is heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.routing import store
from services.routing.handlers.commands import Done, NotDone, act
from services.routing.handlers.known import Calendars, calendars_of, known_for
from services.routing.handlers.publishing import (
    Published,
    appoint_officer,
    publish_calendar,
    publish_route,
    publish_unit,
)
from services.routing.handlers.timers import fire_timers
from services.routing.rules import journey as rules
from services.routing.rules.past import in_its_time
from services.routing.rules.routes import shortest
from services.routing.values import Journey, Known, NotPublished, Procedure
from shared import journal
from shared.bus import Hearer, Hears, Waiting, decide_all
from shared.envelope import Heard
from shared.events import DossierReceived, ProcedurePublished, SupplementReceived, WithdrawalRequested
from shared.journal import Stream
from shared.store import Transaction
from shared.topics import Service

__all__ = [
    "HEARS",
    "Calendars",
    "Done",
    "NotDone",
    "NotPublished",
    "Published",
    "act",
    "appoint_officer",
    "fire_timers",
    "hearer",
    "publish_calendar",
    "publish_route",
    "publish_unit",
]


async def hear(
    tx: Transaction, calendars: Calendars, locked: dict[str, Stream], events: Sequence[Heard]
) -> list[Waiting]:
    """Load every journey that the batch touches, decide in order, save and announce them together."""
    await _keep_procedures(tx, events)
    mine = [one for one in events if type(one.event) in HEARS]
    if not mine:
        return []
    there = {one.subject for one in mine if not locked[one.subject].is_new}
    journeys = await store.journeys(tx, there) if there else {}
    received = [one.event for one in mine if isinstance(one.event, DossierReceived)]
    known = await known_for(
        tx,
        calendars,
        calendars_of(journeys.values()) | {(one.calendar, one.calendar_version) for one in received},
        {one.procedure for one in received},
    )
    decided = decide_all(journeys, mine, HEARS, known)
    await store.save_journeys(tx, decided.changed.values())
    await journal.announce(tx, Service.ROUTING, locked, decided.sayings)
    return decided.waiting


async def _keep_procedures(tx: Transaction, events: Sequence[Heard]) -> None:
    given = {
        one.event.code: Procedure(one.version, one.event.level, one.event.route, shortest(one.event))
        for one in events
        if type(one.event) is ProcedurePublished  # isinstance is slow on a pydantic model of another class
    }
    if given:
        await store.save_procedures(tx, given)


# --- what is heard ---------------------------------------------------------------------------------------------------

HEARS: Final[Hears[Journey, Known]] = {
    DossierReceived: in_its_time(rules.begin),
    SupplementReceived: in_its_time(rules.resume_by_citizen),
    WithdrawalRequested: in_its_time(rules.withdraw),
}


def hearer(calendars: Calendars) -> Hearer:
    """The whole of what routing listens to: the table above, and intake's catalogue."""

    async def hear_all(tx: Transaction, locked: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
        return await hear(tx, calendars, locked, events)

    return Hearer(Service.ROUTING, frozenset(HEARS) | {ProcedurePublished}, hear_all, opens={DossierReceived: 1})
