"""What routing does by itself: timers. `now` is the owner database's clock, never this process's."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from services.routing import handlers, store
from services.routing.handlers import Calendars
from shared import journal
from shared.bus.hearing import signature
from shared.store import Database, is_transient

log = logging.getLogger(__name__)

_EVERY: Final = 1.0
_CHUNK: Final = 500
_LARGEST_STEP: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Clock:
    """Compares the database's wall clock with the monotonic one: a wrong step would tell 100,000 people."""

    wall: datetime | None = None
    monotonic: float = 0.0
    stopped: bool = False

    def check(self, wall: datetime, monotonic: float) -> bool:
        """True while both agree to a minute since the last look; after a step, never again until a restart."""
        if self.wall is not None:
            ran = timedelta(seconds=monotonic - self.monotonic)
            if abs((wall - self.wall) - ran) > _LARGEST_STEP:
                self.stopped = True
        self.wall, self.monotonic = wall, monotonic
        return not self.stopped


@dataclass(slots=True)
class Guilty:
    """Dossiers whose timers met an unforeseen error: left alone until the next start, so that the others are told."""

    dossiers: set[str] = field(default_factory=set)


async def timers(database: Database, calendars: Calendars, clock: Clock) -> None:
    """Fire due timers, in chunks, for ever; stops scanning when the clock was stepped, and says so every minute."""
    guilty = Guilty()
    while True:
        fired = 0
        try:
            fired = await fire_due(database, calendars, clock, guilty)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("timers_wait", extra={"error": signature(error)})
        if clock.stopped:
            log.critical("clock_stepped", extra={"do": "set the database's clock right, then restart routing"})
            await asyncio.sleep(60)
        elif fired < _CHUNK:
            await asyncio.sleep(_EVERY)


async def fire_due(database: Database, calendars: Calendars, clock: Clock, guilty: Guilty) -> int:
    """One look: fires what is due of at most 500 dossiers; returns how many were looked at."""
    async with database.connection() as connection:
        if not clock.check(await journal.instant(connection), time.monotonic()):
            return 0
        due = await store.due_timers(connection, sorted(guilty.dossiers), _CHUNK)
    if due:
        said = await _fire(database, calendars, due, clock, guilty)
        log.info("timers_fired", extra={"dossiers": len(due), "said": said})
    return len(due)


async def _fire(database: Database, calendars: Calendars, due: Sequence[str], clock: Clock, guilty: Guilty) -> int:
    """All together; when that meets an unforeseen error, one by one, and whoever it belongs to is set aside."""
    try:
        # The instant by which it is decided is looked at, too: the step may come between two statements.
        return await handlers.fire_timers(database, calendars, due, lambda now: clock.check(now, time.monotonic()))
    except Exception as error:
        if is_transient(error):
            raise
        what = signature(error)
    if len(due) > 1:
        return sum([await _fire(database, calendars, [dossier], clock, guilty) for dossier in due])
    guilty.dossiers.update(due)
    log.error("timer_set_aside", extra={"dossier": due[0], "error": what})
    return 0
