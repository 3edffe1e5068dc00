"""The sweep: what is parked gets another chance, at once when what it waits for was heard, and every few seconds."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from shared.bus import hearing, rows
from shared.bus.trying import HearingStoppedError, Trying

log = logging.getLogger(__name__)

_EVERY: Final = 5.0
_CHUNK: Final = 500
# A long waiting room must not cost more than a tenth of the time.
_SHARE: Final = 10


@dataclass(frozen=True, slots=True)
class Sweep:
    """Looks after what a service has parked; `run` until cancelled."""

    trying: Trying

    async def run(self) -> None:
        """Sweep for ever. HearingStoppedError when this release cannot hear what was parked."""
        loop, woken = asyncio.get_running_loop(), self.trying.woken
        # Everything at start: what was parked for words of a newer release is tried again, this may be that release.
        following = loop.time()
        while True:
            woken.event.clear()
            known, woken.known = woken.known, set()
            moved, woken.moved = woken.moved, set()
            began = loop.time()
            try:
                await self._look(known, moved)
                if began >= following:
                    await self._look_at_everything()
                    following = loop.time() + max(_EVERY, _SHARE * (loop.time() - began))
            except HearingStoppedError:
                raise
            except Exception as error:  # the database is away, most likely: the sweep outlives whatever it meets
                log.warning("sweep_failed", extra={"error": hearing.signature(error)})
                woken.tell(known=known, moved=moved)
                woken.event.clear()
                following = loop.time() + _EVERY
            try:
                await asyncio.wait_for(woken.event.wait(), max(following - loop.time(), 0))
            except TimeoutError:
                continue

    async def _look(self, known: Collection[str], moved: Collection[str]) -> None:
        if not known and not moved:
            return
        subjects = set(moved)
        if known:
            async with self.trying.database.connection() as connection:
                subjects.update(await rows.subjects_waiting_for(connection, sorted(known)))
        ordered = sorted(subjects)
        for start in range(0, len(ordered), _CHUNK):
            await self.trying.parked(ordered[start : start + _CHUNK])

    async def _look_at_everything(self) -> None:
        last = ""
        while True:
            async with self.trying.database.connection() as connection:
                subjects = await rows.subjects_waiting(connection, last, _CHUNK)
            if not subjects:
                return
            await self.trying.parked(subjects)
            last = subjects[-1]
