"""What notification does by itself: it sends. Due instants and leases are the owner database's clock, never ours."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Final

from services.notification import handlers, store
from services.notification.gateway import Letters, Mail
from services.notification.rules.sending import MOST_ATTEMPTS
from services.notification.values import Attempted, Away, Claimed, Outcome, Postponed, Unsendable
from shared import telemetry
from shared.bus.hearing import signature
from shared.seal import Keyring
from shared.store import Database, Together, is_transient

log = logging.getLogger(__name__)

_SHORTEST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 0.5
_LONGEST_PROBE_WAIT: Final = 15.0
_GRACE: Final = 8.0
"""Seconds that letters under way get at the end; below what the supervisor gives the process."""


@dataclass(slots=True)
class Sender:
    """Sends due notices: claims them in a short transaction, sends them with no connection held, records the outcome.

    ``lease``: for how long the first claim of a notice holds, longer than one sending may take; each further one holds
    twice as long as the one before. ``at_once``: letters that are sent at the same time, each on its own connection;
    what the provider said of as many again is being written down.
    ``reachable``: whether the provider took something at the last try; None before the first.
    """

    database: Database
    keyring: Keyring
    letters: Letters
    mail: Mail
    lease: timedelta
    at_once: int = 16
    reachable: bool | None = None
    away_because: str | None = None
    _under_way: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _unanswered: set[str] = field(default_factory=set)
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _recording: Together[Attempted, None] = field(init=False)
    _committed: asyncio.Event = field(init=False)

    def __post_init__(self) -> None:
        """Letters that come back while a transaction is in flight are written down together in the next."""
        self._recording = Together(self._record)
        self._committed = self.database.told_of_commits()

    async def run(self) -> None:
        """Send until cancelled, then finish what is under way. While the provider is away, only ask whether it is."""
        wait, probe_wait = _SHORTEST_WAIT, 1.0
        async with self._writing_down():
            try:
                while True:
                    free = await self._free()
                    if self.reachable is False:
                        await asyncio.sleep(probe_wait)
                        probe_wait = 1.0 if await self.probe() else min(probe_wait * 2, _LONGEST_PROBE_WAIT)
                        continue
                    self._committed.clear()
                    begun = await self._begin(free)
                    if begun < free:  # what is due is under way: what comes meanwhile is taken together
                        wait = _SHORTEST_WAIT if begun else min(wait * 1.5, _LONGEST_WAIT)
                        await self._pause(wait)
            finally:
                await self._finish()

    async def send_due(self) -> int:
        """One look: sends what is due now, as much as may be under way at once; returns how many notices that were."""
        async with self._writing_down():
            begun = await self._begin(self.at_once)
            await asyncio.gather(*self._under_way.values())
            return begun

    @asynccontextmanager
    async def _writing_down(self) -> AsyncIterator[None]:
        writing = asyncio.create_task(self._recording.run(), name="outcomes")
        try:
            yield
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)

    async def _record(self, attempts: Sequence[Attempted]) -> list[None]:
        await handlers.record_outcomes(self.database, attempts)
        return [None] * len(attempts)

    async def probe(self) -> bool:
        """Ask whether the provider is back."""
        self._heed(await self.mail.probe())
        return self.reachable is True

    async def _free(self) -> int:
        """How many letters may be begun, once it is half of them: to take one costs the database as much as eight."""
        while (free := self._room()) * 2 < self.at_once:
            self._moved.clear()
            await self._moved.wait()
        return free

    def _room(self) -> int:
        """A letter keeps its connection until the provider has answered, not until that is written down."""
        return min(self.at_once - len(self._unanswered), 2 * self.at_once - len(self._under_way))

    async def _pause(self, wait: float) -> None:
        """Until something is committed here that may be due, or for so long: a lease, or a retry, comes due by itself.

        Never shorter than the shortest wait: what is committed meanwhile is taken together.
        """
        await asyncio.sleep(_SHORTEST_WAIT)
        with suppress(TimeoutError):
            async with asyncio.timeout(wait - _SHORTEST_WAIT):
                await self._committed.wait()

    async def _begin(self, free: int) -> int:
        try:
            async with self.database.transaction(tells=False) as tx:
                # What is under way here is nobody's to send again, even when its lease ran out while the database was
                # away: what came of it is about to be written down.
                claimed = await store.take_due_notices(tx, free, self.lease, self._under_way)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("sender_waits", extra={"error": signature(error)})
            return 0
        for one in claimed:
            task = asyncio.create_task(self._carry(one), name=f"notice {one.id}")
            self._under_way[one.id] = task
            self._unanswered.add(one.id)
            task.add_done_callback(partial(self._landed, one.id))
        return len(claimed)

    def _landed(self, notice: str, _: asyncio.Task[None]) -> None:
        self._under_way.pop(notice, None)
        self._answered(notice)

    def _answered(self, notice: str) -> None:
        self._unanswered.discard(notice)
        self._moved.set()

    async def _carry(self, claimed: Claimed) -> None:
        """One attempt, in the trace of the event that the notice is about."""
        with telemetry.span(
            "send notice",
            parent=claimed.traceparent,
            attributes={
                telemetry.STREAM: claimed.dossier,
                "lienthong.template": claimed.template.value,
                "lienthong.attempt": claimed.attempt,
            },
        ) as opened:
            try:
                outcome = await self._sent(claimed)
                self._answered(claimed.id)
                told = type(outcome).__name__.lower()
                opened.attributes["lienthong.outcome"] = told
                telemetry.count("attempt.made", "{attempt}", outcome=told)
                self._heed(outcome)
                await self._recorded(Attempted(claimed, outcome, telemetry.traceparent()))
            except Exception as error:
                # One letter that nobody foresaw must not stop the others. Its lease runs out, and after as many
                # attempts as any other it is given up. Messages of exceptions may quote the address.
                log.critical("attempt_broken", extra={"notice": claimed.id, "error": signature(error)})

    async def _sent(self, claimed: Claimed) -> Outcome:
        if claimed.attempt > MOST_ATTEMPTS:  # its process was killed, or lost its lease, again and again
            return Unsendable("outcome_unknown")
        address = handlers.address_of(self.keyring, claimed)
        if isinstance(address, Unsendable):
            return address
        letter = self.letters.written(claimed, address)
        if isinstance(letter, Unsendable):
            return letter
        with telemetry.span(
            "send mail", kind=telemetry.SpanKind.CLIENT, attributes={telemetry.STREAM: claimed.dossier}
        ):
            return await self.mail.send(address, letter)

    def _heed(self, outcome: Outcome | None) -> None:
        """Whether the provider is there is seen from what came of a letter (or of a probe: None)."""
        if isinstance(outcome, Away):
            if self.reachable is not False or self.away_because != outcome.reason:
                log.warning("provider_away", extra={"because": outcome.reason, "code": outcome.code})
            self.reachable, self.away_because = False, outcome.reason
        elif not isinstance(outcome, Unsendable):
            if isinstance(outcome, Postponed) and outcome.by_policy:
                log.error("sender_refused", extra={"code": outcome.code})
            if self.reachable is False:
                log.info("provider_back")
            self.reachable, self.away_because = True, None

    async def _recorded(self, attempted: Attempted) -> None:
        wait = 0.1
        while True:
            try:
                await self._recording.ask(attempted)
            except Exception as error:
                if not is_transient(error):
                    raise
                # What the provider has taken must not be sent again for want of a database: the outcome waits here.
                log.warning("outcome_waits", extra={"notice": attempted.claimed.id, "error": signature(error)})
            else:
                return
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    async def _finish(self) -> None:
        under_way = list(self._under_way.values())
        if under_way:
            _, left = await asyncio.wait(under_way, timeout=_GRACE)
            for task in left:  # their leases run out, and whoever sends them again says so
                task.cancel()
            await asyncio.gather(*under_way, return_exceptions=True)
        await self.mail.close()
