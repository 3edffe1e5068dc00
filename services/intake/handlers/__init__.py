"""Intake: load, decide, save, announce. Ends with the table of what is heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.intake import store
from services.intake.rules import following
from services.intake.values import Dossier, Unit
from shared.bus import Hearer, Hears, Waiting, decide_all
from shared.envelope import Heard
from shared.events import (
    CalendarPublished,
    DeadlinePassed,
    DossierAdopted,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    ResultReady,
    RoutePublished,
    StageStarted,
    SupplementRequested,
    UnitPublished,
)
from shared.journal import Stream
from shared.store import Transaction
from shared.topics import Service


async def hear(tx: Transaction, _: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
    """Keep copies of units, calendars and routes, and follow every dossier that the batch touches."""
    await _keep_copies(tx, events)
    mine = [one for one in events if type(one.event) in HEARS]
    if not mine:
        return []
    dossiers = await store.dossiers(tx, {one.subject for one in mine})
    decided = decide_all(dossiers, mine, HEARS, None)
    await store.change_dossiers(tx, decided.changed.values())
    moved = [one for one in decided.changed.values() if one.places != dossiers[one.id].places]
    if moved:
        await store.change_places(tx, moved)
    return decided.waiting


async def _keep_copies(tx: Transaction, events: Sequence[Heard]) -> None:
    units = [
        Unit(
            one.event.code,
            one.version,
            one.event.name,
            one.event.level,
            one.event.calendar,
            one.event.valid_from,
            one.event.valid_to,
        )
        for one in events
        if isinstance(one.event, UnitPublished)
    ]
    if units:
        await store.save_units(tx, units)
    calendars = {
        (one.event.code, one.version): one.event.data for one in events if isinstance(one.event, CalendarPublished)
    }
    if calendars:
        await store.save_calendars(tx, calendars)
    # Within a batch a subject's versions ascend: the last one of each code stays.
    routes = {
        one.event.code: (one.version, one.event.length) for one in events if isinstance(one.event, RoutePublished)
    }
    if routes:
        await store.save_routes(tx, routes)


# --- what is heard ---

HEARS: Final[Hears[Dossier, None]] = {
    StageStarted: following.started,
    HandedOver: following.handed_over,
    SupplementRequested: following.waits_for_citizen,
    FeeRequested: following.waits_for_citizen,
    DossierResumed: following.resumed,
    DeadlinePassed: following.deadline_passed,
    ResultReady: following.result_ready,
    DossierWithdrawn: following.withdrawn,
    DossierAdopted: following.adopted,
    NoticeSent: following.told,
    NoticeFailed: following.told,
}


def hearer() -> Hearer:
    """The whole of what intake listens to: the table above, and routing's units, calendars and routes."""
    return Hearer(Service.INTAKE, frozenset(HEARS) | {UnitPublished, CalendarPublished, RoutePublished}, hear)
