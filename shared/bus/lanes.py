"""Lanes: loops of one consumer and one connection each, over disjoint partitions of the topics that a service hears.

FastStream brings the consumer, its group and its life; the records stay raw bytes, because its own decoding costs as
much as all the rest and one bad header would taint a batch. Its traps that are met here: it logs and *swallows* what a
handler raises and polls on, so a batch that failed is tried again in place or its partitions are wound back; its
acknowledgements commit the current position, so offsets are committed explicitly, after the database.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import IllegalStateError, KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.message import StreamMessage

from shared import telemetry
from shared.bus import hearing
from shared.bus.hearing import Hearer, Heeded
from shared.envelope import Record
from shared.events import TOPIC_OF, Topic
from shared.store import Database, is_transient

log = logging.getLogger(__name__)

_BATCH: Final = 2000
_POLL_MS: Final = 50
# aiokafka gives a member up when it does not poll for this long; a batch is tried again in place for half of it, and
# then its partitions are wound back, so that the loop polls.
_POLL_INTERVAL: Final = 120.0
_SAME_ERROR_IN_A_ROW: Final = 5
_SWEEP: Final = 5.0
_LARGEST_FETCH: Final = 11 * 1024 * 1024


class BrokerAwayError(Exception):
    """The broker does not answer."""


class HearingStoppedError(Exception):
    """The same error came on several subjects in a row: a bad release, not bad events."""


@dataclass(slots=True)
class _Row:
    """Guilty records in a row, kept in memory until it is clear that it is they who are guilty, not this release."""

    kind: str = ""
    subjects: set[bytes] = field(default_factory=set)
    guilty: list[tuple[Record, Exception]] = field(default_factory=list)

    def add(self, record: Record, error: Exception) -> None:
        kind = hearing.signature(error)
        if kind != self.kind:
            self.kind, self.subjects = kind, set()
        self.subjects.add(record.key or b"")
        self.guilty.append((record, error))
        if len(self.subjects) >= _SAME_ERROR_IN_A_ROW:
            raise HearingStoppedError(kind)

    def clear(self) -> None:
        self.kind = ""
        self.subjects.clear()
        self.guilty.clear()


@dataclass(slots=True)
class Bus:
    """A service's ear: `start`, then it hears until `stop`. ``stopped`` says why it hears no more, if it does not."""

    hearer: Hearer
    database: Database
    kafka: str
    lanes: int = 2
    slot: int = 0
    stopped: str | None = None
    heard: int = 0
    _broker: KafkaBroker | None = None
    _subscribers: list[Any] = field(default_factory=list)
    _consumers: list[Any] = field(default_factory=list)
    _positions: dict[tuple[str, int], int] = field(default_factory=dict)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _known: set[str] = field(default_factory=set)

    async def start(self) -> None:
        """Join the consumer group and hear. BrokerAwayError when the broker does not answer: try again."""
        broker = KafkaBroker(
            self.kafka,
            apply_types=False,
            logger=logging.getLogger("lienthong.bus"),
            log_level=logging.DEBUG,
            enable_idempotence=True,
            allow_auto_create_topics=False,
        )
        topics = [TOPIC_OF[source] for source in sorted(self.hearer.sources)]
        # The widest ear first: co-partitioned topics go to a lane together, so that a subject has one holder.
        for lane in range(self.lanes):
            self._listen(broker, topics, f"{self.hearer.service.value}", lane)
        if self.hearer.states:
            self._listen_states(broker)
        self._broker = broker
        try:
            await broker.start()
        except (KafkaError, OSError) as error:
            await broker.stop()
            raise BrokerAwayError(type(error).__name__) from error
        self._consumers = [subscriber.consumer for subscriber in self._subscribers]
        # What was parked for words of a newer release is tried again at start: this may be that release.
        self._tasks.append(asyncio.create_task(self._sweep(), name="sweep"))

    async def stop(self) -> None:
        """Leave: the batch in flight is finished first. A static member keeps its partitions until it times out."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker is not None:
            await self._broker.stop()

    def lag(self) -> dict[str, int]:
        """Records not yet heard, for each topic that this process holds partitions of."""
        behind: dict[str, int] = {}
        for consumer in self._consumers:
            if consumer is None:
                continue
            for partition in consumer.assignment():
                end = consumer.highwater(partition)
                if end is None:
                    continue
                position = self._positions.get((partition.topic, partition.partition))
                # Before the first batch of a partition nothing is known but what the consumer fetched.
                behind[partition.topic] = behind.get(partition.topic, 0) + max(end - (position or 0), 0)
        return behind

    def _listen(self, broker: KafkaBroker, topics: Sequence[Topic], group: str, lane: int) -> None:
        subscriber = broker.subscriber(
            *(topic.name for topic in topics),
            batch=True,
            group_id=group,
            group_instance_id=f"{group}-{self.slot}-{lane}",
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            max_records=_BATCH,
            batch_timeout_ms=_POLL_MS,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=int(_POLL_INTERVAL * 1000),
            max_partition_fetch_bytes=_LARGEST_FETCH,
            partition_assignment_strategy=(RangePartitionAssignor,),
            parser=_raw_parser,
            decoder=_raw_decoder,
        )

        self._subscribers.append(subscriber)

        @subscriber
        async def hear(records: tuple[ConsumerRecord[bytes, bytes], ...]) -> None:
            await self._heed(subscriber.consumer, records)

    def _listen_states(self, broker: KafkaBroker) -> None:
        group = f"{self.hearer.service.value}.states"
        subscriber = broker.subscriber(
            *(topic.name for topic in self.hearer.states),
            batch=True,
            group_id=group,
            group_instance_id=f"{group}-{self.slot}",
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            max_records=_BATCH,
            batch_timeout_ms=_POLL_MS,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            max_poll_interval_ms=int(_POLL_INTERVAL * 1000),
            parser=_raw_parser,
            decoder=_raw_decoder,
        )

        self._subscribers.append(subscriber)

        @subscriber
        async def hear_states(records: tuple[ConsumerRecord[bytes, bytes], ...]) -> None:
            await self._heed(subscriber.consumer, records, states=True)

    async def _heed(self, consumer: Any, raw: Sequence[ConsumerRecord[bytes, bytes]], *, states: bool = False) -> None:
        """Hear a polled batch to its end, or wind its partitions back. Never raises: FastStream would poll on."""
        if self.stopped:
            await self._stand_still(consumer, raw)
            return
        records = [Record(one.topic, one.partition, one.offset, one.key, tuple(one.headers), one.value) for one in raw]
        try:
            async with asyncio.timeout(_POLL_INTERVAL / 2):
                await (self._hear_states(records) if states else self._hear_patiently(records))
        except TimeoutError:
            log.warning("batch_wound_back", extra={"records": len(records)})
            _wind_back(consumer, raw)
            return
        except HearingStoppedError as error:
            self.stopped = f"the same error on {_SAME_ERROR_IN_A_ROW} subjects in a row: {error}"
            log.critical("hearing_stopped", extra={"reason": self.stopped})
            await self._stand_still(consumer, raw)
            return
        except Exception:
            # Not foreseen even one by one (a fault of the bus itself): nothing is committed, nothing is lost.
            log.exception("batch_wound_back", extra={"records": len(records)})
            await asyncio.sleep(1)
            _wind_back(consumer, raw)
            return
        await self._commit(consumer, raw)

    async def _hear_patiently(self, records: Sequence[Record]) -> None:
        """The whole batch, again and again while the database is away; one by one when the batch itself fails."""
        try:
            await self._again_while_transient(records)
        except HearingStoppedError:
            raise
        except Exception as error:
            log.warning("batch_runs_one_by_one", extra={"records": len(records), "error": hearing.signature(error)})
            await self._one_by_one(records)

    async def _again_while_transient(
        self, records: Sequence[Record], *, again: Sequence[str] = (), with_parked: bool = True
    ) -> Heeded:
        wait = 0.05
        while True:
            try:
                return await self._once(records, again, with_parked=with_parked)
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("batch_tried_again", extra={"error": type(error).__name__, "records": len(records)})
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    async def _once(self, records: Sequence[Record], again: Sequence[str], *, with_parked: bool) -> Heeded:
        service = self.hearer.service.value
        with telemetry.span(f"process {service}", kind=telemetry.SpanKind.CONSUMER) as batch:
            batch.set_attribute("messaging.batch.message_count", len(records))
            async with self.database.transaction() as tx:
                heeded = await hearing.hear_batch(tx, self.hearer, records, again=again, with_parked=with_parked)
            for opened in heeded.spans:
                batch.add_link(opened.get_span_context())
        for opened in heeded.spans:
            opened.end()
        self.heard += heeded.heard
        if heeded.known:
            self._known.update(heeded.known)
            self._wake.set()
        return heeded

    async def _one_by_one(self, records: Sequence[Record]) -> None:
        row = _Row()
        for record in records:
            try:
                await self._again_while_transient([record], with_parked=False)
            except Exception as error:  # whatever it is, it belongs to this record
                row.add(record, error)
            else:
                await self._set_aside(row)
        await self._set_aside(row)
        self._wake.set()

    async def _set_aside(self, row: _Row) -> None:
        if not row.guilty:
            return
        dead = [found for record, error in row.guilty if (found := hearing.set_aside(record, error))]
        async with self.database.transaction() as tx:
            await hearing.bury(tx, dead)
        row.clear()

    async def _hear_states(self, records: Sequence[Record]) -> None:
        wait = 0.05
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        for topic, hear in self.hearer.states.items():
            mine = by_topic.get(topic.name, [])
            while mine:
                try:
                    async with self.database.transaction() as tx:
                        known = await hear(tx, mine)
                    break
                except Exception as error:
                    if not is_transient(error):
                        raise
                await asyncio.sleep(wait)
                wait = min(wait * 2, 2.0)
            else:
                continue
            self._known.update(known)
            self._wake.set()

    async def _stand_still(self, consumer: Any, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        await asyncio.sleep(1)
        _wind_back(consumer, raw)

    async def _commit(self, consumer: Any, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        following: dict[TopicPartition, int] = {}
        for one in raw:
            where = TopicPartition(one.topic, one.partition)
            following[where] = max(following.get(where, 0), one.offset + 1)
        for where, offset in following.items():
            self._positions[where.topic, where.partition] = offset
        try:
            await consumer.commit(following)
        except (KafkaError, IllegalStateError) as error:
            # The partitions went to somebody else, or the broker is away: he will hear repeats, and drop them.
            log.info("offsets_not_committed", extra={"error": type(error).__name__})

    async def _sweep(self) -> None:
        """Give parked events another chance: at once when what they wait for was heard, and every few seconds."""
        everything = True
        while True:
            try:
                known, self._known = self._known, set()
                self._wake.clear()
                await self._try_parked(sorted(known), everything=everything)
            except Exception as error:  # the sweep outlives whatever it meets
                log.warning("sweep_failed", extra={"error": hearing.signature(error)})
                self._known |= known
            try:
                await asyncio.wait_for(self._wake.wait(), _SWEEP)
                everything = False
            except TimeoutError:
                everything = True

    async def _try_parked(self, known: Sequence[str], *, everything: bool) -> None:
        last = ""
        while True:
            async with self.database.pool.acquire() as connection:
                if everything:
                    subjects = await hearing.subjects_waiting(connection, last, 500)
                else:
                    subjects = await hearing.subjects_waiting_for(connection, known)
            for start in range(0, len(subjects), 500):
                await self._try_subjects(subjects[start : start + 500])
            if not everything or not subjects:
                return
            last = subjects[-1]

    async def _try_subjects(self, subjects: Sequence[str]) -> None:
        try:
            await self._again_while_transient([], again=subjects)
        except Exception:  # one of them is guilty; each gets a transaction of its own
            for subject in subjects:
                try:
                    await self._again_while_transient([], again=[subject])
                except Exception as error:
                    async with self.database.transaction() as tx:
                        guilty = await hearing.next_parked(tx, subject)
                        dead = [found for record in guilty if (found := hearing.set_aside(record, error))]
                        await hearing.bury(tx, dead)


def _wind_back(consumer: Any, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
    first: dict[TopicPartition, int] = {}
    for one in raw:
        where = TopicPartition(one.topic, one.partition)
        first[where] = min(first.get(where, one.offset), one.offset)
    for where, offset in first.items():
        try:
            consumer.seek(where, offset)
        except IllegalStateError:
            continue  # not ours any more: whoever holds it starts at the committed offset


async def _raw_parser(message: tuple[ConsumerRecord[bytes, bytes], ...]) -> StreamMessage[Any]:
    # FastStream's own parser decodes every header of every record and raises on a bad one.
    return KafkaMessage(raw_message=message, body=b"", consumer=_NOBODY)


async def _raw_decoder(message: StreamMessage[Any]) -> Any:
    return message.raw_message


class _Nobody:
    """Stands where FastStream wants a consumer to acknowledge with: offsets are committed by the lane."""

    async def commit(self) -> None:
        raise AssertionError("offsets are committed by the lane")

    def seek(self, partition: TopicPartition, offset: int) -> None:
        raise AssertionError(f"{partition} is wound back by the lane, not to {offset} by the framework")


_NOBODY: Final = _Nobody()
