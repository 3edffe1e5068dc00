"""The hearer's part: keep what speakers say until its lag is gone, compare, and ask for what is lacking.

What a speaker says was acknowledged by the broker before. So when everything is heard that a partition held at a later
instant, and something that was said is not here, it is lost. More than that may have been heard meanwhile, and is fine.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeAlias

from shared import journal, telemetry
from shared.bus import held
from shared.bus.tally import rules
from shared.bus.tally.rules import Standing
from shared.bus.tally.wire import Asked, Bucket, Lack, NeverSaid, Place, Said, Tallied
from shared.journal import shard_of
from shared.store import Database, is_transient
from shared.topics import PARTITIONS, TOPIC_OF, Service, Topic

log = logging.getLogger(__name__)

IsThrough: TypeAlias = Callable[[Topic, int, float], bool | None]
Shard: TypeAlias = tuple[Service, int]

# What is kept in memory is bounded: what does not fit is passed over, and its whole shard is asked for afterwards.
_MOST_HEADS: Final = 20_000
_MOST_LACKING: Final = 20_000
# No more streams are asked for at a time: the next ones are when these are healed.
_AT_A_TIME: Final = 2_000
_IN_A_MESSAGE: Final = 500
_PLACES_IN_A_MESSAGE: Final = 50
_HELD_IN_A_MESSAGE: Final = 2_000
# A bucket that merely differs may have been heard on since it was counted. Then the next beat tells of it as moving;
# one that is told of twice, and did not move in between, differs for certain.
_SURE_AFTER: Final = 2
_ALARM_AFTER: Final = 5


class Heap(Protocol):
    """What was said, and waits to be compared."""

    def clear(self) -> None:
        """Forget what is due."""


@contextmanager
def kept_while_away(due: Iterable[Heap]) -> Iterator[None]:
    """Forget what was compared, unless the database was away: then it is compared at the next look. What fails in any
    other way would fail for ever."""
    try:
        yield
    except Exception as error:
        if is_transient(error):
            raise
        for heap in due:
            heap.clear()
        raise
    for heap in due:
        heap.clear()


@dataclass(slots=True)
class _Heap:
    """What was said of a shard and is not compared yet; ``since``: the loop's time when the last of ``due`` came."""

    fresh_heads: dict[str, int] = field(default_factory=dict)
    fresh_buckets: dict[Place, Bucket] = field(default_factory=dict)
    heads: dict[str, int] = field(default_factory=dict)
    buckets: dict[Place, Bucket] = field(default_factory=dict)
    since: float = 0.0

    @property
    def is_due(self) -> bool:
        return bool(self.heads or self.buckets)

    def clear(self) -> None:
        self.heads, self.buckets = {}, {}

    def promote(self, now: float) -> None:
        self.heads, self.fresh_heads = self.fresh_heads, {}
        self.buckets, self.fresh_buckets = self.fresh_buckets, {}
        self.since = now


@dataclass(slots=True)
class _Lacking:
    """A stream that is behind although nothing is unheard: how often it was asked for, and when it is again."""

    said: int
    asked: int = 0
    following: float = 0.0

    @property
    def is_unhealed(self) -> bool:
        return self.asked >= _ALARM_AFTER


@dataclass(slots=True)
class _Differing:
    """A bucket that differs: in how many tallies in a row, how often it was asked for, and when it is again."""

    seen: int = 0
    asked: int = 0
    following: float = 0.0
    last_seen: float = 0.0


