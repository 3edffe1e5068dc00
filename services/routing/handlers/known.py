"""What decisions are made by, besides the journeys: units, calendars, routes, procedures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.routing import store
from services.routing.values import Journey, Known
from shared.calendar import WorkingCalendar
from shared.store import Transaction


@dataclass(slots=True)
class Calendars:
    """Calendars that were parsed before: a version never changes, and parsing one costs more than a batch may."""

    parsed: dict[tuple[str, int], WorkingCalendar] = field(default_factory=dict)

    async def all(self, tx: Transaction, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], WorkingCalendar]:
        """Every version asked for that exists, and whatever was parsed before."""
        missing = wanted - self.parsed.keys()
        if missing:
            self.parsed.update(await store.calendars(tx, missing))
        return self.parsed


def calendars_of(journeys: Iterable[Journey]) -> set[tuple[str, int]]:
    """The calendars, each in the version by which the dossier was promised."""
    return {(one.calendar, one.calendar_version) for one in journeys}


async def known_for(
    tx: Transaction, calendars: Calendars, wanted: set[tuple[str, int]], procedures: Iterable[str] = ()
) -> Known:
    """All units and routes, and the calendars and procedures asked for."""
    codes = set(procedures)
    return Known(
        await store.units(tx),
        await calendars.all(tx, wanted),
        await store.routes(tx),
        await store.procedures(tx, codes) if codes else {},
    )
