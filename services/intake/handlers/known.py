"""What a reception is decided by: copies of units and calendars, and the catalogue; kept from one batch to the next."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from services.intake import store
from services.intake.values import Known, Procedure, Unit
from shared.calendar import WorkingCalendar
from shared.store import Transaction

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Kept:
    """What was read before, with the marks by which it is seen that it still holds.

    Calendars are kept parsed, in every version that was asked for: a version never changes.
    """

    calendars: dict[tuple[str, int], WorkingCalendar] = field(default_factory=dict)
    calendar_versions: Mapping[str, int] = field(default_factory=dict)
    units: Mapping[str, tuple[Unit, ...]] = field(default_factory=dict)
    procedures: dict[str, Procedure] = field(default_factory=dict)
    copies: tuple[int, int] | None = None
    ending: set[tuple[str, int]] = field(default_factory=set)

    def ends(self, code: str, version: int) -> None:
        """A promise lies in years whose holidays this calendar does not know: the operators are told once."""
        if (code, version) not in self.ending:
            self.ending.add((code, version))
            log.warning("calendar_ends", extra={"calendar": code, "version": version})


async def known_for(tx: Transaction, kept: Kept, procedures: Iterable[str]) -> tuple[Known, datetime]:
    """Units, newest calendars, the procedures asked for, and the database's clock.

    One statement says whether anything was heard or published since the last time, here or by another process; only
    then it is read again. What is read after the marks may be newer than they are: then it is read once more next time.
    """
    marks = await store.marks(tx, procedures)
    if marks.copies != kept.copies:
        versions = await store.calendar_versions(tx)
        missing = set(versions.items()) - kept.calendars.keys()
        read = await store.calendars(tx, missing) if missing else {}
        units = await store.units(tx)
        # All at once: another batch reads and keeps at the same time.
        kept.calendars.update(read)
        kept.calendar_versions, kept.units, kept.copies = versions, units, marks.copies
    newer = {code for code, version in marks.procedures.items() if _version(kept.procedures.get(code)) != version}
    if newer:
        kept.procedures.update(await store.procedures(tx, newer))
    # What is kept of a procedure that is in the store no more does not count.
    asked = {code: kept.procedures[code] for code in marks.procedures}
    return Known(kept.units, asked, kept.calendar_versions, kept.calendars), marks.now


def _version(procedure: Procedure | None) -> int | None:
    return procedure.version if procedure is not None else None
