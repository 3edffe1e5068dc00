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
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from shared import telemetry
from shared.envelope import Cause, Envelope, headers_of
from shared.events import PARTITIONS, TOPIC_OF, Service
from shared.store import Queries, connect, is_transient

if TYPE_CHECKING:
    import asyncpg

log = logging.getLogger(__name__)

_sql = Queries(Path(__file__).parent)

_LOCK_CLASS: Final = 0x6F7574  # "out"
_READ: Final = 2000
_SHORTEST_WAIT: Final = 0.02
_LONGEST_WAIT: Final = 0.25
_IDLE_SESSION_TIMEOUT: Final = "3s"
_LOOK_FOR_SHARDS: Final = 1.0


class SendFailedError(Exception):
    """The broker did not acknowledge a batch; its pointers stay."""


@dataclass(slots=True)
class Relay:
    """Carries one service's outbox. `run` until cancelled; `held` and `sent` say what it is doing."""

    service: Service
    database_url: str
    kafka: str
    committed: asyncio.Event
    held: set[int] = field(default_factory=set)
    sent: int = 0

    async def run(self) -> None:
        """Hold shards and carry, for ever; every failure of broker or database is waited out with the shards let go."""
        wait = 0.1
        while True:
            try:
                await self._session()
            except (KafkaError, SendFailedError) as error:
                log.warning("relay_waits", extra={"because": type(error).__name__})
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("relay_waits", extra={"because": type(error).__name__})
            else:
                wait = 0.1
            finally:
                self.held.clear()
            await asyncio.sleep(wait)
            wait = min(wait * 2, 2.0)

    async def _session(self) -> None:
        connection = await connect(self.database_url, name=f"{self.service.value} relay")
        try:
            await connection.execute(f"SET idle_session_timeout = '{_IDLE_SESSION_TIMEOUT}'")
            producer = AIOKafkaProducer(
                bootstrap_servers=self.kafka,
                client_id=f"{self.service.value}-relay",
                acks="all",
                enable_idempotence=True,
                max_batch_size=1_048_576,
                max_request_size=8_388_608,
                request_timeout_ms=10_000,
            )
            await producer.start()
            try:
                await self._carry(connection, producer)
            finally:
                with contextlib.suppress(KafkaError, TimeoutError):
                    await asyncio.wait_for(producer.stop(), 5)
        finally:
            connection.terminate()

    async def _carry(self, connection: asyncpg.Connection[asyncpg.Record], producer: AIOKafkaProducer) -> None:
        loop = asyncio.get_running_loop()
        wait, look = _SHORTEST_WAIT, 0.0
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
            rows = await connection.fetch(_sql["unsent"], sorted(self.held), _READ)
            if rows:
                await self._send(connection, producer, rows)
                wait = _SHORTEST_WAIT
                if len(rows) == _READ:
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
        snapshots = await self._snapshots(connection, rows)
        own = TOPIC_OF[self.service].name
        by_partition: dict[tuple[str, int], list[tuple[bytes, bytes | None, list[tuple[str, bytes]]]]] = defaultdict(
            list
        )
        for row in rows:
            key = row["aggregateid"].encode()
            snapshot = snapshots.get((row["topic"], row["aggregateid"]))
            if snapshot is not None:
                record = (key, *snapshot)
            elif row["payload"] is not None:
                record = (key, row["payload"].encode(), headers_of(_envelope(self.service, row)))
            else:
                continue  # a snapshot that was replaced and is gone: nothing to say
            by_partition[row["topic"] or own, row["shard"]].append(record)
        with telemetry.span(f"send {own}", kind=telemetry.SpanKind.PRODUCER) as opened:
            opened.set_attribute("messaging.batch.message_count", len(rows))
            await asyncio.gather(*(_send_batches(producer, *where, what) for where, what in by_partition.items()))
        await connection.execute(_sql["forget_sent"], [row["id"] for row in rows])
        self.sent += len(rows)

    async def _snapshots(
        self, connection: asyncpg.Connection[asyncpg.Record], rows: Sequence[asyncpg.Record]
    ) -> dict[tuple[str, str], tuple[bytes | None, list[tuple[str, bytes]]]]:
        wanted: dict[str, list[str]] = defaultdict(list)
        for row in rows:
            if row["topic"] is not None:
                wanted[row["topic"]].append(row["aggregateid"])
        found: dict[tuple[str, str], tuple[bytes | None, list[tuple[str, bytes]]]] = {}
        for topic, subjects in wanted.items():
            for state in await connection.fetch(_sql["snapshots_for"], topic, subjects):
                headers = [("ce_streamversion", str(state["version"]).encode())]
                if state["traceparent"]:
                    headers.append(("traceparent", state["traceparent"].encode()))
                payload = state["payload"]
                found[topic, state["aggregateid"]] = (payload.encode() if payload else None, headers)
        return found


async def _send_batches(
    producer: AIOKafkaProducer,
    topic: str,
    partition: int,
    records: Sequence[tuple[bytes, bytes | None, list[tuple[str, bytes]]]],
) -> None:
    """Whole batches to one partition, one after the other: the order of the records is the order on the partition."""
    pending: list[asyncio.Future[Any]] = []
    batch = producer.create_batch()
    for key, value, headers in records:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            pending.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                raise SendFailedError("a record does not fit into an empty batch")
    pending.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*pending)


def _envelope(service: Service, row: asyncpg.Record) -> Envelope:
    cause = Cause(Service(row["cause_source"]), row["cause_version"]) if row["cause_source"] else None
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
        row["traceparent"],
    )
