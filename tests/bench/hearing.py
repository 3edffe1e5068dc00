"""Events through routing: DossierReceived of dossiers that nobody heard of before, the dearest that it hears."""

from __future__ import annotations

import json
import os
from typing import Any, Final

import asyncpg

from deploy.launcher.servers import Servers
from shared.calendar import to_data
from shared.topics import INTAKE, Topic
from tests.bench.events import PROCEDURE, UNIT, office, prepared, produce
from tests.bench.figure import Aim, Figure, Run
from tests.bench.machine import said_by, seconds_of
from tests.bench.sides import ALTERNATIVE_TOPIC, LIMIT_TOPIC
from tests.flow.rough import make_anew

TOPICS: Final = (Topic(LIMIT_TOPIC), Topic(ALTERNATIVE_TOPIC))

COUNT: Final = int(os.environ.get("BENCH_EVENTS", "60000"))
_FEW: Final = max(1000, COUNT // 40)
_ROUTING_TABLES: Final = ("heard", "stream", "journey", "ledger", "timer", "journal", "outbox")


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


async def begin(servers: Servers) -> None:
    """Intake's door, if it was measured before, has announced dossiers that routing is not to hear here: a topic that
    was made anew meanwhile is heard from its beginning, whatever was committed."""
    await make_anew(servers.kafka, (INTAKE,))


async def run(servers: Servers, side: str) -> Run:
    """One side, once: the events lie there before it starts, and its start is not measured."""
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    try:
        count = _FEW if side == "alternative" else COUNT
        await prepare(owner)
        said = await run_side(servers, side, count)
        return Run(
            count / said.pop("seconds"),
            said.pop("python") / count * 1e6,
            said.pop("postgres") / count * 1e6,
            await _rows(owner, side, count),
            said,
        )
    finally:
        await owner.close()


async def run_side(servers: Servers, side: str, count: int) -> dict[str, Any]:
    """What a side's process says of itself: seconds, and processor seconds of Python, and of PostgreSQL beside it."""
    topic = {"limit": LIMIT_TOPIC, "alternative": ALTERNATIVE_TOPIC}.get(side, INTAKE.name)
    begins = await produce(servers.kafka, topic, prepared(count))
    arguments = [side, str(count), json.dumps({where.partition: offset for where, offset in begins.items()})]
    postgres = servers.running["postgres"].entry.pid
    before = seconds_of(postgres)
    environment = {
        "KAFKA": servers.kafka,
        "DATABASE": servers.databases.login["routing"],
        "POSTGRES": str(postgres),
    }
    told = await said_by("tests.bench.sides", *arguments, environment=environment)
    said: dict[str, Any] = json.loads(told.splitlines()[-1])
    return {"postgres": seconds_of(postgres) - before, **said}


async def _rows(owner: asyncpg.Connection[asyncpg.Record], side: str, count: int) -> str:
    tables = ("bench_limit",) if side == "limit" else _ROUTING_TABLES
    counted = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in tables}
    assert counted[tables[0]] == count or side == "alternative", f"{side} wrote {counted}"
    return ", ".join(f"{table} {rows / count:.0f}" for table, rows in counted.items() if rows)


FIGURE: Final = Figure(
    name="hearing",
    title=f"Events through routing, one process ({COUNT:,} events, {_FEW:,} the alternative; a trace in 100 recorded)",
    things="events",
    sides={
        "limit": "limit: getmany + COPY of the same bytes",
        "ours-1": "routing, one lane",
        "ours-2": "routing, two lanes",
        "relay-2": "routing, two lanes, relay running",
        "relay": "its relay alone",
        "alternative": "FastStream handler per message",
    },
    run=run,
    begin=begin,
    limit="limit",
    alternative="alternative",
    aims=(
        Aim("routing, of the limit", 0.40, lambda sides: sides["ours-2"].rate / sides["limit"].rate),
        Aim("routing, × alternative", 60, lambda sides: sides["ours-2"].rate / sides["alternative"].rate),
        Aim("relay, × routing", 2, lambda sides: sides["relay"].rate / sides["ours-2"].rate),
        Aim("routing keeps while the relay runs", 0.75, lambda sides: sides["relay-2"].rate / sides["ours-2"].rate),
        Aim("relay behind at the end, s", 0.25, lambda sides: sides["relay-2"].more["behind, s"], at_most=True),
        Aim("µs Python an event", 30, lambda sides: sides["ours-2"].python or 0, at_most=True),
        Aim("µs PostgreSQL an event", 20, lambda sides: sides["ours-2"].postgres or 0, at_most=True),
    ),
)
