"""Reporting: load, decide, save; it announces nothing, the river ends here. Ends with the table of what is heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from services.reporting import store
from services.reporting.handlers.looking import (
    count,
    find,
    glance,
    look,
    month,
    past,
    recount,
    stream_id,
    tell,
    unit_names,
)
from services.reporting.handlers.merging import merge
from services.reporting.handlers.watching import TooManyError, Watch
from services.reporting.rules import counting, following
from services.reporting.values import Dossier
from shared.bus import Hearer, Hears, Waiting, decide_all
from shared.envelope import Heard
from shared.events import (
    CalendarPublished,
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    DossierAdopted,
    DossierReceived,
    DossierResumed,
    DossierWithdrawn,
    Event,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    PersonalDataErased,
    ProcedurePublished,
    ResultHandedOver,
    ResultReady,
    StageStarted,
    SupplementReceived,
    SupplementRequested,
    UnitPublished,
    WithdrawalRequested,
)
from shared.journal import Stream
from shared.store import Transaction
from shared.topics import Service

__all__ = [
    "HEARS",
    "TooManyError",
    "Watch",
    "count",
    "find",
    "glance",
    "hear",
    "hearer",
    "look",
    "merge",
    "month",
    "past",
    "recount",
    "stream_id",
    "tell",
    "unit_names",
]

# --- hearing -------------------------------------------------------------------------------------------------------


async def hear(tx: Transaction, locked: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
    """Load every dossier that the batch touches, decide in order, save timelines and dossiers together."""
    await _keep_names(tx, events)
    of_dossiers = [one for one in events if type(one.event) in HEARS]
    if not of_dossiers:
        return []
    there = {one.subject for one in of_dossiers if not locked[one.subject].is_new}
    known = await store.dossiers(tx, there) if there else {}
    decided = decide_all(known, of_dossiers, HEARS, None)
    # What waits is heard another time, and only then belongs in the timeline; what changed nothing belongs there now.
    waits = {(one.heard.subject, one.heard.source, one.heard.version) for one in decided.waiting}
    taken = [one for one in of_dossiers if (one.subject, one.source, one.version) not in waits]
    await store.add_entries(tx, [following.entry_of(one) for one in taken])
    await store.save_dossiers(tx, decided.changed.values(), known)
    if shifts := counting.shifts(known, decided.changed):
        await store.add_cells(tx, shifts)
    if taken:
        await store.add_pace(tx, counting.minutes_of(taken))
    return decided.waiting


async def _keep_names(tx: Transaction, events: Sequence[Heard]) -> None:
    # Within a batch a subject's versions ascend: the last one of each code stays.
    procedures, units, calendars = {}, {}, {}
    for one in events:
        if isinstance(one.event, ProcedurePublished):
            procedures[one.event.code] = (one.version, one.event)
        elif isinstance(one.event, UnitPublished):
            units[one.event.code] = (one.version, one.event)
        elif isinstance(one.event, CalendarPublished):
            calendars[one.event.code] = (one.version, one.event)
    if procedures:
        await store.save_procedures(tx, procedures)
    if units:
        await store.save_units(tx, units)
    if calendars:
        await store.save_calendars(tx, calendars)


# --- what is heard ---------------------------------------------------------------------------------------------------

HEARS: Final[Hears[Dossier, None]] = {
    DossierReceived: following.received,
    SupplementReceived: following.noted,
    WithdrawalRequested: following.asked_back,
    ResultHandedOver: following.handed_to_citizen,
    PersonalDataErased: following.noted,
    StageStarted: following.started,
    HandedOver: following.handed_over,
    SupplementRequested: following.waits_for_citizen,
    FeeRequested: following.waits_for_citizen,
    DossierResumed: following.resumed,
    DeadlineNear: following.deadline_comes,
    DeadlineReached: following.deadline_comes,
    DeadlinePassed: following.deadline_passed,
    ResultReady: following.result_ready,
    DossierWithdrawn: following.given_back,
    DossierAdopted: following.adopted,
    NoticeSent: following.told,
    NoticeFailed: following.told,
}


def hearer() -> Hearer:
    """The whole of what reporting listens to: the table above, and what things are called."""
    names: frozenset[type[Event]] = frozenset({ProcedurePublished, CalendarPublished, UnitPublished})
    return Hearer(Service.REPORTING, names.union(HEARS), hear, opens={DossierReceived: 0})
