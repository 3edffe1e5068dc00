"""Dossiers accepted by intake over HTTP: validate, number, seal, receipt, journal, outbox, fsync, answer.

The limit and the raw alternatives write the very rows that intake wrote before, without HTTP, rules and sealing; the usual
way (FastAPI and SQLAlchemy) checks the same form and writes rows of the same content. Every side has its connections open
and some dossiers behind it when its clock starts, and as many before it; that all write the same rows is asserted.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Final

import asyncpg
import httpx

from deploy.launcher import process
from deploy.launcher.servers import Servers
from shared.calendar import to_data
from shared.seal import make_keys
from tests.bench import exported
from tests.bench.alone import marked
from tests.bench.counting import counted, rows_each, told, unsent, whole
from tests.bench.events import PROCEDURE, office
from tests.bench.figure import Aim, Figure, Run
from tests.bench.four import service
from tests.bench.machine import said_by, seconds_of
from tests.bench.raw_doors import WRITTEN
from tests.layouts import BENCH
from tests.processes import free_port, until
from tests.processes import running as running_module

_COUNT: Final = int(os.environ.get("BENCH_DOSSIERS", "6000"))
_CONNECTIONS: Final = 32
_WARM: Final = _CONNECTIONS * 4
_UNITS: Final = tuple(f"000.{number:02}.99.H41" for number in range(20))
_MANY: Final = tuple(f"000.{number:03}.99.H41" for number in range(300))
_DESKS: Final = {"ours": _UNITS, "hot": _UNITS[:1], "wide": _MANY}
_TABLES: Final = ("dossier", "citizen", "stream", "journal", "snapshot", "outbox", "command", "counter")
_rows_of_ours: dict[str, int] = {}
"""What intake wrote for a dossier, table by table, when it ran last."""


async def run(servers: Servers, side: str) -> Run:
    """One side, once, on empty tables. What the raw sides write is what intake wrote at twenty desks just before."""
    owner = await asyncpg.connect(servers.databases.owner["intake"])
    try:
        await _prepare(owner)
        if side in _DESKS:
            run = await _ours(servers, owner, side)
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
        [(code,) for code in (*_UNITS, *_MANY)],
    )
    await owner.execute(
        "INSERT INTO procedure (code, version, name, sector, level, term, terms, fees, source, search) "
        "VALUES ($1, 1, 'bench', 'bench', 'town', $2, '{}', '{}', 'bench', 'bench')",
        PROCEDURE,
        json.dumps({"value": 10, "unit": "working_day"}),
    )
    await owner.execute("VACUUM ANALYZE")


async def _ours(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], side: str) -> Run:
    """The service itself, its relay and its ear running, every trace recorded and sent."""
    make_keys(BENCH.keys)
    program = service("intake", servers, servers.databases)
    running = process.start(program, BENCH)
    try:
        await process.wait_ready(program, running)
        await _have_heard_all()
        await owner.execute("TRUNCATE stream, parked")
        return await _asked(servers, owner, running.pid, BENCH.ports["intake"], side)
    finally:
        await running.stop()


async def _have_heard_all() -> None:
    """What other figures left on the topics is none of this one's work."""
    status = f"{BENCH.url('intake')}/intake/operations/status"
    async with httpx.AsyncClient(trust_env=False) as client:

        async def is_so() -> bool:
            lag: dict[str, int] = (await client.get(status)).json()["lag"]
            return bool(lag) and not any(lag.values())

        await until(is_so, "intake has heard what lay on its topics", seconds=120)


async def _usual(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], side: str) -> Run:
    port = free_port()
    environment = {"DATABASE": servers.databases.login["intake"], "HTTP_PORT": str(port), **marked("usual_door")}
    async with running_module("tests.bench.usual_door", environment, port) as door:
        return await _asked(servers, owner, door.pid, port, side)


async def _asked(servers: Servers, owner: asyncpg.Connection[asyncpg.Record], pid: int, port: int, side: str) -> Run:
    """Hand dossiers in over 32 connections, after a few that warm the door up."""
    units = _DESKS.get(side, _UNITS)
    await _hand_in(port, units, _WARM)
    before, taken = await counted(owner, _TABLES), await exported.taken()
    postgres = servers.running["postgres"].entry.pid
    python, backends = seconds_of(pid), seconds_of(postgres)
    said = await _hand_in(port, units, _COUNT)
    used, worked = seconds_of(pid) - python, seconds_of(postgres) - backends
    more = {
        "p50, ms": said["p50"] * 1000,
        "p99, ms": said["p99"] * 1000,
        "dossiers a commit": await _together(owner),
        "who hands in, µs": said["used"] / _COUNT * 1e6,
        "left unsent": await unsent(owner),
    }
    if side in _DESKS:
        more |= await exported.exported_since(taken, _COUNT)
    rows = await _rows(owner, side, before)
    return Run(_COUNT / said["seconds"], used / _COUNT * 1e6, worked / _COUNT * 1e6, rows, more)


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
    before = await counted(owner, _TABLES)
    environment = {
        "DATABASE": servers.databases.login["intake"],
        "POSTGRES": str(servers.running["postgres"].entry.pid),
    }
    given = {"side": side, "count": _COUNT, "warm": _WARM}
    said = json.loads(await said_by("tests.bench.raw_doors", json.dumps(given), environment=environment))
    rows = await _rows(owner, side, before, _WARM + _COUNT)
    return Run(_COUNT / said["seconds"], said["python"] / _COUNT * 1e6, said["postgres"] / _COUNT * 1e6, rows)


async def _capture(owner: asyncpg.Connection[asyncpg.Record]) -> None:
    """Keep what intake wrote in tables of the bench's own, for the sides that write it again."""
    for table in WRITTEN:
        await owner.execute(f"DROP TABLE IF EXISTS bench_{table}")
        await owner.execute(f"CREATE TABLE bench_{table} AS TABLE {table}")
        await owner.execute(f"GRANT SELECT ON bench_{table} TO intake")


async def _rows(
    owner: asyncpg.Connection[asyncpg.Record], side: str, before: dict[str, int], count: int = _COUNT
) -> str:
    """Rows for each dossier; SystemExit when a side wrote others than intake did before."""
    after = await counted(owner, _TABLES)
    assert after["dossier"] - before["dossier"] == count, "what was answered is not there, or more is"
    each = rows_each(before, after, count)
    if side == "ours":
        _rows_of_ours.update(whole(each))
    elif whole(each) != _rows_of_ours:
        raise SystemExit(f"{side} wrote {told(each)}, and intake {told(_rows_of_ours)}: there is no figure.")
    return told(each)


FIGURE: Final = Figure(
    name="accepting",
    title=f"Dossiers accepted by intake over HTTP, {_CONNECTIONS} connections ({_COUNT:,})",
    things="dossiers",
    sides={
        "ours": "intake, twenty desks",
        "hot": "intake, one hot desk",
        "wide": "intake, three hundred desks",
        "limit": "limit: the same rows by COPY in micro-batches on two connections, no HTTP",
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
        Aim("intake, × one statement", None, lambda sides: sides["ours"].rate / sides["single"].rate),
        Aim("intake, × FastAPI + SQLAlchemy", 10, lambda sides: sides["ours"].rate / sides["usual"].rate),
        Aim("intake, p99 in ms", 25, lambda sides: sides["ours"].more["p99, ms"], at_most=True),
        Aim("one hot desk, of twenty", 0.8, lambda sides: sides["hot"].rate / sides["ours"].rate),
        Aim("one hot desk, of three hundred", 0.8, lambda sides: sides["hot"].rate / sides["wide"].rate),
    ),
)
