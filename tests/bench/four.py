"""The four services of the bench and a mail provider: on databases made anew, and what of the work is done."""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Final

import asyncpg
import httpx

from deploy.launcher import postgres, process, programs
from deploy.launcher.layout import HOST, SERVICES
from deploy.launcher.postgres import Databases
from deploy.launcher.process import Program, Running
from deploy.launcher.servers import Servers
from deploy.migrate import migrate_all
from shared.calendar import to_data
from shared.seal import make_keys
from shared.topics import CONTROL, TOPICS
from tests.bench import exported
from tests.bench.counting import counted, rows_each, told, unsent
from tests.bench.events import PROCEDURE, office
from tests.bench.machine import said_by, seconds_of
from tests.flow.rough import make_anew
from tests.layouts import BENCH
from tests.processes import until

CONNECTIONS: Final = 32
_SUFFIX: Final = "_river"
_LOOK_EVERY: Final = 0.1
"""Seconds between two looks into the stores: each look is work for the database that all are measured on."""
_LONGEST: Final = 300.0
_ADMINISTRATOR: Final = {"X-Dev-Actor": "id=admin-1; roles=administrator,operator,inspector"}
_TOWN: Final = "000.00.99.H41"
_UNITS: Final = tuple(f"000.{number:02}.99.H41" for number in range(20))
_BODY: Final = {
    "procedure": PROCEDURE,
    "channel": "desk",
    "applicant": {"name": "Nguyễn Thị Bình", "id_number": "040188001234", "address": "Khối 3, Quỳnh Thiện"},
    "contact": {"email": "binh@example.vn", "phone": "0912345678"},
    "components": ["to_khai", "giay_chung_sinh"],
}

STAGES: Final = {
    "accepting": ("intake", "SELECT count(*) FROM dossier"),
    "routing": ("routing", "SELECT count(*) FROM journey"),
    "notification": ("notification", "SELECT count(DISTINCT dossier) FROM notice WHERE state = 'sent'"),
    "reporting": ("reporting", "SELECT count(*) FROM dossier_now WHERE stage IS NOT NULL AND notices_sent > 0"),
    "following": ("intake", "SELECT count(*) FROM dossier WHERE at_stage IS NOT NULL AND notices_sent > 0"),
}
"""What the services do for a dossier, one after the other: who does it, and how many dossiers have it behind them.

*following*: intake hears what the others said of the dossier, so that whoever asks at the door is told.
"""


@dataclass(slots=True)
class Four:
    """The services as they run, by name, and a connection to look into the store of each.

    ``lookers``: the processes of the database that answer those connections.
    """

    running: dict[str, Running]
    stores: dict[str, asyncpg.Connection[asyncpg.Record]]
    lookers: list[int]
    servers: Servers

    async def hand_in(self, count: int, rate: float | None = None) -> dict[str, float]:
        """Hand dossiers in over 32 connections; ``rate``: so many a second, else as many as are taken."""
        port = BENCH.ports["intake"]
        given = {"port": port, "connections": CONNECTIONS, "count": count, "units": _UNITS, "body": _BODY, "rate": rate}
        said: dict[str, float] = json.loads(await said_by("tests.bench.clients", json.dumps(given)))
        return said

    async def have_done(self, stages: Sequence[str], count: int) -> None:
        """Wait until so many dossiers have the stages behind them, and nothing waits to be sent there."""
        until = time.monotonic() + _LONGEST
        while not await self._all_have(stages, count):
            if time.monotonic() > until:
                raise AssertionError(f"waited in vain: {count} dossiers have {', '.join(stages)} behind them")
            await asyncio.sleep(_LOOK_EVERY)

    async def _all_have(self, stages: Sequence[str], count: int) -> bool:
        for stage in stages:
            service, counting = STAGES[stage]
            store = self.stores[service]
            if await store.fetchval(counting) < count or await unsent(store):
                return False
        return True

    def used(self, service: str) -> float:
        """Processor seconds of a service, of the database and of the broker; what looking into the stores took is none of
        theirs."""
        pids = (self.running[service].pid, *(each.entry.pid for each in self.servers.running.values()))
        return sum(map(seconds_of, pids)) - sum(map(seconds_of, self.lookers))

    async def counted(self) -> dict[str, dict[str, int]]:
        """Rows by table in the store of each service."""
        return {name: await counted(store) for name, store in self.stores.items()}

    async def rows_since(self, before: Mapping[str, Mapping[str, int]], count: int) -> str:
        """Rows for each of so many dossiers in the store of each service, and what is left unsent there."""
        after = await self.counted()
        left = {name: await unsent(store) for name, store in self.stores.items()}
        return "; ".join(
            f"{name}: {told(rows_each(before[name], after[name], count))} ({left[name]} unsent)" for name in self.stores
        )

    def are_alive(self) -> bool:
        """Whether every process that was started for this is still the one that runs."""
        return all(each.is_alive() for each in (*self.running.values(), *self.servers.running.values()))


