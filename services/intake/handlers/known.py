"""What a reception is decided by: copies of units and calendars, and the catalogue."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, field

from services.intake import store
from services.intake.values import Known
from shared.calendar import WorkingCalendar
from shared.store import Transaction

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Calendars:
    """Calendars that were parsed before: a version never changes."""

    parsed: dict[tuple[str, int], WorkingCalendar] = field(default_factory=dict)
    ending: set[tuple[str, int]] = field(default_factory=set)

    def ends(self, code: str, version: int) -> None:
        """A promise lies in years whose holidays this calendar does not know: the operators are told once."""
        if (code, version) not in self.ending:
            self.ending.add((code, version))
            log.warning("calendar_ends", extra={"calendar": code, "version": version})


async def known_for(tx: Transaction, calendars: Calendars, procedures: Iterable[str]) -> Known:
    """Units, newest calendars, and the procedures asked for."""
    versions = await store.calendar_versions(tx)
    missing = set(versions.items()) - calendars.parsed.keys()
    if missing:
        calendars.parsed.update(await store.calendars(tx, missing))
    return Known(await store.units(tx), await store.procedures(tx, procedures), versions, calendars.parsed)
