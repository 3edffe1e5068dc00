"""The relay: carries committed pointers to Kafka, one holder per shard, oldest first, deleted once acknowledged.

Never a cursor on the id: ids become visible in the order of commits, not in their own, and what commits late would be
stepped over. Never two readers of one subject: SKIP LOCKED lets the second one overtake. A holder that stands still
(SIGSTOP) loses its session by ``idle_session_timeout``, and with it the locks; what it may still send after waking is a
repeat, which hearers drop by its version.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import defaultdict
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaConnectionError, KafkaError, UnknownTopicOrPartitionError

from shared import telemetry
from shared.envelope import Cause, Envelope, headers_of
from shared.outbox.aside import Aside, Where
from shared.outbox.said import rank
from shared.parting import parted
from shared.store import Queries, connect, is_transient
from shared.topics import PARTITIONS, TOPIC_OF, TOPICS, Service

if TYPE_CHECKING:
    import asyncpg
    from aiokafka.producer.message_accumulator import BatchBuilder

log = logging.getLogger(__name__)

T = TypeVar("T")

_sql = Queries(Path(__file__).parent)

_LOCK_CLASS: Final = 0x6F7574  # "out"
_READ: Final = 2000
# A payload may have a megabyte: what one round reads must be sent well within the broker's time limit.
_READ_BYTES: Final = 8_388_608
_LARGEST_BATCH: Final = 1_048_576
_SHORTEST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 0.25
# A round costs broker, database and this process much the same for one pointer as for a hundred: a request, and an
# append for every partition. So the next begins only after a while, and after a longer one where there was much to
# carry; what is committed after a quiet while is carried at once, and a backlog without a pause.
_BETWEEN_ROUNDS: Final = 0.1
_BETWEEN_LARGE_ROUNDS: Final = 0.2
_LARGE: Final = 100
_BACKLOG: Final = 1000
# Whoever waits for an answer of this process meanwhile waits for so many pointers, not for a whole round.
_SLICE: Final = 50
_IDLE_SESSION_TIMEOUT: Final = "3s"
# The session is gone after 3 s without a word; a connection that answers nothing for so long leads nowhere.
_LONGEST_STATEMENT: Final = 10.0
_HEARTBEAT: Final = 1.0
_LOOK_FOR_SHARDS: Final = 1.0
_LOOKS_FOR_TOPIC: Final = 4
_SHORTEST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 2.0
# With as long again for what is left of a client: below what a session lives without a word, so that nothing of an old
# producer comes after what the next holder of its shards sends. What is not acknowledged is still in the outbox.
_LONGEST_FAREWELL: Final = 1.0
# Longer than the producer's own requests and its look for a leader, 10 s each.
_LONGEST_SENDING: Final = 15.0

_SERVICES: Final = {service.value: service for service in Service}
_TOPIC_NAMES: Final = {topic.name for topic in TOPICS}


class SendFailedError(Exception):
    """The broker did not acknowledge a batch; its pointers stay."""


@dataclass(slots=True)
class Relay:
    """Carries one service's outbox. `run` until cancelled; `held` and `sent` say what it is doing.

    ``lately``, where somebody wants to know it and takes it away: the highest version that the broker acknowledged of
    each subject since then, or (by a compacted topic's name) the highest rank of its state.
    """

    service: Service
    database_url: str
    kafka: str
    committed: asyncio.Event
    held: set[int] = field(default_factory=set)
    sent: int = 0
    lately: dict[tuple[str | None, str], int] | None = None
    _aside: Aside = field(init=False)

    def __post_init__(self) -> None:
        """Nothing is left alone yet."""
        self._aside = Aside(TOPIC_OF[self.service].name)

    async def run(self) -> None:
        """Hold shards and carry, for ever; every failure of broker or database is waited out with the shards let go."""
        wait = _SHORTEST_BACKOFF
        while True:
            before = self.sent
            try:
                await self._session()
            except Exception as error:
                if not isinstance(error, KafkaError | SendFailedError) and not is_transient(error):
                    raise
                log.warning("relay_waits", extra={"because": type(error).__name__})
            finally:
                self.held.clear()
            wait = _SHORTEST_BACKOFF if self.sent > before else min(wait * 2, _LONGEST_BACKOFF)
            await asyncio.sleep(wait)

    async def _session(self) -> None:
        connection = await connect(self.database_url, name=f"{self.service.value} relay", longest=_LONGEST_STATEMENT)
        try:
            await connection.execute(f"SET idle_session_timeout = '{_IDLE_SESSION_TIMEOUT}'")
            await connection.execute("SET plan_cache_mode = force_custom_plan")
            producer = AIOKafkaProducer(
                bootstrap_servers=self.kafka,
                client_id=f"{self.service.value}-relay",
                acks="all",
                enable_idempotence=True,
                max_batch_size=_LARGEST_BATCH,
                max_request_size=8_388_608,
                request_timeout_ms=10_000,
            )
            try:
                await producer.start()
                await self._carry(connection, producer)
            finally:
                await parted(producer.stop(), within=_LONGEST_FAREWELL, client=producer)
        finally:
            connection.terminate()

    async def _carry(self, connection: asyncpg.Connection[asyncpg.Record], producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        wait, look = _SHORTEST_WAIT, 0.0
        compacted = [topic.name for topic in TOPICS if topic.compacted]
        while True:
            if loop.time() >= look and len(self.held) < PARTITIONS:
                missing = sorted(set(range(PARTITIONS)) - self.held)
                taken = {row["shard"] for row in await connection.fetch(_sql["take_shards"], missing, _LOCK_CLASS)}
                if taken:
                    self.held |= taken
                    log.info("shards_taken", extra={"shards": sorted(taken)})
                look = loop.time() + _LOOK_FOR_SHARDS
            # Cleared before reading: a commit that comes in between is seen by the next round at once.
            self.committed.clear()
            rows = await connection.fetch(
                _sql["unsent"], sorted(self.held), _READ, _READ_BYTES, compacted, self._aside.read(loop.time())
            )
            if rows:
                began = loop.time()
                await self._send(connection, producer, rows)
                wait = _SHORTEST_WAIT
                if len(rows) < _BACKLOG:
                    between = _BETWEEN_ROUNDS if len(rows) < _LARGE else _BETWEEN_LARGE_ROUNDS
                    await asyncio.sleep(began + between - loop.time())
                continue
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.committed.wait(), wait)
            wait = min(wait * 1.5, _LONGEST_WAIT)

    async def _send(
        self,
        connection: asyncpg.Connection[asyncpg.Record],
        producer: AIOKafkaProducer,
        rows: Sequence[asyncpg.Record],
    ) -> None:
        own = TOPIC_OF[self.service].name
        by_partition, spans = await self._by_partition(rows)
        missing = await self._missing(connection, producer, by_partition)
        with telemetry.span(f"send {own}", kind=telemetry.SpanKind.PRODUCER) as batch:
            batch.attributes["messaging.batch.message_count"] = len(rows)
            batch.link([opened for _, opened in spans])
            untaken = await self._meanwhile(connection, _send_all(producer, by_partition))
        failed = missing | untaken
        if failed:
            rows = [row for row in rows if (row["topic"] or own, row["shard"]) not in failed]
        # A send that fails leaves its spans open for ever, so they are never told: what counts is the one that was
        # acknowledged, and its wait in the outbox has all tries in it.
        for where, opened in spans:
            if where not in failed:
                opened.end()
        await connection.execute(_sql["forget_sent"], [row["id"] for row in rows])
        self._remember(rows)
        self.sent += len(rows)
        telemetry.count("event.sent", "{event}", len(rows))
        self._aside.took(by_partition.keys() - failed.keys())
        self._aside.put(failed)
        if untaken:
            # This producer still tries to send what it has of them: what comes after it is for another.
            raise SendFailedError(", ".join(sorted({type(error).__name__ for error in untaken.values()})))

    async def _by_partition(
        self, rows: Sequence[asyncpg.Record]
    ) -> tuple[dict[Where, list[_Outgoing]], list[tuple[Where, telemetry.Span]]]:
        """What goes where, in its order, and the spans of those whose trace is recorded."""
        own = TOPIC_OF[self.service].name
        by_partition: dict[Where, list[_Outgoing]] = defaultdict(list)
        spans: list[tuple[Where, telemetry.Span]] = []
        for nth, row in enumerate(rows):
            if nth % _SLICE == 0:
                await asyncio.sleep(0)
            if not (row["is_state"] or row["is_event"]):
                continue
            where = (row["topic"] or own, row["shard"])
            body = row["payload"].encode() if row["payload"] is not None else None
            trace = _traced(where, row, spans)
            headers = _state_headers(row, trace) if row["is_state"] else headers_of(_envelope(self.service, row, trace))
            by_partition[where].append((row["aggregateid"].encode(), body, headers))
        return by_partition, spans

    async def _missing(
        self,
        connection: asyncpg.Connection[asyncpg.Record],
        producer: AIOKafkaProducer,
        by_partition: dict[Where, list[_Outgoing]],
    ) -> dict[Where, BaseException]:
        """Take out what goes to topics that are not there; returns those of the house, whose time may come."""
        missing: dict[Where, BaseException] = {}
        for topic in {topic for topic, _ in by_partition}:
            if await self._meanwhile(connection, _is_there(producer, topic)):
                continue
            gone = [where for where in by_partition if where[0] == topic]
            if topic in _TOPIC_NAMES:
                missing |= dict.fromkeys(gone, UnknownTopicOrPartitionError())
            else:
                # Somebody asked for his private topic and forgot to make it; nobody else is to wait for that.
                log.error("private_topic_missing", extra={"topic": topic})
                await connection.execute(_sql["forget_topic"], topic, sorted(self.held))
            for where in gone:
                del by_partition[where]
        return missing

    def left_alone(self) -> list[str]:
        """Places that take nothing just now, as `shared.outbox.aside` names them."""
        return self._aside.named(asyncio.get_running_loop().time())

    def _remember(self, rows: Sequence[asyncpg.Record]) -> None:
        if self.lately is None:
            return
        for row in rows:
            if row["is_state"]:
                height = rank(row["version"], is_erased=row["payload"] is None)
            elif row["topic"] is None and row["is_event"]:
                height = row["version"]
            else:
                continue  # on somebody's private topic
            key = (row["topic"], row["aggregateid"])
            self.lately[key] = max(self.lately.get(key, 0), height)

    async def _meanwhile(self, connection: asyncpg.Connection[asyncpg.Record], work: Coroutine[Any, Any, T]) -> T:
        """Wait for the broker, and keep the session meanwhile: it is for standing still that it is lost."""
        working = asyncio.ensure_future(work)
        try:
            while not (await asyncio.wait({working}, timeout=_HEARTBEAT))[0]:
                await connection.fetchval(_sql["still_here"])
            return await working
        finally:
            working.cancel()


_Outgoing: TypeAlias = tuple[bytes, bytes | None, list[tuple[str, bytes]]]


def _traced(where: Where, row: asyncpg.Record, spans: list[tuple[Where, telemetry.Span]]) -> str | None:
    """The traceparent that goes with a record: that of its sending, where its trace is recorded."""
    parent: str | None = row["traceparent"]
    if not telemetry.is_sampled(parent):
        return parent
    topic = where[0]
    opened = telemetry.open_message_span(
        f"send {topic}",
        parent,
        kind=telemetry.SpanKind.PRODUCER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "send",
            "messaging.destination.name": topic,
            telemetry.STREAM: row["aggregateid"],
            "lienthong.event": row["type"] or "state",
            "lienthong.version": row["version"],
        },
    )
    if opened is None:
        return parent
    spans.append((where, opened))
    return opened.traceparent


def _state_headers(row: asyncpg.Record, trace: str | None) -> list[tuple[str, bytes]]:
    headers = [("ce_streamversion", str(row["version"]).encode())]
    if trace:
        headers.append(("traceparent", trace.encode()))
    return headers


async def _is_there(producer: AIOKafkaProducer, topic: str) -> bool:
    """Looks for a second: aiokafka itself would for ten, and a topic that was made just now has no leader yet."""
    client: Any = producer.client
    for _ in range(_LOOKS_FOR_TOPIC):
        if not await client.add_topic(topic):
            raise KafkaConnectionError("no metadata")
        # Of the house's own some partition may be without a leader: that one alone is waited for.
        if len(client.cluster.partitions_for_topic(topic) or ()) >= (1 if topic in _TOPIC_NAMES else PARTITIONS):
            return True
        await asyncio.sleep(_LONGEST_WAIT)
        await client.force_metadata_update()
    return False


async def _send_all(
    producer: AIOKafkaProducer, by_partition: Mapping[Where, Sequence[_Outgoing]]
) -> dict[Where, BaseException]:
    """Send to all partitions at once; returns those that did not take all of it, and why."""
    batches: dict[Where, list[BatchBuilder]] = {}
    for where, records in by_partition.items():
        batches[where] = _batches(producer, records)
        await asyncio.sleep(0)
    sending = (_send_batches(producer, *where, some) for where, some in batches.items())
    outcomes = zip(batches, await asyncio.gather(*sending, return_exceptions=True), strict=True)
    return {where: outcome for where, outcome in outcomes if outcome is not None}


def _batches(producer: AIOKafkaProducer, records: Sequence[_Outgoing]) -> list[BatchBuilder]:
    """Whole batches for one partition: the order of the records is the order on the partition."""
    batches = [producer.create_batch()]
    for key, value, headers in records:
        if batches[-1].append(key=key, value=value, timestamp=None, headers=headers) is None:
            batches.append(producer.create_batch())
            if batches[-1].append(key=key, value=value, timestamp=None, headers=headers) is None:
                raise SendFailedError("a record does not fit into an empty batch")
    return batches


async def _send_batches(
    producer: AIOKafkaProducer, topic: str, partition: int, batches: Sequence[BatchBuilder]
) -> None:
    """One after the other. TimeoutError when they are not taken in time: aiokafka itself would try without end."""
    async with asyncio.timeout(_LONGEST_SENDING):
        pending = [await producer.send_batch(batch, topic, partition=partition) for batch in batches]
        await asyncio.gather(*pending)


def _envelope(service: Service, row: asyncpg.Record, trace: str | None) -> Envelope:
    cause = Cause(_SERVICES[row["cause_source"]], row["cause_version"]) if row["cause_source"] else None
    return Envelope(
        str(row["event_id"]),
        service,
        row["aggregateid"],
        row["version"],
        row["type"],
        row["time"],
        row["recorded"],
        cause,
        row["origin"],
        row["actor"],
        trace,
    )
