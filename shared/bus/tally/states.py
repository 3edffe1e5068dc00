"""The hearer's part for compacted topics: which state of a key is kept here, beside which was said.

A state has no versions that must follow one another: the highest wins. So it is told by name only, what was sent lately
at once and all others in a rotation, and what is older here than what was said is published again.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared import telemetry
from shared.bus.hearing import Kept
from shared.bus.tally import rules
from shared.bus.tally.asking import kept_while_away
from shared.bus.tally.wire import Asked, Said
from shared.journal import shard_of
from shared.store import Database
from shared.topics import Service, Topic

log = logging.getLogger(__name__)

# What does not fit is passed over: the next rotation tells of it again.
_MOST: Final = 20_000
_AT_A_TIME: Final = 2_000
_IN_A_MESSAGE: Final = 1_000
_ALARM_AFTER: Final = 5


@dataclass(slots=True)
class _Heap:
    fresh: dict[str, int] = field(default_factory=dict)
    due: dict[str, int] = field(default_factory=dict)
    since: float = 0.0

    def clear(self) -> None:
        self.due = {}


@dataclass(slots=True)
class _Older:
    """A key whose state here is older than what was said: how often it was asked for, and when it is again."""

    said: int
    asked: int = 0
    following: float = 0.0


@dataclass(slots=True)
class StateAsker:
    """Compares the states of one compacted topic and asks for newer ones, for one process of a hearer."""

    hearer: Service
    topic: Topic
    kept: Kept
    database: Database
    is_through: Callable[[Topic, int, float], bool | None]
    every: float
    longest: float
    asked: int = 0
    healed: int = 0
    compared: int = 0
    _source: Service | None = None
    _heaps: dict[int, _Heap] = field(default_factory=lambda: defaultdict(_Heap))
    _older: dict[str, _Older] = field(default_factory=dict)
    _look_again: float = 0.0

    @property
    def lacking(self) -> int:
        """Keys of which a newer state was said, and lost."""
        return len(self._older)

    @property
    def unhealed(self) -> int:
        """Those that were asked for again and again."""
        return sum(one.asked >= _ALARM_AFTER for one in self._older.values())

    def take(self, said: Said) -> None:
        """Keep what a speaker said of this topic until it can be compared."""
        self._source = said.source
        room = _MOST - sum(len(heap.fresh) for heap in self._heaps.values())
        for key, rank in said.heads[: max(room, 0)]:
            fresh = self._heaps[shard_of(key)].fresh
            fresh[key] = max(rank, fresh.get(key, 0))

    async def look(self, now: float) -> list[Asked]:
        """Compare what can be compared now; the questions that come of it. ``now`` is the loop's time."""
        if self._older and now >= self._look_again:
            self._look_again = now + min(self.every, 1.0)
            for key, older in self._older.items():
                self._heaps[shard_of(key)].fresh.setdefault(key, older.said)
        due: list[_Heap] = []
        said: dict[str, int] = {}
        for shard, heap in self._heaps.items():
            if not heap.due:
                heap.due, heap.fresh, heap.since = heap.fresh, {}, now
            if not heap.due:
                continue
            through = self.is_through(self.topic, shard, heap.since)
            if through is False:
                continue
            if through:
                said.update(heap.due)
            else:  # another process of this service hears that shard, and looks after it
                self._older = {key: one for key, one in self._older.items() if shard_of(key) != shard}
            due.append(heap)
        with kept_while_away(due):
            return await self._compare(said, now) if said else []

    async def _compare(self, said: Mapping[str, int], now: float) -> list[Asked]:
        self.compared += len(said)
        async with self.database.connection() as connection:
            kept = await self.kept(connection, list(said))
        older = {key: rank for key, rank in said.items() if kept.get(key, 0) < rank}
        healed = [key for key in said if key not in older and key in self._older]
        for key in healed:
            del self._older[key]
        self._tell("streams_healed", len(healed))
        self.healed += len(healed)
        new = [key for key in older if key not in self._older][: _MOST - len(self._older)]
        self._older.update({key: _Older(older[key]) for key in new})
        self._tell("streams_lacking", len(new))
        return self._questions(sorted(older), now)

    def _questions(self, keys: Sequence[str], now: float) -> list[Asked]:
        assert self._source is not None  # it said what was compared
        due = [key for key in keys if key in self._older and now >= self._older[key].following][:_AT_A_TIME]
        for key in due:
            one = self._older[key]
            one.asked += 1
            one.following = now + rules.wait_for(one.asked, self.every, self.longest)
        self._tell("streams_unhealed", sum(self._older[key].asked == _ALARM_AFTER for key in due))
        questions = [
            Asked(self.hearer, self._source, topic=self.topic.name, states=tuple(some))
            for some in rules.in_steps(due, _IN_A_MESSAGE)
        ]
        self.asked += len(questions)
        telemetry.count("control.asked", "{message}", len(questions))
        return questions

    def _tell(self, event: str, streams: int) -> None:
        if not streams:
            return
        fields = {"source": self.topic.name, "streams": streams}
        if event == "streams_healed":
            log.info("streams_healed", extra=fields)
        elif event == "streams_lacking":
            log.warning("streams_lacking", extra=fields)
        else:
            log.error("streams_unhealed", extra=fields)
