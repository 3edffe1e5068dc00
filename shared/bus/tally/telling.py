"""The speaker's part: say how much was said, answer who asks, and publish again what a hearer lacks.

What the relay sent since the last beat is told by name: that costs nothing, and a lost last event is found within a
beat. Everything else is told in ranges of the subjects in their order, by bucket, so that all of it was told once in a
rotation. A bucket with a subject that was sent lately is told by its heads, too: its sum would be old when it is read.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from shared import journal, outbox, telemetry
from shared.bus.tally import rules
from shared.bus.tally.wire import Asked, Bucket, Head, Lack, Message, NeverSaid, Place, Said, Tallied
from shared.journal import shard_of
from shared.outbox import Relay, said
from shared.store import Database
from shared.topics import PARTITIONS, Service

log = logging.getLogger(__name__)

_RANGE: Final = 6_000
_HEADS: Final = 2_000
_LATELY: Final = 5_000
_MOST_LATELY: Final = 50_000
# While more than this waits to be sent, nothing is tallied and nothing is published again: it would only wait longer.
_MOST_UNSENT: Final = 10_000
_MOST_AHEAD: Final = 10_000


@dataclass(slots=True)
class _Walk:
    """Through all subjects in their order, a range at a time."""

    low: str = ""

    async def ranges(self, database: Database, count: int) -> list[tuple[str, str | None]]:
        """The next ranges; at the end it begins again, and stops there."""
        found: list[tuple[str, str | None]] = []
        async with database.connection() as connection:
            for _ in range(count):
                high = await said.range_end(connection, self.low, _RANGE)
                found.append((self.low, high))
                self.low = high or ""
                if high is None:
                    break
        return found


@dataclass(slots=True)
class Teller:
    """Tells for one process of a speaker, of the shards that its relay holds.

    ``every``: seconds between two beats; ``rotation``: in which everything is told once.
    """

    service: Service
    relay: Relay
    database: Database
    every: float
    rotation: float
    published_again: int = 0
    _following: float = 0.0
    _walk: _Walk = field(default_factory=_Walk)
    _again: list[tuple[str, str | None]] = field(default_factory=list)
    _moved: tuple[set[str], set[str]] = field(default_factory=lambda: (set(), set()))
    _doubted: dict[int, None] = field(default_factory=dict)
    _doubt: _Walk | None = None
    _doubting: tuple[int, ...] = ()
    _answered: dict[Place, float] = field(default_factory=dict)
    _published: dict[Lack, float] = field(default_factory=dict)
    _published_states: dict[tuple[str, str], float] = field(default_factory=dict)
    _state: tuple[str, str] = ("", "")
    _ahead: dict[str, int] = field(default_factory=dict)

    @property
    def ahead(self) -> int:
        """Streams of which a hearer has heard more than was said here: this store was restored from an older copy."""
        return len(self._ahead)

    async def look(self, now: float) -> list[Message]:
        """What is to be told now. ``now`` is the loop's time."""
        if self.relay.lately is None:
            self.relay.lately = {}
        is_beat = now >= self._following
        if not is_beat and len(self.relay.lately) < _LATELY:
            return await self._doubted_ranges()
        told: list[Message] = []
        sent, self.relay.lately = self.relay.lately, {}
        try:
            told += self._lately(sent)
            if is_beat:
                self._following = now + self.every
                told += await self._beat()
            told += await self._doubted_ranges()
        except BaseException:  # the database is away: what was sent is told by name with the next beat
            for key, height in sent.items():
                self.relay.lately[key] = max(height, self.relay.lately.get(key, 0))
            raise
        if not is_beat:
            return told
        self._moved = (set(), self._moved[0])
        self._answered = {place: until for place, until in self._answered.items() if until > now}
        self._published = {lack: until for lack, until in self._published.items() if until > now}
        self._published_states = {key: until for key, until in self._published_states.items() if until > now}
        return told

    def _lately(self, sent: Mapping[tuple[str | None, str], int]) -> list[Said]:
        heads: dict[str | None, list[Head]] = {}
        for (topic, subject), height in sent.items():
            heads.setdefault(topic, []).append((subject, height))
        if len(self._moved[0]) < _MOST_LATELY:
            self._moved[0].update(subject for subject, _ in heads.get(None, ()))
        return [said for topic, some in heads.items() for said in self._said(some, topic)]

    def _said(self, heads: list[Head], topic: str | None = None) -> list[Said]:
        return [Said(self.service, tuple(some), topic) for some in rules.in_steps(heads, _HEADS)]

    async def _beat(self) -> list[Message]:
        if not self.relay.held or await self._is_busy():
            return []
        async with self.database.connection() as connection:
            streams, states = await said.streams_about(connection)
        count = max(1, round(streams / _RANGE * self.every / self.rotation + 0.5))
        ranges = await self._walk.ranges(self.database, count)
        # Told twice in a row: a bucket that differs in both was not merely heard on between two looks.
        both, self._again = list(dict.fromkeys([*self._again, *ranges])), ranges
        told = [message for low, high in both for message in await self._range(low, high, self.relay.held)]
        return [*told, *await self._states(max(_HEADS, round(states * self.every / self.rotation + 0.5)))]

    async def _states(self, count: int) -> list[Said]:
        """The next states on compacted topics, by name; at the end it begins again."""
        async with self.database.connection() as connection:
            found = await said.said_states(connection, self._state, count)
        self._state = found[-1][:2] if len(found) == count else ("", "")
        heads: dict[str, list[Head]] = {}
        for topic, subject, height in found:
            if shard_of(subject) in self.relay.held:
                heads.setdefault(topic, []).append((subject, height))
        return [one for topic, some in heads.items() for one in self._said(some, topic)]

    async def _is_busy(self) -> bool:
        async with self.database.connection() as connection:
            # What a partition that takes nothing has waiting is no reason to keep silent about the others.
            return (await outbox.depth(connection, self.relay.left_alone())).unsent > _MOST_UNSENT

    async def _range(self, low: str, high: str | None, shards: Collection[int]) -> list[Message]:
        """Tallies of a range, and the heads of its buckets in which something moves."""
        moving = {
            rules.bucket_of(subject)
            for moved in self._moved
            for subject in moved
            if low <= subject and (high is None or subject < high)
        }
        moving = {number for number in moving if rules.shard_of_bucket(number) in shards}
        async with self.database.connection() as connection:
            recorded = await journal.instant(connection)
            tallies = await said.said_tallies(connection, low, high, sorted(shards), rules.BUCKETS)
            heads = await said.said_heads(connection, low, high, sorted(moving), rules.BUCKETS) if moving else []
        found = {one.bucket: Bucket(one.bucket, one.subjects, one.versions, one.digest) for one in tallies}
        # A bucket of which nothing was said is told of too: a hearer may have heard something.
        buckets = tuple(
            found.get(number, Bucket(number, 0, 0, f"{0:016x}"))
            for number in range(rules.BUCKETS)
            if rules.shard_of_bucket(number) in shards and number not in moving
        )
        return [Tallied(self.service, recorded, low, high, buckets, tuple(sorted(moving))), *self._said(heads)]

    async def _doubted_ranges(self) -> list[Message]:
        """One range more of the shards whose records went away under a hearer, until all of theirs are told."""
        if self._doubt is None:
            wanted = tuple(self._doubted.keys() & self.relay.held)
            if not wanted:
                return []
            self._doubt, self._doubting = _Walk(), wanted
            for shard in wanted:
                del self._doubted[shard]
        shards = [shard for shard in self._doubting if shard in self.relay.held]
        if not shards:
            if self.relay.held:  # they are another's now; while none is held, a session may be about to begin
                self._doubted.update(dict.fromkeys(self._doubting))
                self._doubt = None
            return []
        if await self._is_busy():
            return []
        following = _Walk(self._doubt.low)
        ((low, high),) = await following.ranges(self.database, 1)
        told = await self._range(low, high, shards)
        self._doubt = following if high is not None else None
        return told

    async def answer(self, asked: Asked, now: float) -> list[Message]:
        """What a hearer's question is answered with at once; what it lacks is published again."""
        if asked.source is not self.service:
            return []
        # Who holds a shard may be about to lose it, and who holds none to get it: it is kept until it is told of.
        self._doubted.update(dict.fromkeys(shard for shard in asked.shards if 0 <= shard < PARTITIONS))
        if not self.relay.held:
            return []
        if asked.heard:
            await self._look_for_ahead(asked)
        if asked.lacking:
            await self._publish(asked.lacking, now)
        if asked.states and asked.topic:
            await self._publish_states(asked.topic, asked.states, now)
        never = await self._look_for_never_said(asked)
        return [*never, *await self._heads_of(asked.places, now)]

    async def _heads_of(self, places: Collection[Place], now: float) -> list[Message]:
        """Said to all hearers: who asks for the same a moment later has his answer already."""
        ranges: dict[tuple[str, str | None], list[int]] = {}
        for place in places:
            if place not in self._answered and rules.shard_of_bucket(place.number) in self.relay.held:
                self._answered[place] = now + self.every / 2
                ranges.setdefault((place.low, place.high), []).append(place.number)
        told: list[Message] = []
        for (low, high), numbers in ranges.items():
            async with self.database.connection() as connection:
                told += self._said(await said.said_heads(connection, low, high, numbers, rules.BUCKETS))
        return told

    async def _look_for_ahead(self, asked: Asked) -> None:
        async with self.database.connection() as connection:
            found = await said.ahead(connection, asked.heard)
        new = [subject for subject, _, _ in found if subject not in self._ahead]
        for subject, _ in asked.heard:
            self._ahead.pop(subject, None)
        for subject, heard, _ in found[: _MOST_AHEAD - len(self._ahead)]:
            self._ahead[subject] = heard
        if new:
            # Nothing is guessed: which of the two is right, the restored store or the hearer, is for people to say.
            log.critical("hearer_ahead", extra={"hearer": asked.hearer.value, "streams": len(new)})

    async def _look_for_never_said(self, asked: Asked) -> list[NeverSaid]:
        """Of what is parked or dead at a hearer, that which was never said here: nothing can heal that difference."""
        held = [head for head in asked.held if shard_of(head[0]) in self.relay.held]
        if not held or asked.at is None:
            return []
        async with self.database.connection() as connection:
            found = [(subject, height) for subject, _, height in await said.ahead(connection, held)]
        return [NeverSaid(self.service, asked.hearer, tuple(some), asked.at) for some in rules.in_steps(found, _HEADS)]

    async def _publish(self, lacks: Collection[Lack], now: float) -> None:
        """What several hearers lack is published once; while much is unsent, they ask again later."""
        new = [lack for lack in lacks if lack not in self._published and shard_of(lack.subject) in self.relay.held]
        if not new or await self._is_busy():
            return
        count = await outbox.republish_versions(self.database, [(one.subject, one.first, one.last) for one in new])
        self._published.update(dict.fromkeys(new, now + self.every))
        self._tell(count, len({one.subject for one in new}))

    async def _publish_states(self, topic: str, keys: Collection[str], now: float) -> None:
        new = [key for key in keys if (topic, key) not in self._published_states and shard_of(key) in self.relay.held]
        if not new or await self._is_busy():
            return
        count = await outbox.republish_states(self.database, topic, new)
        self._published_states.update({(topic, key): now + self.every for key in new})
        self._tell(count, len(new))

    def _tell(self, count: int, streams: int) -> None:
        if count:
            self.published_again += count
            telemetry.count("event.published_again", "{event}", count)
            log.warning("events_published_again", extra={"events": count, "streams": streams})
