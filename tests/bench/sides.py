"""The sides of the figure "events through routing", each in a process of its own: ``python -m tests.bench.sides SIDE``.

A side runs until it has had as many events as the command line says, and prints as JSON the seconds from its first commit
to its last, and its own processor seconds and PostgreSQL's, scaled to all events. The events lie on its topic before it
starts. Routing records every trace and sends what it says of its work, as it is shipped.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

import asyncpg
import psutil
import uvloop
from aiokafka import AIOKafkaConsumer, TopicPartition

from services.routing import handlers
from services.routing.handlers import Calendars
from shared import telemetry
from shared.bus import Bus
from shared.bus import lanes as lanes_of_ours
from shared.outbox import Relay
from shared.service import spare_the_collector
from shared.store import Database, open_pool
from shared.topics import INTAKE, Service
from tests.bench.exported import ENDPOINT, SAMPLED
from tests.bench.machine import seconds_of
from tests.bench.usual_hearing import hear_all

LIMIT_TOPIC: Final = "bench.limit"
WARM: Final = 20_000
"""Events of `growing` that do not count, so that the first that do are no start; half of them is heard before those."""
HALF: Final = INTAKE.partitions // 2


class _Clock:
    """From its making on: seconds, and processor seconds of this process and of PostgreSQL.

    Seconds and PostgreSQL's are those until it is stopped.
    """

    def __init__(self) -> None:
        self._postgres = int(os.environ["POSTGRES"])
        self._worked = seconds_of(self._postgres)
        self._started, self._used = time.monotonic(), time.process_time()

    def stop(self) -> _Clock:
        """The work is done."""
        self._seconds = time.monotonic() - self._started
        self._worked = seconds_of(self._postgres) - self._worked
        return self

    def read(self, count: int, measured: int) -> dict[str, float]:
        """As if all had been measured: those that were in flight with the start were not.

        What is still to be told of the work is told before: it is a part of what this process does for it.
        """
        telemetry.flush()
        if measured <= 0:
            raise SystemExit("One batch held all events, so that nothing was measured: take more (BENCH_EVENTS).")
        times = {"seconds": self._seconds, "python": time.process_time() - self._used, "postgres": self._worked}
        return {what: taken * count / measured for what, taken in times.items()}


async def _bus(kafka: str, url: str, lanes: int = 2, slot: int = 0) -> tuple[Bus, Database]:
    """Routing's own bus, not yet started."""
    telemetry.start("routing", ENDPOINT, sampled=SAMPLED)
    database = Database(await open_pool(url, name="bench"))
    spare_the_collector()
    return Bus(handlers.hearer(Calendars()), database, kafka, lanes, slot), database


async def ours(kafka: str, url: str, count: int, *, lanes: int, relay: bool) -> dict[str, float]:
    """Routing's own bus: fates, rules, ledger, timers, journal, outbox, thin spans."""
    bus, database = await _bus(kafka, url, lanes)
    carrying = asyncio.create_task(Relay(Service.ROUTING, url, kafka, database.committed).run()) if relay else None
    await bus.start()
    while bus.heard == 0:
        await asyncio.sleep(0.001)
    # The first batch is over when it is counted: what it held is left out of the rate.
    first, clock = bus.heard, _Clock()
    while bus.heard < count:
        await asyncio.sleep(0.002)
    clock.stop()
    behind = {}
    if carrying is not None:
        heard = time.monotonic()
        await _sent(database)
        behind["behind, s"] = time.monotonic() - heard
        carrying.cancel()
    figures = clock.read(count, count - first)
    await bus.stop()
    return {**figures, **behind}


async def relay_alone(kafka: str, url: str, count: int) -> dict[str, float]:
    """The relay on an outbox that routing filled before: what it carries when nobody else works."""
    await ours(kafka, url, count, lanes=2, relay=False)
    database = Database(await open_pool(url, name="bench"))
    carrying = asyncio.create_task(Relay(Service.ROUTING, url, kafka, database.committed).run())
    while (left := await database.pool.fetchval("SELECT count(*) FROM outbox")) == count:
        await asyncio.sleep(0.001)
    clock = _Clock()
    await _sent(database)
    figures = clock.stop().read(count, left)
    carrying.cancel()
    return figures


async def _sent(database: Database) -> None:
    while await database.pool.fetchval("SELECT EXISTS (SELECT FROM outbox)"):
        await asyncio.sleep(0.01)


