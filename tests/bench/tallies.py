"""What anti-entropy costs at a million streams: ``python -m tests.bench.tallies [streams]``.

A whole rotation, told by the speaker and compared by the hearer, on real PostgreSQL; and what is told by name. Nothing
is missing, as on most days. Prints figures, keeps nothing.
"""

from __future__ import annotations

import asyncio
import sys
import time
from datetime import UTC, datetime
from typing import Final

from deploy.launcher.servers import start_servers
from shared.bus.tally.asking import Asker
from shared.bus.tally.telling import Teller
from shared.bus.tally.wire import Said, Tallied, record_of
from shared.outbox import Relay
from shared.store import Database
from shared.topics import PARTITIONS, Service
from tests.layouts import SHARED
from tests.listening import emptied, listening

_FILL: Final = "INSERT INTO {} SELECT {} FROM generate_series(1, $1::int) AS place"
_SUBJECT: Final = "'0197' || lpad(to_hex(place / 64), 4, '0') || substr(md5(place::text), 1, 28)"
_STREAM: Final = _FILL.format("stream (subject, version)", f"{_SUBJECT}, 1 + place % 9")
_HEARD: Final = _FILL.format("heard (subject, source, version)", f"{_SUBJECT}, 'intake', 1 + place % 9")


async def main(streams: int) -> None:
    """Fill two stores, go round once, and say what it took."""
    await start_servers(SHARED)
    async with (
        listening(SHARED, "_million") as made,
        emptied(made, "intake") as speaker,
        emptied(made, "reporting") as hearer,
    ):
        for database, fill in ((speaker, _STREAM), (hearer, _HEARD)):
            async with database.pool.acquire() as connection:
                await connection.execute(fill, streams, timeout=600)
        await _go_round(speaker, hearer, streams)


async def _go_round(speaker: Database, hearer: Database, streams: int) -> None:
    relay = Relay(Service.INTAKE, "", "", speaker.committed)
    relay.held.update(range(PARTITIONS))
    teller = Teller(Service.INTAKE, relay, speaker, 30.0, 3600.0)
    asker = Asker(Service.REPORTING, frozenset({Service.INTAKE}), hearer, lambda *_: True, 30.0, 3600.0)
    told = ranges = sent = 0
    telling = comparing = 0.0
    while True:
        began = time.perf_counter()
        ((low, high),) = await teller._walk.ranges(speaker, 1)
        messages = await teller._range(low, high, relay.held)
        telling += time.perf_counter() - began
        for message in messages:
            sent += len(record_of(message, datetime.now(UTC))[1])
            told += len(message.buckets) if isinstance(message, Tallied) else 0
            assert isinstance(message, Said | Tallied)
            asker.take(message)
        began = time.perf_counter()
        assert await asker.look(began) == []
        comparing += time.perf_counter() - began
        ranges += 1
        if high is None:
            break
    async with speaker.pool.acquire() as connection:
        rows = await connection.fetch("SELECT subject, version FROM stream ORDER BY random() LIMIT 2000")
    asker.take(Said(Service.INTAKE, tuple((row["subject"], row["version"]) for row in rows)))
    began = time.perf_counter()
    assert await asker.look(began) == []
    by_name = time.perf_counter() - began
    sys.stdout.write(
        f"{streams} streams: {ranges} ranges, {told} buckets, {sent / 1e6:.2f} MB for telling everything once\n"
        f"the speaker: {telling:.2f} s in all, {telling / ranges * 1000:.1f} ms a range\n"
        f"a hearer: {comparing:.2f} s in all, {comparing / ranges * 1000:.1f} ms a range\n"
        f"by name: {by_name / len(rows) * 1e6:.1f} µs a subject at the hearer, nothing at the speaker\n"
    )


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
