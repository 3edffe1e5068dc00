"""The sides of the figure "events through routing", each in a process of its own: ``python -m tests.bench.sides SIDE``.

A side runs until it has had as many events as the command line says, and prints as JSON the seconds from its first commit
to its last, and its own processor seconds, both scaled to all events. The events lie on its topic before it starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import asyncpg
import psutil
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage

from services.routing import handlers, store
from services.routing.handlers import Calendars
from services.routing.rules import journey
from services.routing.values import Known
from shared import telemetry
from shared.bus import Bus, Decided
from shared.envelope import Heard, Record, decode
from shared.outbox import Relay
from shared.service import spare_the_collector
from shared.store import Database, open_pool
from shared.topics import INTAKE, Service
from tests.bench.machine import seconds_of

LIMIT_TOPIC: Final = "bench.limit"
ALTERNATIVE_TOPIC: Final = "bench.alternative"
HALF: Final = INTAKE.partitions // 2


async def ours(kafka: str, url: str, count: int, *, lanes: int, relay: bool) -> dict[str, float]:
    """Routing's own bus: fates, rules, ledger, timers, journal, outbox, thin spans."""
    telemetry.start("routing", None, sampled=0.01)
    database = Database(await open_pool(url, name="bench"))
    spare_the_collector()
    bus = Bus(handlers.hearer(Calendars()), database, kafka, lanes)
    carrying = asyncio.create_task(Relay(Service.ROUTING, url, kafka, database.committed).run()) if relay else None
    await bus.start()
    while bus.heard == 0:
        await asyncio.sleep(0.001)
    # The first batch is over when it is counted: what it held is left out of the rate.
    first, started, cpu = bus.heard, time.monotonic(), time.process_time()
    while bus.heard < count:
        await asyncio.sleep(0.002)
    figures = _scaled(time.monotonic() - started, time.process_time() - cpu, count, first)
    if carrying is not None:
        heard = time.monotonic()
        await _sent(database)
        figures["behind, s"] = time.monotonic() - heard
        carrying.cancel()
    await bus.stop()
    return figures


async def relay_alone(kafka: str, url: str, count: int) -> dict[str, float]:
    """The relay on an outbox that routing filled before: what it carries when nobody else works.

    PostgreSQL is measured here, from when the relay begins: what hearing costs it is in another figure.
    """
    postgres = int(os.environ["POSTGRES"])
    await ours(kafka, url, count, lanes=2, relay=False)
    database = Database(await open_pool(url, name="bench"))
    carrying = asyncio.create_task(Relay(Service.ROUTING, url, kafka, database.committed).run())
    while (left := await database.pool.fetchval("SELECT count(*) FROM outbox")) == count:
        await asyncio.sleep(0.001)
    started, cpu, worked = time.monotonic(), time.process_time(), seconds_of(postgres)
    await _sent(database)
    figures = _scaled(time.monotonic() - started, time.process_time() - cpu, count, count - left)
    figures["postgres"] = (seconds_of(postgres) - worked) * count / left
    carrying.cancel()
    return figures


async def _sent(database: Database) -> None:
    while await database.pool.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
        await asyncio.sleep(0.002)


def _scaled(seconds: float, used: float, count: int, first: int) -> dict[str, float]:
    """Both as if all had been measured: the first ones, which were in flight with the start, were not."""
    if first >= count:
        raise SystemExit("One batch held all events, so that nothing was measured: take more (BENCH_EVENTS).")
    return {"seconds": seconds * count / (count - first), "python": used * count / (count - first)}


async def growing(kafka: str, url: str, count: int) -> dict[str, float]:
    """Routing with two lanes while its store grows: time an event and memory at each power of ten up to ``count``."""
    telemetry.start("routing", None, sampled=0.01)
    database = Database(await open_pool(url, name="bench"))
    spare_the_collector()
    bus = Bus(handlers.hearer(Calendars()), database, kafka, 2)
    await bus.start()
    while bus.heard == 0:
        await asyncio.sleep(0.001)
    first, started, cpu = bus.heard, time.monotonic(), time.process_time()
    figures: dict[str, float] = {}
    mark = 10_000
    while mark <= count:
        # A window of a fifth before the mark, and never less than 5,000 events.
        window = max(mark // 5, 5_000)
        while bus.heard < mark - window:
            await asyncio.sleep(0.002)
        had, began = bus.heard, time.monotonic()
        while bus.heard < mark:
            await asyncio.sleep(0.002)
        figures[f"µs at {mark:,}"] = (time.monotonic() - began) / (bus.heard - had) * 1e6
        figures[f"MiB at {mark:,}"] = psutil.Process().memory_info().rss / 2**20
        mark *= 10
    figures |= _scaled(time.monotonic() - started, time.process_time() - cpu, count, first)
    await bus.stop()
    return figures


async def limit(
    kafka: str, url: str, count: int, begins: dict[str, int], when_ready: Callable[[], None] = lambda: None
) -> dict[str, float]:
    """aiokafka getmany + COPY of the same bytes into one table, one transaction a poll, offsets committed after it."""
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id="bench-limit",
        enable_auto_commit=False,
        max_partition_fetch_bytes=11 * 1024 * 1024,
    )
    await consumer.start()
    consumer.assign([TopicPartition(LIMIT_TOPIC, int(partition)) for partition in begins])
    for partition, offset in begins.items():
        consumer.seek(TopicPartition(LIMIT_TOPIC, int(partition)), offset)
    had, started, cpu, first = 0, 0.0, 0.0, 0
    when_ready()
    while had < count:
        polled = await consumer.getmany(timeout_ms=50, max_records=2000)
        records = [record for part in polled.values() for record in part]
        if not records:
            continue
        async with pool.acquire() as connection, connection.transaction():
            await connection.copy_records_to_table("bench_limit", records=[(one.key, one.value) for one in records])
        await consumer.commit({where: part[-1].offset + 1 for where, part in polled.items()})
        had += len(records)
        if not first:
            first, started, cpu = had, time.monotonic(), time.process_time()
    seconds, used = time.monotonic() - started, time.process_time() - cpu
    await consumer.stop()
    await pool.close()
    return _scaled(seconds, used, count, first)


