"""Lanes: loops of one consumer and one connection each, over disjoint partitions of the topics that a service hears.

FastStream brings the consumer, its group and its life; the records stay raw bytes, because its own decoding costs as
much as all the rest and one bad header would taint a batch. Its traps that are met here: it logs and *swallows* what a
handler raises and polls on, so a batch that failed is tried again in place or its partitions are wound back; its
acknowledgements commit the current position, so offsets are committed explicitly, after the database.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar
from uuid import UUID

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.client import AIOKafkaClient
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.message import KafkaMessage
from faststream.message import StreamMessage

from shared.bus import hanging_up, rows
from shared.bus.ear import Ear
from shared.bus.gathering import gather
from shared.bus.hearing import Hearer
from shared.bus.incarnations import topic_ids
from shared.bus.sweep import Sweep
from shared.bus.trying import HearingStoppedError, Trying, Woken
from shared.envelope import Record
from shared.store import Database, end_standing_still
from shared.topics import TOPIC_OF, Topic

log = logging.getLogger(__name__)

T = TypeVar("T")

_BATCH: Final = 2000
_POLL_MS: Final = 50
# aiokafka gives a member up when it does not poll for this long; a batch is tried again in place for half of it, and
# then its partitions are wound back, so that the loop polls.
_POLL_INTERVAL: Final = 120.0
# What lies in a lane's memory while it drains a backlog: some four batches. A record that is larger than either comes
# all the same, alone (KIP-74); the library's own 50 MB a lane were most of a service's memory.
_LARGEST_FETCH: Final = 8 * 1024 * 1024
_LARGEST_FETCH_OF_PARTITION: Final = 1024 * 1024
# A topic that is gone, or there again, is noticed when metadata are renewed; aiokafka's own five minutes are too long.
_METADATA_AGE_MS: Final = 10_000
# After so long without an answer a connection is given up; aiokafka's own 40 s are four sessions. Longer than one
# session, because the answer to a join waits for members that are gone.
_LONGEST_REQUEST_MS: Final = 15_000
# By the answer to a heartbeat a member hears of a rebalance, and all wait for whoever hears of it last: with one every
# two seconds, a service that was away longer than its session was ready up to two seconds later.
_HEARTBEAT_MS: Final = 500
_SESSION_MS: Final = 10_000
# A topic that is there, and of which a lane holds nothing for so long, is given to nobody (decision 0112): who leads a
# group sees a topic within the age of metadata.
_UNHELD_AFTER: Final = 30.0
_LONGEST_UNHELD: Final = 3600.0
_GRACE: Final = 8.0
_LOOK: Final = 1.0
_LOOK_AROUND: Final = 5.0
_LONGEST_ANSWER: Final = 5.0
_DEAF_AFTER: Final = 30.0


class BrokerAwayError(Exception):
    """The broker does not answer."""


@dataclass(slots=True)
class _Lane:
    """One consumer with its loop; ``busy`` while a batch is being heard.

    ``unheld``: since when it has held nothing of a topic that is there (the loop's time). ``patience``: for how many
    seconds it bears that.
    """

    trying: Trying
    states: bool
    topics: frozenset[str]
    subscriber: Any = None
    busy: bool = False
    unheld: float | None = None
    patience: float = _UNHELD_AFTER

    @property
    def ear(self) -> Ear | None:
        """The consumer, while there is one."""
        ear: Ear | None = self.subscriber.consumer
        return ear

    @property
    def is_deaf(self) -> bool:
        """True when the consumer did not answer for long although nobody kept it from polling."""
        ear = self.ear
        return not self.busy and (ear is None or asyncio.get_running_loop().time() - ear.alive > _DEAF_AFTER)


@dataclass(slots=True)
class Bus:
    """A service's ear: `start`, then it hears until `stop`. ``stopped`` says why it hears no more, if it does not."""

    hearer: Hearer
    database: Database
    kafka: str
    lanes: int = 2
    slot: int = 0
    stopped: str | None = None
    _broker: KafkaBroker | None = None
    _lanes: list[_Lane] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)
    _woken: Woken = field(default_factory=Woken)
    _client: AIOKafkaClient = field(init=False)

    @property
    def heard(self) -> int:
        """Events that this process heard since its start."""
        return sum(lane.trying.heard for lane in self._lanes)

    @property
    def is_deaf(self) -> bool:
        """True when a lane's polls come to no end, or fail: not while the broker is merely away, when they find nothing
        (then nobody knows the lag, and it is one at least)."""
        return any(lane.is_deaf for lane in self._lanes)

    def lag(self) -> dict[str, int]:
        """Records not yet heard, for each topic that this process holds partitions of."""
        behind: dict[str, int] = {}
        for lane in self._lanes:
            for topic, count in (lane.ear.lag() if lane.ear else {}).items():
                behind[topic] = behind.get(topic, 0) + count
        return behind

    def is_through(self, topic: Topic, partition: int, since: float) -> bool | None:
        """Whether all was heard that a partition held at ``since`` (the loop's time). None: it is another process's."""
        where = TopicPartition(topic.name, partition)
        for lane in self._lanes:
            if lane.ear is not None and where in lane.ear.assignment():
                return lane.ear.is_through(where, since)
        return None

    def vanished(self) -> set[tuple[str, int]]:
        """Topic and partition of what records went away from, perhaps unheard, since this was asked last."""
        return {(where.topic, where.partition) for lane in self._lanes if lane.ear for where in lane.ear.vanished()}

    async def start(self) -> None:
        """Join the consumer group and hear. BrokerAwayError when the broker does not answer: try again."""
        hanging_up.is_told()
        broker = KafkaBroker(
            self.kafka.split(","),  # a text with several addresses would be one address to FastStream
            apply_types=False,
            logger=logging.getLogger("lienthong.bus"),
            log_level=logging.DEBUG,
            enable_idempotence=True,
            allow_auto_create_topics=False,
            metadata_max_age_ms=_METADATA_AGE_MS,
            request_timeout_ms=_LONGEST_REQUEST_MS,
            graceful_timeout=_GRACE,
        )
        name = self.hearer.service.value
        topics = [TOPIC_OF[source] for source in sorted(self.hearer.sources)]
        self._broker, self._lanes, self._tasks = broker, [], []
        # The widest ear first: co-partitioned topics go to a lane together, so that a subject has one holder.
        for number in range(self.lanes):
            self._listen(broker, topics, name, f"{name}-{self.slot}-{number}")
        if self.hearer.states:
            self._listen(broker, list(self.hearer.states), f"{name}.states", f"{name}.states-{self.slot}", states=True)
        # Started here, not by the look that asks it: cancelled in its start, aiokafka's client leaves a connection.
        # Gives up before the look does: a request that is merely cancelled leaves its connection, dead or alive.
        self._client = AIOKafkaClient(
            bootstrap_servers=self.kafka, request_timeout_ms=int(_LONGEST_ANSWER * 1000 * 0.8)
        )
        try:
            await self._client.bootstrap()
            await broker.connect()
            options: Any = broker.config.broker_config
            options.builder = partial(Ear, **options.builder.keywords)
            await self._join()
        except (KafkaError, OSError) as error:
            await broker.stop()
            await self._client.close()
            raise BrokerAwayError(type(error).__name__) from error
        self._tasks = [
            asyncio.create_task(self._sweep(), name="sweep"),
            asyncio.create_task(self._watch(), name="watch"),
        ]

    async def _join(self) -> None:
        """Start all lanes at once. One after the other (as FastStream would), the first waits in its group's rebalance
        for the second one's former self, which was killed: until its session has run out, 10 s."""
        joining = [lane.subscriber.start() for lane in self._lanes]
        for outcome in await asyncio.gather(*joining, return_exceptions=True):
            if isinstance(outcome, BaseException):
                raise outcome

    async def stop(self) -> None:
        """Leave: the batch in flight is finished first. A static member keeps its partitions until it times out."""
        polling = [task for lane in self._lanes for task in lane.subscriber.tasks]
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._broker is not None:
            await self._broker.stop()
            await self._client.close()
        await asyncio.gather(*polling, return_exceptions=True)

    def _listen(
        self, broker: KafkaBroker, topics: Sequence[Topic], group: str, member: str, *, states: bool = False
    ) -> None:
        trying = Trying(self.hearer, self.database, self._woken)
        lane = _Lane(trying, states, frozenset(topic.name for topic in topics))
        lane.subscriber = broker.subscriber(
            *(topic.name for topic in topics),
            batch=True,
            group_id=group,
            group_instance_id=member,
            auto_offset_reset="earliest",
            ack_policy=AckPolicy.MANUAL,
            max_records=_BATCH,
            batch_timeout_ms=_POLL_MS,
            session_timeout_ms=_SESSION_MS,
            heartbeat_interval_ms=_HEARTBEAT_MS,
            max_poll_interval_ms=int(_POLL_INTERVAL * 1000),
            fetch_max_bytes=_LARGEST_FETCH,
            max_partition_fetch_bytes=_LARGEST_FETCH_OF_PARTITION,
            partition_assignment_strategy=(RangePartitionAssignor,),
            parser=_raw_parser,
            decoder=_raw_decoder,
        )
        self._lanes.append(lane)

        @lane.subscriber  # type: ignore[untyped-decorator]
        async def hear(records: tuple[ConsumerRecord[bytes, bytes], ...]) -> None:
            ear = lane.ear  # it is gone from the lane when the bus stops meanwhile
            if ear is None:
                return
            loop = asyncio.get_running_loop()
            began = loop.time()
            lane.busy = True
            try:
                await self._heed(lane, ear, records)
            finally:
                lane.busy = False
                ear.alive = loop.time()
            if not states:  # an event that waits for one costs more than a batch
                await gather(records, began)

    async def _heed(self, lane: _Lane, ear: Ear, raw: Sequence[ConsumerRecord[bytes, bytes]]) -> None:
        """Hear a polled batch to its end, or wind its partitions back. Never raises: FastStream would poll on."""
        turn = ear.turn
        if self.stopped:
            await asyncio.sleep(1)
            ear.wind_back(raw, turn)
            return
        polled = time.time_ns()
        records = [
            Record(one.topic, one.partition, one.offset, one.key, tuple(one.headers), one.value, polled) for one in raw
        ]
        try:
            async with asyncio.timeout(_POLL_INTERVAL / 2):
                await (lane.trying.states if lane.states else lane.trying.events)(records)
        except TimeoutError:
            log.warning("batch_wound_back", extra={"records": len(records)})
            ear.wind_back(raw, turn)
        except HearingStoppedError as error:
            self._stand_still(error)
            ear.wind_back(raw, turn)
        except Exception:
            # Not foreseen even one by one (a fault of the bus itself): nothing is committed, nothing is lost.
            log.exception("batch_wound_back", extra={"records": len(records)})
            await asyncio.sleep(1)
            ear.wind_back(raw, turn)
        else:
            await ear.commit_heard(raw, turn)

    def _stand_still(self, error: HearingStoppedError) -> None:
        self.stopped = str(error)
        log.critical("hearing_stopped", extra={"reason": self.stopped})

    async def _sweep(self) -> None:
        trying = Trying(self.hearer, self.database, self._woken)
        try:
            await Sweep(trying).run()
        except HearingStoppedError as error:
            self._stand_still(error)

    async def _watch(self) -> None:
        """Measure lag, look for topics that were made anew and for holders that stand still, open deaf ears again."""
        loop = asyncio.get_running_loop()
        look = loop.time()
        while True:
            for lane in self._lanes:
                if lane.ear is not None:
                    await self._in_time(lane.ear.measure(), "lag")
            if loop.time() >= look:
                look = loop.time() + _LOOK_AROUND
                await self._in_time(self._end_standing_still(), "sessions", seconds=2 * _LONGEST_ANSWER)
                hears = {name for lane in self._lanes for name in lane.topics}
                there = await self._in_time(topic_ids(self._client, hears), "topics") or {}
                await self._in_time(self._look_for_incarnations(there), "incarnations")
                for lane in self._unheld(there.keys()):
                    await self._in_time(self._leave_for_a_while(lane), "ear", seconds=2 * _DEAF_AFTER)
            for lane in self._lanes:
                if lane.is_deaf:
                    log.error("lane_deaf", extra={"group": lane.subscriber.group_id})
                    await self._in_time(self._open_again(lane), "ear", seconds=_DEAF_AFTER)
            await asyncio.sleep(_LOOK)

    async def _in_time(self, look: Coroutine[Any, Any, T], at: str, *, seconds: float = _LONGEST_ANSWER) -> T | None:
        """What a look sees; None, and it is logged, when broker or database are away: the next look will do."""
        try:
            async with asyncio.timeout(seconds):
                return await look
        except Exception as error:
            log.info("watch_failed", extra={"at": at, "error": type(error).__name__})
            return None

    def _unheld(self, there: Set[str]) -> list[_Lane]:
        """Lanes that have held nothing of a topic that is there for longer than they bear it."""
        now, found = asyncio.get_running_loop().time(), []
        for lane in self._lanes:
            held = {where.topic for where in lane.ear.assignment()} if lane.ear is not None else there
            if lane.topics & there <= held:
                lane.unheld, lane.patience = None, _UNHELD_AFTER
            elif lane.unheld is None:
                lane.unheld = now
            elif now - lane.unheld > lane.patience:
                found.append(lane)
        return found

    async def _leave_for_a_while(self, lane: _Lane) -> None:
        """Longer than its session: then its group takes a new turn, and gives out what is there now.

        Where there are more lanes than partitions it is in vain, so that it is done more and more rarely.
        """
        log.error("partitions_unheld", extra={"group": lane.subscriber.group_id})
        lane.unheld, lane.patience = None, min(2 * lane.patience, _LONGEST_UNHELD)
        await lane.subscriber.stop()
        await asyncio.sleep(_SESSION_MS / 1000 + 1)
        await lane.subscriber.start()

    async def _look_for_incarnations(self, there: Mapping[str, UUID]) -> None:
        held = {where: lane.ear for lane in self._lanes if lane.ear for where in lane.ear.assignment()}
        async with self.database.connection() as connection:
            known = await rows.incarnations(connection, {where.topic for where in held})
            for where, ear in sorted(held.items()):
                now, before = there.get(where.topic), known.get((where.topic, where.partition))
                if now is None or now == before:
                    continue
                if before is not None:
                    log.warning("topic_made_anew", extra={"topic": where.topic, "partition": where.partition})
                    ear.note_vanished(TopicPartition(*where))
                # The first look, too: nobody can say of which incarnation it was that something was heard before it.
                await ear.begin_again(TopicPartition(*where))
                await rows.save_incarnation(connection, where.topic, where.partition, now)

    async def _end_standing_still(self) -> None:
        """Another process of this service may have been stopped in the middle of a batch, and keep its subjects."""
        try:
            async with self.database.connection(within=_LONGEST_ANSWER) as connection:
                await end_standing_still(connection)
        except TimeoutError:
            await self.database.renew()
            raise

    async def _open_again(self, lane: _Lane) -> None:
        await lane.subscriber.stop()
        await lane.subscriber.start()


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
