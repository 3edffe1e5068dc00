"""What a reception is decided by: copies of units and calendars, and the catalogue."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from services.intake import store
from services.intake.values import Known
from shared.calendar import WorkingCalendar
from shared.store import Transaction


@dataclass(slots=True)
class Calendars:
    """Calendars that were parsed before: a version never changes."""

    parsed: dict[tuple[str, int], WorkingCalendar] = field(default_factory=dict)


async def known_for(tx: Transaction, calendars: Calendars, procedures: Iterable[str]) -> Known:
    """Units, newest calendars, and the procedures asked for."""
    versions = await store.calendar_versions(tx)
    missing = set(versions.items()) - calendars.parsed.keys()
    if missing:
        calendars.parsed.update(await store.calendars(tx, missing))
    return Known(await store.units(tx), await store.procedures(tx, procedures), versions, calendars.parsed)