async def alternative(kafka: str, url: str, count: int) -> dict[str, float]:
    """A FastStream handler per message, one transaction each, acknowledged after it: the usual way, the same rows."""
    pool = await open_pool(url, name="bench", smallest=1, largest=1)
    broker = KafkaBroker(kafka, apply_types=False, logger=None)
    calendars = Calendars()
    had, started, cpu = 0, 0.0, 0.0
    over = asyncio.Event()

    async def read(message: Any) -> KafkaMessage:
        return KafkaAckableMessage(
            raw_message=message, body=message.value, consumer=subscriber.consumer or FAKE_CONSUMER
        )

    subscriber = broker.subscriber(
        ALTERNATIVE_TOPIC,
        group_id="bench-alternative",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        parser=read,
        decoder=_raw,
    )

    @subscriber
    async def hear(message: Any) -> None:
        nonlocal had, started, cpu
        if had == count:
            return
        async with pool.acquire() as tx, tx.transaction():
            await _hear_one(tx, message, calendars)
        had += 1
        if had == 1:
            started, cpu = time.monotonic(), time.process_time()
        if had == count:
            over.set()

    await broker.start()
    await over.wait()
    seconds, used = time.monotonic() - started, time.process_time() - cpu
    await broker.stop()
    await pool.close()
    return _scaled(seconds, used, count, 1)


async def _raw(message: Any) -> Any:
    return message.raw_message


async def _hear_one(tx: Any, message: Any, calendars: Calendars) -> None:
    """One event the usual way: look for a repeat, load, decide, save, journal, outbox: the rows that ours writes."""
    heard = decode(
        Record(INTAKE.name, message.partition, message.offset, message.key, tuple(message.headers), message.value)
    )
    assert isinstance(heard, Heard)
    if await tx.fetchval("SELECT version FROM heard WHERE subject = $1 AND source = 'intake'", heard.subject):
        return
    await tx.execute(
        "INSERT INTO heard (subject, source, version, event_id) VALUES ($1, 'intake', $2, $3)",
        heard.subject,
        1,
        heard.id,
    )
    await tx.execute("INSERT INTO stream (subject) VALUES ($1)", heard.subject)
    known = Known(
        await store.units(tx),
        await calendars.all(tx, {("office", 1)}),
        await store.routes(tx),
        await store.procedures(tx, ["1.001776"]),
    )
    decided = journey.begin((await store.journeys(tx, [heard.subject])).get(heard.subject), heard, known)
    assert isinstance(decided, Decided)
    await store.save_journeys(tx, [decided.state])
    said = decided.say[0].event
    await tx.execute(
        'INSERT INTO journal (aggregateid, version, id, aggregatetype, type, "timestamp", cause_source, cause_version, payload) '
        "VALUES ($1, 1, gen_random_uuid(), 'routing.dossier', $2, $3, 'intake', 1, $4)",
        heard.subject,
        type(said).__name__,
        heard.time,
        said.model_dump_json(exclude_defaults=True),
    )
    await tx.execute(
        "INSERT INTO outbox (shard, aggregateid, version) VALUES ($1, $2, 1)", message.partition, heard.subject
    )
    await tx.execute("UPDATE stream SET version = 1, last_time = $2 WHERE subject = $1", heard.subject, heard.time)


async def member(kafka: str, url: str, slot: int) -> None:
    """One process of routing among two; says that it is ready when it holds its half of the partitions."""
    telemetry.start("routing", None, sampled=0.01)
    database = Database(await open_pool(url, name="bench"))
    spare_the_collector()
    bus = Bus(handlers.hearer(Calendars()), database, kafka, 2, slot)
    await bus.start()
    while sum(bus.is_through(INTAKE, each, 0.0) is not None for each in range(INTAKE.partitions)) != HALF:
        await asyncio.sleep(0.05)
    _say_ready()
    await asyncio.Event().wait()


def _say_ready() -> None:
    sys.stdout.write("ready\n")
    sys.stdout.flush()


async def main() -> None:
    """Run the side that the command line names."""
    side, kafka, url, count = sys.argv[1], os.environ["KAFKA"], os.environ["DATABASE"], int(sys.argv[2])
    match side:
        case "member-ours":
            await member(kafka, url, count)
            return
        case "member-limits":
            await limit(kafka, url, sys.maxsize, json.loads(sys.argv[3]), when_ready=_say_ready)
            return
        case "limit":
            figures = await limit(kafka, url, count, json.loads(sys.argv[3]))
        case "alternative":
            figures = await alternative(kafka, url, count)
        case "relay":
            figures = await relay_alone(kafka, url, count)
        case "growing":
            figures = await growing(kafka, url, count)
        case _:
            figures = await ours(kafka, url, count, lanes=int(side[-1]), relay=side.startswith("relay"))
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    uvloop.run(main())