async def growing(kafka: str, url: str, count: int) -> dict[str, float]:
    """Routing with two lanes while its store grows: time an event and memory at each power of ten up to ``count``.

    Events beyond those lie there as well: so many are heard before the first that count, that nothing is new any more.
    """
    bus, _ = await _bus(kafka, url)
    await bus.start()
    while bus.heard < WARM // 2:
        await asyncio.sleep(0.001)
    first, clock = bus.heard, _Clock()
    figures: dict[str, float] = {}
    mark = 10_000
    while mark <= count:
        # A window of a fifth before the mark, and never less than 5,000 events.
        window = max(mark // 5, 5_000)
        while bus.heard - first < mark - window:
            await asyncio.sleep(0.002)
        had, began = bus.heard, time.monotonic()
        while bus.heard - first < mark:
            await asyncio.sleep(0.002)
        figures[f"µs at {mark:,}"] = (time.monotonic() - began) / (bus.heard - had) * 1e6
        figures[f"MiB at {mark:,}"] = psutil.Process().memory_info().rss / 2**20
        mark *= 10
    measured = bus.heard - first
    figures |= clock.stop().read(count, measured)
    while bus.heard < count + WARM:
        await asyncio.sleep(0.01)
    await bus.stop()
    return figures


async def _copied(
    kafka: str, url: str, begins: dict[str, int], when_ready: Callable[[], None]
) -> AsyncGenerator[int, None]:
    """aiokafka getmany + COPY of the same bytes into one table, one transaction a poll, offsets committed after it; how many
    there were until now, after each.

    It fetches as much at a time as a lane of ours, so that fetching is in its time as it is in ours.
    """
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1)
    consumer = AIOKafkaConsumer(
        bootstrap_servers=kafka,
        group_id="bench-limit",
        enable_auto_commit=False,
        fetch_max_bytes=lanes_of_ours._LARGEST_FETCH,
        max_partition_fetch_bytes=lanes_of_ours._LARGEST_FETCH_OF_PARTITION,
    )
    await consumer.start()
    consumer.assign([TopicPartition(LIMIT_TOPIC, int(partition)) for partition in begins])
    for partition, offset in begins.items():
        consumer.seek(TopicPartition(LIMIT_TOPIC, int(partition)), offset)
    had = 0
    when_ready()
    try:
        while True:
            polled = await consumer.getmany(timeout_ms=lanes_of_ours._POLL_MS, max_records=lanes_of_ours._BATCH)
            records = [record for part in polled.values() for record in part]
            if not records:
                continue
            async with pool.acquire() as connection, connection.transaction():
                await connection.copy_records_to_table("bench_limit", records=[(one.key, one.value) for one in records])
            await consumer.commit({where: part[-1].offset + 1 for where, part in polled.items()})
            yield (had := had + len(records))
    finally:
        await consumer.stop()
        await pool.close()


async def limit(kafka: str, url: str, count: int, begins: dict[str, int]) -> dict[str, float]:
    """What one process of the limit takes, from its first commit on."""
    async with aclosing(_copied(kafka, url, begins, lambda: None)) as copied:
        first = await anext(copied)
        clock, had = _Clock(), first
        while had < count:
            had = await anext(copied)
        return clock.stop().read(count, had - first)


async def limit_member(kafka: str, url: str, begins: dict[str, int]) -> None:
    """One process of the limit among two, until it is ended."""
    async for had in _copied(kafka, url, begins, _say_ready):
        _say_had(had)


async def alternative(kafka: str, url: str, count: int) -> dict[str, float]:
    """A FastStream handler per message, one transaction each, acknowledged after it: the usual way, the same rows."""
    clocks: list[_Clock] = []

    def stop() -> None:
        clocks[0].stop()

    await hear_all(kafka, url, count, lambda: clocks.append(_Clock()), stop)
    return clocks[0].read(count, count - 1)


async def member(kafka: str, url: str, slot: int) -> None:
    """One process of routing among two, until SIGTERM; says that it is ready when it holds its half of the partitions, and
    then how many events it has heard, whenever there are more."""
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    bus, _ = await _bus(kafka, url, slot=slot)
    await bus.start()
    while sum(bus.is_through(INTAKE, each, 0.0) is not None for each in range(INTAKE.partitions)) != HALF:
        await asyncio.sleep(0.05)
    _say_ready()
    had = 0
    while not over.is_set():
        if bus.heard > had:
            _say_had(had := bus.heard)
        await asyncio.sleep(0.002)
    await bus.stop()


def _say_had(had: int) -> None:
    sys.stdout.write(f"{had}\n")
    sys.stdout.flush()


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
            await limit_member(kafka, url, json.loads(sys.argv[3]))
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
