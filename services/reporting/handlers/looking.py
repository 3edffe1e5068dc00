"""Looking: the picture of now, what stands behind a figure, timelines, the figures of a period, and their recounts."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from services.reporting import store
from services.reporting.rules import counting, following
from services.reporting.values import (
    Cell,
    Counts,
    Day,
    Dossier,
    Entry,
    FoundDossiers,
    History,
    Moved,
    Pace,
    Period,
    Picture,
    Place,
    Run,
    Standing,
    Unit,
    Wanted,
)
from shared import journal
from shared.store import Database, Transaction

_HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Now:
    """The picture at an instant, by what is known here that was recorded up to another; unit names in their order."""

    as_of: datetime
    recorded_until: datetime | None
    picture: Picture
    units: dict[str, str]
    latest: tuple[Moved, ...]
    history: tuple[History, ...]


async def look(database: Database, *, latest: int = 0) -> Now:
    """What is where now, with the ``latest`` so many movements."""
    async with snapshot(database) as tx:
        now = await journal.instant(tx)
        return Now(
            now,
            await store.recorded_until(tx),
            counting.picture_of(await store.cells(tx, now)),
            _names(await store.units(tx)),
            tuple(await store.moved(tx, 0, latest)) if latest else (),
            tuple(await store.history(tx)) if latest else (),
        )


@dataclass(frozen=True, slots=True)
class Glance:
    """What moves, at an instant: the picture, what happened since a place in the stream, the speakers' last hour.

    Everything that was heard in a transaction below ``told`` is in it or in an earlier one.
    """

    as_of: datetime
    told: int
    picture: Picture
    units: tuple[Unit, ...]
    moved: tuple[Moved, ...]
    pace: tuple[Pace, ...]


async def glance(database: Database, since: int, most: int) -> Glance:
    """One look at the store for everybody who watches; of more than ``most`` movements the newest."""
    async with snapshot(database) as tx:
        now = await journal.instant(tx)
        return Glance(
            now,
            await store.told_up_to(tx),
            counting.picture_of(await store.cells(tx, now)),
            tuple(await store.units(tx)),
            tuple(await store.moved(tx, since, most)),
            tuple(await store.pace(tx, now - _HOUR)),
        )


async def month(database: Database, days: int = 30) -> tuple[date, list[Day]]:
    """The last so many days, today the last: what came in and what was done, by day and unit; and the first of them."""
    async with snapshot(database) as tx:
        now = await journal.instant(tx)
        first = (now - timedelta(days=days - 1)).date()
        return first, await store.days(tx, now - timedelta(days=days + 1), first)


async def unit_names(database: Database) -> dict[str, str]:
    """Names of the units by code, in the order in which people read them."""
    async with database.connection() as connection:
        return _names(await store.units(connection))


def _names(units: list[Unit]) -> dict[str, str]:
    return {unit.code: unit.name for unit in units}


async def past(database: Database) -> list[History]:
    """What replayed records brought."""
    async with database.connection() as connection:
        return await store.history(connection)


@dataclass(frozen=True, slots=True)
class Recount:
    """The picture's cells as they are kept, as the dossiers lie in them one by one, and as the timeline alone gives
    them; equal, or one of the three is wrong."""

    kept: frozenset[Cell]
    dossiers: frozenset[Cell]
    recounted: frozenset[Cell]

    @property
    def agrees(self) -> bool:
        """The figures on the page are what the timeline says."""
        return self.kept == self.dossiers == self.recounted


async def recount(database: Database) -> Recount:
    """Count everything again from the timeline, at the same instant as the picture."""
    async with snapshot(database) as tx:
        now = await journal.instant(tx)
        return Recount(
            frozenset(await store.cells(tx, now)),
            frozenset(await store.cells_of_dossiers(tx, now)),
            frozenset(await store.recounted_cells(tx, now)),
        )


async def count(
    database: Database, first: date, last: date, known_on: datetime | None, origin: str | None = None
) -> tuple[Period, Counts]:
    """The figures of a period as of its last day, by what was recorded up to ``known_on`` (None: up to now).

    ``origin``: of the dossiers that a record brought, adopted or not; None: of the live ones.
    """
    async with snapshot(database) as tx:
        period = Period(first, last, known_on or await journal.instant(tx))
        return period, await store.counts(tx, period, origin)


async def find(database: Database, wanted: Wanted, count: int, after: Place | None = None) -> FoundDossiers:
    """The dossiers behind a figure, so many ``after`` a place in their list."""
    async with snapshot(database) as tx:
        now = await journal.instant(tx)
        found = await store.found_dossiers(tx, wanted, now, count + 1, after)
        total = counting.counted_by_cells(wanted, await store.cells(tx, now))
        if total is None:
            total = await store.count_found(tx, wanted, now)
        more = len(found) > count
        return FoundDossiers(tuple(found[:count]), total, found[count - 1].place if more else None)


async def stream_id(database: Database, code: str) -> str | None:
    """Whose printed code this is, the whole of it; None when it is nobody's."""
    async with database.connection() as connection:
        return await store.dossier_by_code(connection, code)


@dataclass(frozen=True, slots=True)
class Told:
    """A dossier with everything that was heard of it, its steps, and the names that this mentions.

    ``places``: each stage that is open, and how it stands.
    """

    dossier: Dossier
    procedure_name: str | None
    entries: tuple[Entry, ...]
    steps: tuple[Entry, ...]
    units: dict[str, str]
    places: tuple[tuple[Run, Standing], ...]


async def tell(database: Database, ident: str) -> Told | None:
    """The timeline of a dossier; None for one of which nothing was heard."""
    async with snapshot(database) as tx:
        dossier = (await store.dossiers(tx, [ident])).get(ident)
        if dossier is None:
            return None
        return Told(
            dossier,
            await store.procedure_name(tx, dossier.procedure) if dossier.procedure else None,
            tuple(await store.entries(tx, ident)),
            tuple(await store.steps(tx, ident)),
            _names(await store.units(tx)),
            tuple((one, following.standing_of(dossier, one)) for one in dossier.open_runs),
        )


@asynccontextmanager
async def snapshot(database: Database) -> AsyncIterator[Transaction]:
    """One moment of the store for several queries, so that figures on one page agree with each other."""
    async with (
        database.connection() as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield connection