def service(name: str, servers: Servers, databases: Databases) -> Program:
    """One of the four as it is shipped, telemetry included."""
    program = programs.service(name, BENCH, servers.kafka, databases)
    return replace(program, environment={**program.environment, **exported.TOLD})


@asynccontextmanager
async def four(servers: Servers) -> AsyncIterator[Four]:
    """The services on empty databases, with a town of twenty desks that all of them know."""
    await postgres.drop_databases(BENCH, _SUFFIX)
    databases = await postgres.make_databases(BENCH, suffix=_SUFFIX)
    await migrate_all(databases.owner)
    # The services are new to their groups' offsets as well: what other figures left on the topics is gone with them.
    await make_anew(servers.kafka, (*TOPICS, CONTROL))
    make_keys(BENCH.keys)
    made = [_provider(), *(service(name, servers, databases) for name in SERVICES)]
    running: dict[str, Running] = {}
    stores: dict[str, asyncpg.Connection[asyncpg.Record]] = {}
    async with AsyncExitStack() as stack:
        for program in made:
            running[program.name] = process.start(program, BENCH)
            stack.push_async_callback(running[program.name].stop)
        await asyncio.gather(*(process.wait_ready(one, running[one.name]) for one in made))
        for name in SERVICES:
            stores[name] = await asyncpg.connect(databases.owner[name])
            stack.push_async_callback(stores[name].close)
        lookers = [await store.fetchval("SELECT pg_backend_pid()") for store in stores.values()]
        ours = Four(running, stores, lookers, servers)
        await _seed(ours)
        yield ours


def _provider() -> Program:
    """In the mail catcher's place, at its port."""
    port = BENCH.ports["smtp"]
    command = (sys.executable, "-m", "tests.bench.provider", str(port))

    async def is_ready() -> bool:
        try:
            _, writer = await asyncio.open_connection(HOST, port)
        except OSError:
            return False
        writer.close()
        return True

    return replace(programs.mail(BENCH), command=command, is_ready=is_ready, port=port)


async def _seed(ours: Four) -> None:
    """As an administrator publishes it; back when intake can receive, routing lead and the others tell."""
    unit = {"calendar": "office", "valid_from": "2013-06-03", "name": "bench"}
    procedure = {
        "code": PROCEDURE,
        "name": "bench",
        "sector": "bench",
        "level": "town",
        "term": {"value": 10, "unit": "working_day"},
        "source": "bench",
    }
    async with httpx.AsyncClient(timeout=30, headers=_ADMINISTRATOR) as client:

        async def put(service: str, path: str, body: dict[str, Any]) -> None:
            (await client.put(f"{BENCH.url(service)}/{service}/{path}", json=body)).raise_for_status()

        await put("routing", "calendars/office", {"data": to_data(office())})
        await put("routing", f"units/{_TOWN}", {**unit, "level": "town"})
        for code in _UNITS[1:]:
            await put("routing", f"units/{code}", {**unit, "level": "commune", "parent": _TOWN})
        await put("intake", "procedures", {"procedures": [procedure]})

    async def is_known() -> bool:
        for name, store in ours.stores.items():
            units = await store.fetchval("SELECT count(DISTINCT code) FROM unit")
            procedures = await store.fetchval("SELECT count(*) FROM procedure")
            calendars = name == "notification" or await store.fetchval("SELECT count(*) FROM calendar")
            if units < len(_UNITS) or not procedures or not calendars:
                return False
        return True

    await until(is_known, "all four know the town", seconds=60)
