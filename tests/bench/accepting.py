"""Dossiers accepted by intake over HTTP: validate, number, seal, receipt, journal, outbox, fsync, answer.

The limit and the raw alternative write the very rows that intake wrote before, without HTTP, rules and sealing; the usual
way (FastAPI and SQLAlchemy) checks the same form and writes rows of the same content.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Final

import asyncpg
import httpx

from deploy.launcher.servers import Servers
from shared.calendar import to_data
from shared.seal import make_keys
from tests.bench.events import PROCEDURE, office
from tests.bench.figure import Aim, Figure, Run
from tests.bench.machine import said_by, seconds_of
from tests.bench.raw_doors import WRITTEN
from tests.layouts import BENCH
from tests.processes import free_port, running, until

_COUNT: Final = int(os.environ.get("BENCH_DOSSIERS", "6000"))
_FEW: Final = max(500, _COUNT // 6)
_CONNECTIONS: Final = 32
_UNITS: Final = tuple(f"000.{number:02}.99.H41" for number in range(20))
_TABLES: Final = ("dossier", "citizen", "stream", "journal", "snapshot", "outbox", "command", "counter")


async def run(servers: Servers, side: str) -> Run:
    """One side, once, on empty tables. What the raw sides write is what intake wrote at twenty desks just before."""
    owner = await asyncpg.connect(servers.databases.owner["intake"])
    try:
        await _prepare(owner)
        if side in {"ours", "hot"}:
            run = await _ours(servers, owner, _UNITS[:1] if side == "hot" else _UNITS)
            if side == "ours":
                await _capture(owner)
            return run
        return await (_usual if side == "usual" else _raw)(servers, owner, side)
    finally:
        await owner.close()


async def _prepare(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """Empty tables, with the units, the calendar and the procedure that the dossiers name."""
    await owner.execute(f"TRUNCATE unit, calendar, procedure, parked, dead_letter, {', '.join(_TABLES)}")
    await owner.execute("INSERT INTO calendar VALUES ('office', 1, $1)", json.dumps(to_data(office())))
    await owner.executemany(
        "INSERT INTO unit (code, version, name, level, calendar, valid_from) VALUES ($1, 1, 'bench', 'commune', 'office', '2013-06-03')",
        [(code,) for code in _UNITS],
    )
    await owner.execute(
        "INSERT INTO procedure (code, version, name, sector, level, term, terms, fees, source, search) "
        "VALUES ($1, 1, 'bench', 'bench', 'town', $2, '{}', '{}', 'bench', 'bench')",
        PROCEDURE,
        json.dumps({"value": 10, "unit": "working_day"}),
    )
    await owner.execute("VACUUM ANALYZE")


async def _ours(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], units: Sequence[str]) -> Run:
    """The service itself, its relay and its ear running, a trace in a hundred recorded."""
    make_keys(BENCH.keys)
    port = free_port()
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": servers.kafka,
        "DATABASE_URL_INTAKE": servers.databases.login["intake"],
        "HTTP_PORT": str(port),
        "SEAL_KEYS": str(BENCH.keys),
        "ERASURE_REGISTER": str(BENCH.erasures),
        "DEV_ACTOR": "true",
        "TRACES_SAMPLED": "0.01",
        "LOG_LEVEL": "WARNING",
    }
    async with running("services.intake", environment, port) as service, httpx.AsyncClient() as client:
        status = f"http://127.0.0.1:{port}/intake/operations/status"

        async def has_heard_all() -> bool:
            """What other figures left on the topics is none of this one's work."""
            lag: dict[str, int] = (await client.get(status)).json()["lag"]
            return bool(lag) and not any(lag.values())

        await until(has_heard_all, "intake has heard what lay on its topics", seconds=120)
        await owner.execute("TRUNCATE stream, parked")
        return await _asked(servers, owner, service.pid, port, units, _COUNT)


async def _usual(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], _: str) -> Run:
    port = free_port()
    environment = {"DATABASE": servers.databases.login["intake"], "HTTP_PORT": str(port)}
    async with running("tests.bench.usual_door", environment, port) as service:
        return await _asked(servers, owner, service.pid, port, _UNITS, _FEW)


