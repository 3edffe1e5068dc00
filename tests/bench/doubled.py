"""Two processes of routing beside two of the limit: partitions are shared among them, and nothing else changes.

Both sides are up, with half of the partitions each, before the events come; their rate is taken from the store.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from deploy.launcher.servers import Servers
from shared.topics import INTAKE
from tests.bench.events import ends_of, prepared, produce
from tests.bench.figure import Aim, Figure, Run
from tests.bench.hearing import COUNT, begin, prepare
from tests.bench.machine import REPOSITORY, seconds_of
from tests.bench.sides import LIMIT_TOPIC

_PROCESSES: Final = 2
_SIDES: Final = {"limits": (LIMIT_TOPIC, "bench_limit"), "ours": (INTAKE.name, "heard")}


async def run(servers: Servers, side: str) -> Run:
    """One side, once, on empty tables."""
    topic, table = _SIDES[side]
    events = prepared(COUNT)
    async with AsyncExitStack() as stack:
        owner = await asyncpg.connect(servers.databases.owner["routing"])
        stack.push_async_callback(owner.close)
        await prepare(owner)
        begins = {where.partition: offset for where, offset in (await ends_of(servers.kafka, topic)).items()}
        members = [await _member(servers, side, number, begins) for number in range(_PROCESSES)]
        stack.push_async_callback(_end, members)
        for member in members:
            assert member.stdout is not None
            if await member.stdout.readline() != b"ready\n":
                raise SystemExit(f"A process of {side} ended before it was ready: there is no figure.")
        sending = asyncio.create_task(produce(servers.kafka, topic, events))
        had, began, python, postgres = 0, 0.0, 0.0, 0.0
        while had < COUNT:
            now = await owner.fetchval(f"SELECT count(*) FROM {table}")
            if now and not had:  # what the first batches held is left out of the rate
                first, began = now, time.monotonic()
                python, postgres = _used(servers, members)
            had = now
            await asyncio.sleep(0.01)
        seconds = time.monotonic() - began
        python, postgres = (
            now - before for now, before in zip(_used(servers, members), (python, postgres), strict=True)
        )
        await sending
    share = COUNT - first
    return Run(share / seconds, python / share * 1e6, postgres / share * 1e6)


async def _member(servers: Servers, side: str, number: int, begins: dict[int, int]) -> asyncio.subprocess.Process:
    own = {partition: offset for partition, offset in begins.items() if partition % _PROCESSES == number}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.sides", f"member-{side}", str(number), json.dumps(own)),
        cwd=REPOSITORY,
        env={**os.environ, "KAFKA": servers.kafka, "DATABASE": servers.databases.login["routing"]},
        stdout=asyncio.subprocess.PIPE,
    )


async def _end(members: list[asyncio.subprocess.Process]) -> None:
    for member in members:
        if member.returncode is None:
            member.terminate()
    await asyncio.gather(*(member.wait() for member in members))


def _used(servers: Servers, members: list[asyncio.subprocess.Process]) -> tuple[float, float]:
    """Processor seconds of the members, and of the database."""
    return sum(seconds_of(member.pid) for member in members), seconds_of(servers.running["postgres"].entry.pid)


FIGURE: Final = Figure(
    name="doubled",
    title=f"Events through two processes at once ({COUNT:,} events)",
    things="events",
    sides={
        "limits": "two limits: getmany + COPY of the same bytes",
        "ours": "two processes of routing, two lanes each",
    },
    run=run,
    begin=begin,
    limit="limits",
    aims=(Aim("two processes, of two limits", 0.35, lambda sides: sides["ours"].rate / sides["limits"].rate),),
)
