"""``make bench``: events through routing beside the limit and the alternative, interleaved, medians, ratios."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
from collections import defaultdict
from typing import Final

import asyncpg
from rich.console import Console
from rich.table import Table

from deploy.launcher import topics
from deploy.launcher.layout import REPOSITORY
from deploy.launcher.servers import start_servers, stop_servers
from deploy.migrate import migrate_all
from shared.calendar import to_data
from shared.events import INTAKE, TOPICS, Topic
from tests.bench.events import PROCEDURE, UNIT, office, produce
from tests.bench.machine import described
from tests.bench.sides import ALTERNATIVE_TOPIC, LIMIT_TOPIC
from tests.layouts import BENCH

_RUNS: Final = int(os.environ.get("BENCH_RUNS", "3"))
_COUNT: Final = int(os.environ.get("BENCH_EVENTS", "60000"))
_FEW: Final = max(1000, _COUNT // 40)
_ROUTING_TABLES: Final = ("heard", "stream", "journey", "ledger", "timer", "journal", "outbox")


async def main() -> None:
    """Run every side in turn, several times, and print the table."""
    console = Console()
    console.print(described())
    servers = await start_servers(BENCH)
    await topics.create(servers.kafka, (*TOPICS, Topic(LIMIT_TOPIC), Topic(ALTERNATIVE_TOPIC)))
    await migrate_all(servers.databases.owner)
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    rates: dict[str, list[float]] = defaultdict(list)
    cpu: dict[str, list[float]] = defaultdict(list)
    rows: dict[str, str] = {}
    try:
        for run in range(_RUNS):
            for side in ("limit", "ours-1", "ours-2", "relay-2", "alternative"):
                count = _FEW if side == "alternative" else _COUNT
                await prepare(owner)
                seconds, used = await _run(side, servers.kafka, servers.databases.login["routing"], count)
                rates[side].append(count / seconds)
                cpu[side].append(used / count * 1e6)
                rows[side] = await _rows(owner, side, count)
                console.print(
                    f"run {run + 1} {side:12} {count / seconds:10,.0f} events/s  {used / count * 1e6:6.1f} µs Python"
                )
    finally:
        await owner.close()
        await stop_servers(BENCH)
    _print(console, rates, cpu, rows)


async def prepare(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """Empty tables, with the units, the calendar and the procedure that the dossiers name."""
    await owner.execute("CREATE TABLE IF NOT EXISTS bench_limit (key bytea, value bytea)")
    await owner.execute(
        f"TRUNCATE bench_limit, unit, calendar, procedure, parked, dead_letter, {', '.join(_ROUTING_TABLES)}"
    )
    calendar = json.dumps(to_data(office()))
    await owner.execute("INSERT INTO calendar VALUES ('office', 1, $1)", calendar)
    for code, level, parent in (("000.00.99.H41", "town", None), (UNIT, "commune", "000.00.99.H41")):
        await owner.execute(
            "INSERT INTO unit (code, version, name, level, parent, calendar, valid_from) VALUES ($1, 1, 'bench', $2, $3, 'office', '2013-06-03')",
            code,
            level,
            parent,
        )
    await owner.execute("INSERT INTO procedure VALUES ($1, 1, 'town')", PROCEDURE)
    await owner.execute("VACUUM ANALYZE")


async def _run(side: str, kafka: str, url: str, count: int) -> tuple[float, float]:
    """One side, once: the events lie there before it starts, and its start is not measured."""
    topic = {"limit": LIMIT_TOPIC, "alternative": ALTERNATIVE_TOPIC}.get(side, INTAKE.name)
    begins = await produce(kafka, topic, count)
    arguments = [side, str(count), json.dumps({where.partition: offset for where, offset in begins.items()})]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.bench.sides",
        *arguments,
        cwd=REPOSITORY,
        env={**os.environ, "KAFKA": kafka, "DATABASE": url},
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await process.communicate()
    seconds, used = json.loads(said.splitlines()[-1])
    return seconds, used


async def _rows(owner: asyncpg.Connection[asyncpg.Record], side: str, count: int) -> str:
    tables = ("bench_limit",) if side == "limit" else _ROUTING_TABLES
    counted = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    assert counted[tables[0]] == count or side == "alternative", f"{side} wrote {counted}"
    return ", ".join(f"{table} {rows / count:.0f}" for table, rows in counted.items() if rows)


def _print(console: Console, rates: dict[str, list[float]], cpu: dict[str, list[float]], rows: dict[str, str]) -> None:
    median = {side: statistics.median(figures) for side, figures in rates.items()}
    table = Table(
        title=f"Events through routing, one process; medians of {_RUNS} interleaved runs of {_COUNT:,} ({_FEW:,} the alternative)"
    )
    for column in ("side", "events/s", "of the limit", "× alternative", "µs Python an event", "rows written an event"):
        table.add_column(column, justify="left" if column in {"side", "rows written an event"} else "right")
    names = {
        "limit": "limit: getmany + COPY of the same bytes",
        "ours-1": "routing, one lane",
        "ours-2": "routing, two lanes",
        "relay-2": "routing, two lanes, relay running",
        "alternative": "FastStream handler per message",
    }
    for side, name in names.items():
        table.add_row(
            name,
            f"{median[side]:,.0f}",
            f"{median[side] / median['limit']:.2f}",
            f"{median[side] / median['alternative']:.0f}",
            f"{statistics.median(cpu[side]):.0f}",
            rows[side],
        )
    console.print(table)
    console.print(
        "Aim: of the limit ≥ 0.3, × alternative ≥ 40. fsync is on for all; a trace in 100 is recorded, without an exporter."
    )


if __name__ == "__main__":
    asyncio.run(main())