async def _asked(
    servers: Servers,
    owner: asyncpg.Connection[asyncpg.Record],
    pid: int,
    port: int,
    units: Sequence[str],
    count: int,
) -> Run:
    """Hand dossiers in over 32 connections, after a few that warm the door up."""
    await _hand_in(port, units, _CONNECTIONS * 4)
    before = await owner.fetchval("SELECT count(*) FROM dossier")
    postgres = servers.running["postgres"].entry.pid
    python, backends = seconds_of(pid), seconds_of(postgres)
    said = await _hand_in(port, units, count)
    used, worked = seconds_of(pid) - python, seconds_of(postgres) - backends
    assert await owner.fetchval("SELECT count(*) FROM dossier") - before == count, "what was answered is not there"
    return Run(
        count / said["seconds"],
        used / count * 1e6,
        worked / count * 1e6,
        await _rows(owner),
        {
            "p50, ms": said["p50"] * 1000,
            "p99, ms": said["p99"] * 1000,
            "dossiers a commit": await _together(owner),
            "who hands in, µs": said["used"] / count * 1e6,
        },
    )


async def _together(owner: asyncpg.Connection[asyncpg.Record]) -> float:
    """How many dossiers shared a transaction: rows of a journal are never written again."""
    shared: float = await owner.fetchval("SELECT count(*)::float8 / count(DISTINCT xmin::text) FROM journal")
    return shared


async def _hand_in(port: int, units: Sequence[str], count: int) -> dict[str, float]:
    body = {
        "procedure": PROCEDURE,
        "channel": "desk",
        "applicant": {"name": "Nguyễn Thị Bình", "id_number": "040188001234", "address": "Khối 3, Quỳnh Thiện"},
        "contact": {"email": "binh@example.vn", "phone": "0912345678"},
        "components": ["to_khai", "giay_chung_sinh"],
    }
    given = {"port": port, "connections": _CONNECTIONS, "count": count, "units": units, "body": body}
    told = await said_by("tests.bench.clients", json.dumps(given))
    said: dict[str, float] = json.loads(told)
    return said


async def _raw(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], side: str) -> Run:
    count = _COUNT if side == "limit" else _FEW
    postgres = servers.running["postgres"].entry.pid
    before = seconds_of(postgres)
    environment = {"DATABASE": servers.databases.login["intake"]}
    said = json.loads(
        await said_by("tests.bench.raw_doors", json.dumps({"side": side, "count": count}), environment=environment)
    )
    used = seconds_of(postgres) - before
    assert await owner.fetchval("SELECT count(*) FROM dossier") == count, "not all was written"
    return Run(count / said["seconds"], said["python"] / count * 1e6, used / count * 1e6, await _rows(owner))


async def _capture(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """Keep what intake wrote in tables of the bench's own, for the sides that write it again."""
    for table in WRITTEN:
        await owner.execute(f"DROP TABLE IF EXISTS bench_{table}")
        await owner.execute(f"CREATE TABLE bench_{table} AS TABLE {table}")
        await owner.execute(f"GRANT SELECT ON bench_{table} TO intake")


async def _rows(owner: asyncpg.Connection[asyncpg.Record]) -> str:
    """Rows a dossier in each table; the pointers that a relay carried away are counted, too: it deletes them."""
    dossiers = await owner.fetchval("SELECT count(*) FROM dossier")
    counted = {table: await owner.fetchval(f"SELECT count(*) FROM {table}") for table in _TABLES}
    drawn = await owner.fetchval("SELECT last_value FROM outbox_id_seq")
    first = await owner.fetchval("SELECT coalesce(min(id), 0) FROM outbox")
    counted["outbox"] = counted["outbox"] or (2 * dossiers if drawn > first else 0)
    return ", ".join(f"{table} {round(rows / dossiers)}" for table, rows in counted.items() if round(rows / dossiers))


FIGURE: Final = Figure(
    name="accepting",
    title=f"Dossiers accepted by intake over HTTP, {_CONNECTIONS} connections ({_COUNT:,}; {_FEW:,} the alternatives)",
    things="dossiers",
    sides={
        "ours": "intake, twenty desks",
        "hot": "intake, one hot desk",
        "limit": "limit: the same rows by COPY in micro-batches, no HTTP",
        "several": "raw asyncpg, a transaction of several statements each",
        "single": "raw asyncpg, one statement each",
        "usual": "FastAPI + SQLAlchemy",
    },
    run=run,
    limit="limit",
    alternative="several",
    aims=(
        Aim("intake, of the limit", 0.45, lambda sides: sides["ours"].rate / sides["limit"].rate),
        Aim("intake, × several statements", 2.5, lambda sides: sides["ours"].rate / sides["several"].rate),
        Aim("intake, × FastAPI + SQLAlchemy", 10, lambda sides: sides["ours"].rate / sides["usual"].rate),
        Aim("intake, p99 in ms", 25, lambda sides: sides["ours"].more["p99, ms"], at_most=True),
        Aim("one hot desk, of twenty", 0.8, lambda sides: sides["hot"].rate / sides["ours"].rate),
    ),
)
