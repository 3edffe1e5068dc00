"""An ear: aiokafka's consumer, which knows how far it was heard and loses nothing when a record cannot be read."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    ConsumerStoppedError,
    CorruptRecordException,
    IllegalStateError,
    KafkaError,
    UnsupportedCodecError,
)

from shared.parting import parted

log = logging.getLogger(__name__)

_LONGEST_LOOK_MS = 300
_LONGEST_FAREWELL = 5.0
_LONGEST_COMMIT = 15.0
_LATELY = 15.0
_NOWHERE = TopicPartition("nowhere", 0)


@dataclass(frozen=True, slots=True)
class Turn:
    """Which assignment it is, and how often each partition was begun again in it."""

    assignment: int = 0
    again: Mapping[TopicPartition, int] = field(default_factory=dict)

    def is_still(self, before: Turn, where: TopicPartition) -> bool:
        """True when the position of a partition was not set anew since ``before``."""
        return self.assignment == before.assignment and self.again.get(where) == before.again.get(where)


class Ear:
    """The consumer of one lane, in the place where FastStream wants aiokafka's.

    ``turn`` changes when a position is set anew by somebody else (a rebalance, a topic made anew): what
    was polled before must then neither be committed nor wound back. ``alive`` is the loop's time of the last good poll.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        self._consumer: Any = AIOKafkaConsumer(*args, **options)
        self.turn = Turn()
        self.alive = asyncio.get_running_loop().time()
        self._delivered: dict[TopicPartition, int] = {}
        self._heard: dict[TopicPartition, int] = {}
        self._ends: dict[TopicPartition, int] = {}
        self._measured: dict[TopicPartition, float] = {}
        self._vanished: set[TopicPartition] = set()

    def subscribe(self, topics: Sequence[str] = (), pattern: str | None = None, **_: Any) -> None:
        """Subscribe with a listener of our own; FastStream's only logs, and leaves a sleeping task behind."""
        self._consumer.subscribe(topics, pattern, _Turns(self))

    async def start(self) -> None:
        """Join the group; returns with partitions."""
        await self._consumer.start()

    async def stop(self) -> None:
        """Leave without a word: a static member keeps its place until it times out."""
        await parted(self._consumer.stop(), within=_LONGEST_FAREWELL, client=self._consumer)

    def assignment(self) -> frozenset[TopicPartition]:
        """The partitions that are ours now."""
        return frozenset(self._consumer.assignment())

    def new_turn(self) -> None:
        """Forget positions: all are set anew."""
        self.turn = Turn(self.turn.assignment + 1)
        self._delivered.clear()
        self._heard.clear()
        self._measured.clear()

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """As aiokafka's, but a record that cannot even be taken apart comes as one without key, headers and body.

        aiokafka raises in the middle of draining its buffers and forgets what it had drained from other partitions,
        and the next commit would pass that. Here positions go back to what was delivered.
        """
        try:
            found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = await self._consumer.getmany(
                *partitions, timeout_ms=timeout_ms, max_records=max_records
            )
        except (ConsumerStoppedError, IllegalStateError):
            raise
        except Exception as error:
            if isinstance(error, KafkaError) and not isinstance(error, CorruptRecordException | UnsupportedCodecError):
                raise  # of the broker or the group: nothing was drained yet
            await self._is_led()
            found = await self._one_by_one(max_records or 1)
        self.alive = asyncio.get_running_loop().time()
        for where, records in found.items():
            self._delivered[where] = records[-1].offset + 1
        return found

    async def _is_led(self) -> None:
        """KafkaError when the consumer's own work in its group has ended: no record is to blame for what it raises.

        Asked for a partition that is nobody's, it drains nothing and raises only what has ended it.
        """
        try:
            await self._consumer.getmany(_NOWHERE)
        except Exception as error:
            raise KafkaError(f"the consumer's work in its group has ended: {type(error).__name__}") from error

    async def _one_by_one(self, most: int) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        """Records one at a time until the one is found that cannot be read; it is passed over, and told of."""
        everywhere = sorted(self.assignment())
        # All of them at once, before anything can fail: what was drained of a neighbour must not be passed over.
        # aiokafka's own seek_to_committed stays where it is when nothing, or the very beginning, is committed.
        for where in everywhere:
            self._consumer.seek(where, self._delivered.get(where, 0))
        for where in everywhere:
            if where not in self._delivered:
                self._consumer.seek(where, await self._consumer.committed(where) or 0)
        found: dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]] = {}
        for where in everywhere:
            while sum(map(len, found.values())) < most:
                try:
                    one = await self._consumer.getmany(where, timeout_ms=_LONGEST_LOOK_MS, max_records=1)
                except (ConsumerStoppedError, IllegalStateError):
                    raise
                except Exception as error:  # whatever a parser raises
                    await self._is_led()
                    found.setdefault(where, []).append(await self._pass_over(where, error))
                    return found
                if not one:
                    break
                found.setdefault(where, []).extend(one[where])
        return found

    async def _pass_over(self, where: TopicPartition, error: Exception) -> ConsumerRecord[bytes, bytes]:
        offset: int = await self._consumer.position(where)
        log.error(
            "record_unreadable",
            extra={
                "topic": where.topic,
                "partition": where.partition,
                "offset": offset,
                "error": type(error).__name__,
            },
        )
        self._consumer.seek(where, offset + 1)
        return ConsumerRecord(where.topic, where.partition, offset, 0, 0, None, None, None, -1, -1, ())

    def wind_back(self, raw: Sequence[ConsumerRecord[bytes, bytes]], turn: Turn) -> None:
        """Poll these again, unless positions were set anew since: then polling starts at what is committed."""
        first: dict[TopicPartition, int] = {}
        for one in raw:
            where = TopicPartition(one.topic, one.partition)
            first[where] = min(first.get(where, one.offset), one.offset)
        for where, offset in first.items():
            if not self.turn.is_still(turn, where):
                continue
            try:
                self._consumer.seek(where, offset)
            except IllegalStateError:
                continue  # not ours any more
            self._delivered[where] = offset

    async def commit_heard(self, raw: Sequence[ConsumerRecord[bytes, bytes]], turn: Turn) -> None:
        """Commit what comes after these, explicitly: the consumer's own position may be further."""
        last = {(one.topic, one.partition): one.offset for one in raw}  # of a partition they come in their order
        following = {
            where: offset + 1
            for where, offset in ((TopicPartition(*place), offset) for place, offset in last.items())
            if self.turn.is_still(turn, where)
        }
        if not following:
            return
        self._heard.update(following)
        try:
            async with asyncio.timeout(_LONGEST_COMMIT):
                await self._consumer.commit(following)
        except (KafkaError, IllegalStateError, TimeoutError) as error:
            # The partitions went to somebody else, the broker is away, or the topic is gone (of which aiokafka tries to
            # commit without end): whoever hears them next will hear repeats, and drop them.
            log.info("offsets_not_committed", extra={"error": type(error).__name__})

    async def begin_again(self, where: TopicPartition) -> None:
        """Hear a partition from its beginning. KafkaError or IllegalStateError when it is not ours, or away."""
        self.turn = Turn(self.turn.assignment, {**self.turn.again, where: self.turn.again.get(where, 0) + 1})
        self._consumer.seek(where, 0)
        self._delivered[where] = self._heard[where] = 0
        await self._consumer.commit({where: 0})

    async def measure(self) -> None:
        """Ask where partitions end, and from where they are heard before their first batch. KafkaError when away.

        A partition that begins or ends elsewhere than where it was heard was truncated: it goes on at its beginning,
        and what vanished is told of by `vanished`.
        """
        turn, everywhere = self.turn, self.assignment()
        asked, before = asyncio.get_running_loop().time(), dict(self._heard)
        ends = await self._consumer.end_offsets(list(everywhere))
        unsure = [where for where in everywhere if before.get(where) != ends[where]]
        beginnings = await self._consumer.beginning_offsets(unsure) if unsure else {}
        for where in unsure:
            if where not in self._heard:
                committed = await self._consumer.committed(where)
                if self.turn.is_still(turn, where):
                    self._heard.setdefault(where, beginnings[where] if committed is None else committed)
            elif where in before and self.turn.is_still(turn, where) and not self._is_in_flight(where):
                self._go_on_behind(where, before[where], beginnings[where], ends[where])
        self._ends = ends
        self._measured = dict.fromkeys(ends, asked)

    def _is_in_flight(self, where: TopicPartition) -> bool:
        return self._heard[where] < self._delivered.get(where, 0)

    def _go_on_behind(self, where: TopicPartition, heard: int, beginning: int, end: int) -> None:
        if beginning <= heard <= end or self._heard[where] != heard:
            return
        log.warning(
            "records_vanished",
            extra={
                "topic": where.topic,
                "partition": where.partition,
                "heard": heard,
                "beginning": beginning,
                "end": end,
            },
        )
        # The consumer does so itself when it is refused a position beyond the end; where the partition was filled up
        # to there meanwhile it never is, and waits behind what it has not heard until something more comes.
        try:
            self._consumer.seek(where, beginning)
        except IllegalStateError:
            return  # not ours any more
        self._heard[where] = self._delivered[where] = beginning
        self.note_vanished(where)

    def is_through(self, where: TopicPartition, since: float) -> bool:
        """True when all was heard that a partition held at ``since`` (the loop's time). Nothing is in flight then."""
        if self._measured.get(where, since - 1) < since or where not in self._heard:
            return False
        return self._heard[where] >= self._ends[where] and not self._is_in_flight(where)

    def note_vanished(self, where: TopicPartition) -> None:
        """Records of a partition went away, and nobody can say whether they were heard."""
        self._vanished.add(where)

    def vanished(self) -> set[TopicPartition]:
        """Partitions of which records went away unheard, perhaps, since this was asked last."""
        told, self._vanished = self._vanished, set()
        return told

    def lag(self) -> dict[str, int]:
        """Records not yet heard, for each topic. A partition that was not measured yet, or not lately, is behind by one
        at least: while the broker is away nobody knows."""
        behind: dict[str, int] = {}
        lately = asyncio.get_running_loop().time() - _LATELY
        for where in self.assignment():
            end, heard = self._ends.get(where), self._heard.get(where)
            if end is None or heard is None or heard > end:
                count = 1
            else:
                count = max(end, self._consumer.highwater(where) or 0) - heard
            if self._measured.get(where, 0.0) < lately:
                count = max(count, 1)
            behind[where.topic] = behind.get(where.topic, 0) + count
        return behind


class _Turns(ConsumerRebalanceListener):
    def __init__(self, ear: Ear) -> None:
        self._ear = ear

    def on_partitions_revoked(self, _: Any) -> None:
        self._ear.new_turn()

    def on_partitions_assigned(self, _: Any) -> None:
        self._ear.new_turn()