@dataclass(slots=True)
class Asker:
    """Compares and asks for one process of a hearer. ``every`` and ``longest``: seconds between two questions."""

    hearer: Service
    sources: frozenset[Service]
    database: Database
    is_through: IsThrough
    every: float
    longest: float
    asked: int = 0
    healed: int = 0
    compared: int = 0
    _heaps: dict[Shard, _Heap] = field(default_factory=lambda: defaultdict(_Heap))
    _lacking: dict[tuple[Service, str], _Lacking] = field(default_factory=dict)
    _differing: dict[tuple[Service, Place], _Differing] = field(default_factory=dict)
    _whole: set[Shard] = field(default_factory=set)
    _overflown: set[Shard] = field(default_factory=set)
    _never_said: list[NeverSaid] = field(default_factory=list)
    _look_again: float = 0.0

    @property
    def lacking(self) -> int:
        """Streams of which something is known to be missing."""
        return len(self._lacking)

    @property
    def unhealed(self) -> int:
        """Streams and buckets that still differ although they were asked for again and again."""
        streams = sum(one.is_unhealed for one in self._lacking.values())
        return streams + sum(one.asked >= _ALARM_AFTER for one in self._differing.values())

    def take(self, message: Said | Tallied | NeverSaid) -> None:
        """Keep what a speaker said until it can be compared."""
        if message.source not in self.sources:
            return
        if isinstance(message, NeverSaid):
            room = _MOST_HEADS - sum(len(one.heads) for one in self._never_said)
            if message.hearer is self.hearer and len(message.heads) <= room:
                self._never_said.append(message)  # what does not fit is asked for again
            return
        if isinstance(message, Said):
            room = _MOST_HEADS - sum(len(heap.fresh_heads) for heap in self._heaps.values())
            for subject, version in message.heads:
                shard = (message.source, shard_of(subject))
                heads = self._heaps[shard].fresh_heads
                if subject in heads or room > 0:
                    room -= subject not in heads
                    heads[subject] = max(version, heads.get(subject, 0))
                else:
                    self._overflown.add(shard)
            return
        for bucket in message.buckets:
            heap = self._heaps[message.source, rules.shard_of_bucket(bucket.number)]
            heap.fresh_buckets[Place(message.low, message.high, bucket.number)] = bucket
        for number in message.moving:
            self._forget(message.source, Place(message.low, message.high, number))

    def _forget(self, source: Service, place: Place) -> None:
        """Something moves in a bucket: what was told of it as a whole is old."""
        heap = self._heaps[source, rules.shard_of_bucket(place.number)]
        heap.fresh_buckets.pop(place, None)
        heap.buckets.pop(place, None)
        if (source, place) in self._differing:
            self._differing[source, place].seen = 0

    def doubt(self, shards: Iterable[Shard]) -> None:
        """Records of shards went away: their speaker is asked to tally all of them now."""
        self._whole.update(shard for shard in shards if shard[0] in self.sources)

    async def look(self, now: float) -> list[Asked]:
        """Compare what can be compared now; the questions that come of it. ``now`` is the loop's time."""
        await self._mark()
        if now >= self._look_again:
            self._look_again = now + min(self.every, 1.0)
            for (source, subject), lacking in self._lacking.items():
                self._heaps[source, shard_of(subject)].fresh_heads.setdefault(subject, lacking.said)
            # Ranges end elsewhere as streams come; a bucket of one that is told of no more is no bucket.
            for key in [key for key, one in self._differing.items() if now - one.last_seen > 2 * self.longest]:
                del self._differing[key]
        due: list[_Heap] = []
        heads: dict[Service, dict[str, int]] = defaultdict(dict)
        ranges: dict[tuple[Service, str, str | None], dict[int, Bucket]] = defaultdict(dict)
        for (source, shard), heap in self._heaps.items():
            if not heap.is_due:
                heap.promote(now)
            if not heap.is_due:
                continue
            through = self.is_through(TOPIC_OF[source], shard, heap.since)
            if through is False:
                continue
            if through:
                heads[source].update(heap.heads)
                for place, bucket in heap.buckets.items():
                    ranges[source, place.low, place.high][place.number] = bucket
            else:
                self._leave(source, shard)
            due.append(heap)
        with kept_while_away(due):
            asked = [question for source, said in heads.items() for question in await self._heads(source, said, now)]
            for (source, low, high), buckets in ranges.items():
                asked += await self._buckets(source, low, high, buckets, now)
        asked += self._shards()
        self.asked += len(asked)
        telemetry.count("control.asked", "{message}", len(asked))
        return asked

    async def _mark(self) -> None:
        """What speakers never said does not count as there any more."""
        while self._never_said:
            answer = self._never_said[0]
            async with self.database.transaction() as tx:
                marked = await held.mark_never_said(tx, answer.source, dict(answer.heads), answer.at)
            self._never_said.pop(0)
            if marked:
                log.warning("never_said", extra={"source": answer.source.value, "streams": marked})

    def _leave(self, source: Service, shard: int) -> None:
        """Another process of this service hears that shard now, and looks after it."""
        for key in [key for key in self._lacking if key[0] is source and shard_of(key[1]) == shard]:
            del self._lacking[key]
        for place in [each for each in self._differing if each[0] is source]:
            if rules.shard_of_bucket(place[1].number) == shard:
                del self._differing[place]

    async def _heads(self, source: Service, said: dict[str, int], now: float) -> list[Asked]:
        """Compare subjects, and ask for what is missing of them."""
        if not said:
            return []
        self.compared += len(said)
        async with self.database.connection() as connection:
            behind = {one.subject: one for one in await held.behind(connection, source, said)}
        wanted: dict[str, list[Lack]] = {}
        for subject, one in behind.items():
            lacks = rules.lacking(subject, one.said, one.heard, one.held)
            if lacks:
                wanted[subject] = lacks
        healed = [subject for subject in said if subject not in wanted and (source, subject) in self._lacking]
        for subject in healed:
            del self._lacking[source, subject]
        if healed:
            self.healed += len(healed)
            log.info("streams_healed", extra={"source": source.value, "streams": len(healed)})
        new = 0
        for subject in wanted:
            if (source, subject) in self._lacking:
                self._lacking[source, subject].said = max(said[subject], self._lacking[source, subject].said)
            elif len(self._lacking) < _MOST_LACKING:
                self._lacking[source, subject] = _Lacking(said[subject])
                new += 1
            else:
                self._overflown.add((source, shard_of(subject)))
        if new:
            log.warning("streams_lacking", extra={"source": source.value, "streams": new})
        return self._lacks(source, wanted, now)

    def _lacks(self, source: Service, wanted: dict[str, list[Lack]], now: float) -> list[Asked]:
        under_way = sum(
            1 for one in self._lacking.values() if one.asked and now < one.following and not one.is_unhealed
        )
        lacks: list[Lack] = []
        alarmed = 0
        for subject in sorted(wanted):
            one = self._lacking.get((source, subject))
            if one is None or now < one.following or under_way >= _AT_A_TIME:
                continue
            lacks += wanted[subject]
            one.asked += 1
            one.following = now + rules.wait_for(one.asked, self.every, self.longest)
            under_way += 1
            alarmed += one.asked == _ALARM_AFTER
        if alarmed:
            log.error("streams_unhealed", extra={"source": source.value, "streams": alarmed})
        return [Asked(self.hearer, source, lacking=tuple(some)) for some in rules.in_steps(lacks, _IN_A_MESSAGE)]

    async def _buckets(
        self, source: Service, low: str, high: str | None, theirs: dict[int, Bucket], now: float
    ) -> list[Asked]:
        """Compare buckets of a range, and ask for the heads of those that differ."""
        self.compared += len(theirs)
        async with self.database.connection() as connection:
            ours = await held.heard_tallies(connection, source, low, high, sorted(theirs), rules.BUCKETS)
        wanted: list[Place] = []
        for number, bucket in sorted(theirs.items()):
            place = Place(low, high, number)
            mine = ours.get(number)
            our_bucket = Bucket(mine.bucket, mine.subjects, mine.versions, mine.digest) if mine else None
            stands = rules.standing(bucket, our_bucket)
            if stands is Standing.EVEN:
                self._differing.pop((source, place), None)
            elif self._is_asked_for(source, place, stands, now):
                wanted.append(place)
        if not wanted:
            return []
        log.warning("buckets_differ", extra={"source": source.value, "buckets": len(wanted)})
        questions = []
        for places in rules.in_steps(wanted, _PLACES_IN_A_MESSAGE):
            numbers = [place.number for place in places]
            async with self.database.connection() as connection:
                heard = await held.heard_heads(connection, source, low, high, numbers, rules.BUCKETS)
                aside = await held.held_heads(connection, source, low, high, numbers, rules.BUCKETS)
                at = await journal.instant(connection)
            questions.append(Asked(self.hearer, source, places=tuple(places)))
            questions += [
                Asked(self.hearer, source, heard=tuple(some)) for some in rules.in_steps(heard, _HELD_IN_A_MESSAGE)
            ]
            questions += [
                Asked(self.hearer, source, held=tuple(some), at=at)
                for some in rules.in_steps(aside, _HELD_IN_A_MESSAGE)
            ]
        return questions

    def _is_asked_for(self, source: Service, place: Place, stands: Standing, now: float) -> bool:
        if len(self._differing) >= _MOST_LACKING and (source, place) not in self._differing:
            self._overflown.add((source, rules.shard_of_bucket(place.number)))
            return False
        one = self._differing.setdefault((source, place), _Differing())
        one.seen, one.last_seen = one.seen + 1, now
        if (stands is not Standing.BEHIND and one.seen < _SURE_AFTER) or now < one.following:
            return False
        one.asked += 1
        one.following = now + rules.wait_for(one.asked, self.every, self.longest)
        if one.asked == _ALARM_AFTER:
            log.error("bucket_unhealed", extra={"source": source.value, "low": place.low, "bucket": place.number})
        return True

    def _shards(self) -> list[Asked]:
        """Ask for whole shards: those whose records went away, and those of which not everything could be kept."""
        if self._overflown and not self._lacking and not any(heap.is_due for heap in self._heaps.values()):
            self._whole |= self._overflown
            self._overflown.clear()
        wanted: dict[Service, list[int]] = defaultdict(list)
        for source, shard in sorted(self._whole):
            wanted[source].append(shard)
        self._whole.clear()
        return [Asked(self.hearer, source, shards=tuple(shards)) for source, shards in wanted.items()]


def shard_named(topic: str, partition: int) -> Shard | None:
    """The shard of a partition; None for a topic that is no speaker's own, or has fewer shards."""
    for source, each in TOPIC_OF.items():
        if each.name == topic and partition < PARTITIONS:
            return source, partition
    return None
