"""Reporting: load, decide, save; it announces nothing, the river ends here. Ends with the table of what is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from services.reporting import rules, store
from services.reporting.values import (
    Cell,
    Counts,
    Dossier,
    Entry,
    FoundDossiers,
    History,
    Period,
    Picture,
    Wanted,
)
from shared import journal
from shared.bus import Hearer, Hears, Waiting, decide_all
from shared.envelope import Heard
from shared.events import (
    CalendarPublished,
    DeadlineNear,
    DeadlinePassed,
    DeadlineReached,
    DossierReceived,
    DossierResumed,
    DossierWithdrawn,
    Event,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    ProcedurePublished,
    ResultHandedOver,
    ResultReady,
    Service,
    StageStarted,
    SupplementReceived,
    SupplementRequested,
    UnitPublished,
    WithdrawalRequested,
)
from shared.journal import Stream
from shared.store import Database, Transaction

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
    await store.add_entries(tx, [rules.entry_of(one) for one in taken])
    await store.save_dossiers(tx, decided.changed.values(), known)
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


# --- looking -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Now:
    """The picture at an instant, by what is known here that was recorded up to another; unit names in their order."""

    as_of: datetime
    recorded_until: datetime | None
    picture: Picture
    units: dict[str, str]
    latest: tuple[Entry, ...]
    history: tuple[History, ...]


async def look(database: Database, *, latest: int = 0) -> Now:
    """What is where now, with the ``latest`` so many movements."""
    async with _snapshot(database) as tx:
        now = await journal.instant(tx)
        return Now(
            now,
            await store.recorded_until(tx),
            rules.picture_of(await store.cells(tx, now)),
            await store.units(tx),
            tuple(await store.latest(tx, latest)) if latest else (),
            tuple(await store.history(tx)) if latest else (),
        )


async def unit_names(database: Database) -> dict[str, str]:
    """Names of the units by code, in the order in which people read them."""
    async with database.pool.acquire() as connection:
        return await store.units(connection)


async def past(database: Database) -> list[History]:
    """What replayed records brought."""
    async with database.pool.acquire() as connection:
        return await store.history(connection)


@dataclass(frozen=True, slots=True)
class Recount:
    """The picture's cells as they are kept, and as the timeline alone gives them; equal, or one of the two is wrong."""

    kept: frozenset[Cell]
    recounted: frozenset[Cell]

    @property
    def agrees(self) -> bool:
        """The figures on the page are what the timeline says."""
        return self.kept == self.recounted


async def recount(database: Database) -> Recount:
    """Count everything again from the timeline, at the same instant as the picture."""
    async with _snapshot(database) as tx:
        now = await journal.instant(tx)
        return Recount(frozenset(await store.cells(tx, now)), frozenset(await store.recounted_cells(tx, now)))


async def count(database: Database, first: date, last: date, known_on: datetime | None) -> tuple[Period, Counts]:
    """The figures of a period as of its last day, by what was recorded up to ``known_on`` (None: up to now)."""
    async with _snapshot(database) as tx:
        period = Period(first, last, known_on or await journal.instant(tx))
        return period, await store.counts(tx, period)


async def find(database: Database, wanted: Wanted, skip: int, count: int) -> FoundDossiers:
    """The dossiers behind a figure."""
    async with _snapshot(database) as tx:
        return await store.found_dossiers(tx, wanted, await journal.instant(tx), skip, count)


@dataclass(frozen=True, slots=True)
class Told:
    """A dossier with everything that was heard of it, its steps, and the names that this mentions."""

    dossier: Dossier
    procedure_name: str | None
    entries: tuple[Entry, ...]
    steps: tuple[Entry, ...]
    units: dict[str, str]


async def tell(database: Database, ident: str) -> Told | None:
    """The timeline of a dossier; None for one of which nothing was heard."""
    async with _snapshot(database) as tx:
        dossier = (await store.dossiers(tx, [ident])).get(ident)
        if dossier is None:
            return None
        return Told(
            dossier,
            await store.procedure_name(tx, dossier.procedure) if dossier.procedure else None,
            tuple(await store.entries(tx, ident)),
            tuple(await store.steps(tx, ident)),
            await store.units(tx),
        )


@asynccontextmanager
async def _snapshot(database: Database) -> AsyncIterator[Transaction]:
    """One moment of the store for several queries, so that figures on one page agree with each other."""
    async with (
        database.pool.acquire() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection


# --- what is heard ---------------------------------------------------------------------------------------------------

HEARS: Final[Hears[Dossier, None]] = {
    DossierReceived: rules.received,
    SupplementReceived: rules.noted,
    WithdrawalRequested: rules.asked_back,
    ResultHandedOver: rules.handed_to_citizen,
    StageStarted: rules.started,
    HandedOver: rules.handed_over,
    SupplementRequested: rules.waits_for_citizen,
    FeeRequested: rules.waits_for_citizen,
    DossierResumed: rules.resumed,
    DeadlineNear: rules.deadline_comes,
    DeadlineReached: rules.deadline_comes,
    DeadlinePassed: rules.deadline_passed,
    ResultReady: rules.result_ready,
    DossierWithdrawn: rules.given_back,
    NoticeSent: rules.told,
    NoticeFailed: rules.told,
}


def hearer() -> Hearer:
    """The whole of what reporting listens to: the table above, and what things are called."""
    names: frozenset[type[Event]] = frozenset({ProcedurePublished, CalendarPublished, UnitPublished})
    return Hearer(Service.REPORTING, names.union(HEARS), hear, opens={DossierReceived: 0})
