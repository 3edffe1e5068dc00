"""Watching: one look at the store a second, however many people have the page open, told to all of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

from services.reporting.handlers.looking import Glance, glance, month
from services.reporting.rules import counting
from services.reporting.values import Day, Moved, Pace, Unit
from shared.store import Database, is_transient

log = logging.getLogger(__name__)

BEAT: Final = 1.0
"""Seconds between two looks while somebody watches; nobody watching, there is none."""
LATEST: Final = 20
"""So many movements are shown, and so many are told to who comes back."""
WATCHERS: Final = 300
"""At most so many at once in a process, below what the front door has connections for."""
WAITING: Final = 8
"""News that may lie unread before a watcher counts as too slow."""
_SLOWEST: Final = 10.0
_MONTH_KEPT: Final = 60.0
"""Seconds for which the last month's days are kept: with 150,000 dossiers in them they cost a second to add up."""


class TooManyError(Exception):
    """As many watch as this process serves."""


@dataclass(frozen=True, slots=True, eq=False)
class News:
    """What a watcher is told. ``figures``: those that changed, or (``whole``) all that are not zero."""

    as_of: datetime
    told: int
    whole: bool
    figures: dict[str, int]
    moved: tuple[Moved, ...]
    units: tuple[Unit, ...]
    pace: tuple[Pace, ...] | None
    written: dict[str, bytes] = field(default_factory=dict)
    """As it is sent, by language: written once, however many read it."""


@dataclass(slots=True, eq=False)
class Watcher:
    """Somebody with the page open. ``since``: up to where he was told before; None for a newcomer."""

    since: int | None
    news: asyncio.Queue[News | None] = field(default_factory=lambda: asyncio.Queue(WAITING))
    is_new: bool = True
    is_dropped: bool = False


class Watch:
    """Looks for everybody, and tells each: first everything, then what changed.

    ``stopping`` ends the watching: a stream that nobody ends would keep the process from ending.
    """

    def __init__(self, database: Database, stopping: asyncio.Event) -> None:
        self._database = database
        self._stopping = stopping
        self._watchers: set[Watcher] = set()
        self._somebody = asyncio.Event()
        self._told = 0
        self._figures: dict[str, int] = {}
        self._pace: tuple[Pace, ...] = ()
        self._latest: deque[Moved] = deque(maxlen=LATEST)
        self._month: tuple[float, date, list[Day]] | None = None
        self._adding_up = asyncio.Lock()

    @property
    def is_full(self) -> bool:
        """Whether nobody can be served any more."""
        return len(self._watchers) >= WATCHERS

    @property
    def watchers(self) -> int:
        """How many watch."""
        return len(self._watchers)

    async def month(self) -> tuple[date, list[Day]]:
        """The last thirty days as `month` gives them, at most a minute old: many who ask at once cost one query."""
        async with self._adding_up:
            now = asyncio.get_running_loop().time()
            if self._month is None or now - self._month[0] > _MONTH_KEPT:
                self._month = (now, *await month(self._database))
            return self._month[1:]

    @asynccontextmanager
    async def joined(self, since: int | None) -> AsyncIterator[Watcher]:
        """A watcher, told from ``since`` on. TooManyError when there are too many."""
        if self.is_full:
            raise TooManyError
        one = Watcher(since)
        self._watchers.add(one)
        self._somebody.set()
        try:
            yield one
        finally:
            self._watchers.discard(one)
            if not self._watchers:
                self._somebody.clear()

    async def run(self) -> None:
        """Look and tell until `stopping`; then everybody is told that it is over."""
        wait = BEAT
        while not self._stopping.is_set():
            if not self._watchers:
                await self._until_somebody_comes()
                continue
            try:
                seen = await glance(self._database, self._told, LATEST)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("watching_postponed", extra={"error": type(error).__name__})
                wait = min(wait * 2, _SLOWEST)
            else:
                wait = BEAT
                self.tell(seen)
            await self._rest(wait)
        for one in list(self._watchers):
            self._drop(one)

    def tell(self, seen: Glance) -> None:
        """Tell each watcher what is new to him."""
        figures = counting.figures_of(seen.picture)
        changed = counting.difference(self._figures, figures)
        pace = None if seen.pace == self._pace else seen.pace
        self._latest.extendleft(reversed(seen.moved))
        self._told, self._figures, self._pace = seen.told, figures, seen.pace
        news = News(seen.as_of, seen.told, False, changed, seen.moved, seen.units, pace)
        is_news = bool(changed or seen.moved or pace is not None)
        for one in list(self._watchers):
            if one.is_new:
                one.is_new = False
                missed = tuple(each for each in self._latest if one.since is None or each.heard >= one.since)
                self._put(one, News(seen.as_of, seen.told, True, figures, missed, seen.units, seen.pace))
            elif is_news:
                self._put(one, news)

    def _put(self, one: Watcher, news: News) -> None:
        if one.news.full():
            log.info("watcher_dropped", extra={"watchers": len(self._watchers)})
            self._drop(one)
        else:
            one.news.put_nowait(news)

    def _drop(self, one: Watcher) -> None:
        one.is_dropped = True
        self._watchers.discard(one)
        while one.news.full():
            one.news.get_nowait()
        one.news.put_nowait(None)

    async def _until_somebody_comes(self) -> None:
        waiting = [asyncio.ensure_future(event.wait()) for event in (self._somebody, self._stopping)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waiting:
                one.cancel()

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
