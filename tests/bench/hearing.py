"""Events through routing: DossierReceived of dossiers that nobody heard of before, the dearest that it hears."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from deploy.launcher.servers import Servers
from shared.calendar import to_data
from shared.topics import INTAKE, Topic
from tests.bench import exported
from tests.bench.counting import counted, rows_each, told, unsent
from tests.bench.events import PROCEDURE, UNIT, office, prepared, produce
from tests.bench.figure import Aim, Figure, Run, Sides
from tests.bench.machine import said_by
from tests.bench.sides import LIMIT_TOPIC
from tests.bench.usual_hearing import TOPIC as ALTERNATIVE_TOPIC
from tests.flow.rough import make_anew

TOPICS: Final = (Topic(LIMIT_TOPIC), Topic(ALTERNATIVE_TOPIC))

COUNT: Final = int(os.environ.get("BENCH_EVENTS", "60000"))
_FEW: Final = max(1000, COUNT // 40)
ROUTING_TABLES: Final = ("heard", "stream", "journey", "ledger", "timer", "journal", "outbox")
_filled_by_ours: dict[str, frozenset[str]] = {}
"""The columns that routing filled, table by table, when one lane ran last."""


async def prepare(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """Empty tables, with the units, the calendar and the procedure that the dossiers name."""
    await owner.execute("CREATE TABLE IF NOT EXISTS bench_limit (key bytea, value bytea)")
    await owner.execute(
        f"TRUNCATE bench_limit, unit, calendar, procedure, parked, dead_letter, {', '.join(ROUTING_TABLES)}"
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


async def begin(servers: Servers, _: Mapping[str, Sides]) -> None:
    """Intake's door, if it was measured before, has announced dossiers that routing is not to hear here: a topic that
    was made anew meanwhile is heard from its beginning, whatever was committed."""
    await make_anew(servers.kafka, (INTAKE,))


async def run(servers: Servers, side: str) -> Run:
    """One side, once: the events lie there before it starts, and its start is not measured."""
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    try:
        count = _FEW if side == "alternative" else COUNT
        await prepare(owner)
        before, taken = await rows_now(owner), await exported.taken()
        said = await run_side(servers, side, count)
        if side not in {"limit", "alternative"}:
            said |= await exported.exported_since(taken, count)
        rows = await rows_since(owner, before, count)
        if side == "limit":
            assert rows == {"bench_limit": 1}, f"the limit wrote {told(rows)}"
        else:
            said["left unsent"] = await unsent(owner)
            await _are_the_same(owner, side, rows)
        per = {what: said.pop(what) / count * 1e6 for what in ("python", "postgres")}
        return Run(count / said.pop("seconds"), per["python"], per["postgres"], told(rows), said)
    finally:
        await owner.close()


async def run_side(servers: Servers, side: str, count: int, more: int = 0) -> dict[str, Any]:
    """What a side's process says of itself: seconds, and processor seconds of Python, and of PostgreSQL beside it.

    ``more``: so many events lie there beyond those that it measures.
    """
    topic = {"limit": LIMIT_TOPIC, "alternative": ALTERNATIVE_TOPIC}.get(side, INTAKE.name)
    begins = await produce(servers.kafka, topic, prepared(count + more))
    arguments = [side, str(count), json.dumps({where.partition: offset for where, offset in begins.items()})]
    environment = {
        "KAFKA": servers.kafka,
        "DATABASE": servers.databases.login["routing"],
        "POSTGRES": str(servers.running["postgres"].entry.pid),
    }
    told_by_it = await said_by("tests.bench.sides", *arguments, environment=environment)
    said: dict[str, Any] = json.loads(told_by_it.splitlines()[-1])
    return said


async def rows_now(owner: asyncpg.Connection[asyncpg.Record]) -> dict[str, int]:
    """Rows by table, the limit's among them."""
    return await counted(owner, ("bench_limit", *ROUTING_TABLES))


async def rows_since(owner: asyncpg.Connection[asyncpg.Record], before: dict[str, int], count: int) -> dict[str, float]:
    """Rows for each of so many events."""
    return rows_each(before, await rows_now(owner), count)


def are_routing_s(rows: Mapping[str, float]) -> bool:
    """Whether these are what routing writes for an event here: one row in each table, not more and not less."""
    return dict(rows) == dict.fromkeys(ROUTING_TABLES, 1)


async def _are_the_same(owner: asyncpg.Connection[asyncpg.Record], side: str, rows: Mapping[str, float]) -> None:
    """SystemExit when a side that stands for routing wrote other rows, or left columns empty that routing fills."""
    if not are_routing_s(rows):
        raise SystemExit(f"{side} wrote {told(rows)}: there is no figure.")
    filled = await _filled(owner)
    if side == "ours-1":
        _filled_by_ours.update(filled)
    elif side == "alternative" and filled != _filled_by_ours:
        differ = {table: columns ^ _filled_by_ours[table] for table, columns in filled.items()}
        raise SystemExit(f"{side} and routing fill different columns, {differ}: there is no figure.")


async def _filled(owner: asyncpg.Connection[asyncpg.Record]) -> dict[str, frozenset[str]]:
    """The columns of each table in which anything was written."""
    found = {}
    for table in ROUTING_TABLES:
        names = await owner.fetch(
            "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass AND attnum > 0 AND NOT attisdropped",
            table,
        )
        counts = ", ".join(f'count("{row["attname"]}") AS "{row["attname"]}"' for row in names)
        row = await owner.fetchrow(f"SELECT {counts} FROM {table}")
        assert row is not None
        found[table] = frozenset(name for name, filled in row.items() if filled)
    return found


FIGURE: Final = Figure(
    name="hearing",
    title=f"Events through routing, one process ({COUNT:,} events, {_FEW:,} the alternative; every trace recorded and sent)",
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
