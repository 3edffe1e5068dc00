"""Two processes of routing beside two of the limit: partitions are shared among them, and nothing else changes.

The processes are up, with half of the partitions each, when they are stopped (SIGSTOP); then the events are written, and the
clock starts when they go on (SIGCONT). How far they are they say themselves: nobody asks the database meanwhile.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Final

import asyncpg

from deploy.launcher.servers import Servers
from shared.topics import INTAKE
from tests.bench import exported
from tests.bench.alone import marked
from tests.bench.counting import told, unsent
from tests.bench.events import Prepared, ends_of, prepared, produce
from tests.bench.figure import Aim, Figure, Run
from tests.bench.hearing import COUNT, are_routing_s, begin, prepare, rows_now, rows_since
from tests.bench.machine import REPOSITORY, seconds_of
from tests.bench.sides import LIMIT_TOPIC

_PROCESSES: Final = 2
_LONGEST_STAND: Final = 8.0
"""Seconds; after ten without a heartbeat a member's partitions are given to others."""
_SIDES: Final = {"limits": (LIMIT_TOPIC, "bench_limit"), "ours": (INTAKE.name, "heard")}


async def run(servers: Servers, side: str) -> Run:
    """One side, once, on empty tables."""
    topic, table = _SIDES[side]
    events = prepared(COUNT)
    async with AsyncExitStack() as stack:
        owner = await asyncpg.connect(servers.databases.owner["routing"])
        stack.push_async_callback(owner.close)
        await prepare(owner)
        rows, taken = await rows_now(owner), await exported.taken()
        begins = {where.partition: offset for where, offset in (await ends_of(servers.kafka, topic)).items()}
        members: list[asyncio.subprocess.Process] = []
        for number in range(_PROCESSES):
            member = await _member(servers, side, number, begins)
            stack.push_async_callback(_end, member)
            members.append(member)
        for member in members:
            if await _line_of(member) != b"ready\n":
                raise SystemExit(f"A process of {side} ended before it was ready: there is no figure.")
        await _written_while_they_stand(servers.kafka, topic, events, members)
        python, postgres = _used(servers, members)
        _send(members, signal.SIGCONT)
        began = time.monotonic()
        await _have_had(members, COUNT)
        seconds = time.monotonic() - began
        python, postgres = (
            now - before for now, before in zip(_used(servers, members), (python, postgres), strict=True)
        )
        each = await rows_since(owner, rows, COUNT)
        if not (are_routing_s(each) if side == "ours" else each == {table: 1}):
            raise SystemExit(f"{side} wrote {told(each)}: there is no figure.")
        more: dict[str, float] = {}
        if side == "ours":
            more = {"left unsent": await unsent(owner), **await exported.exported_since(taken, COUNT)}
    return Run(COUNT / seconds, python / COUNT * 1e6, postgres / COUNT * 1e6, told(each), more)


async def _written_while_they_stand(
    kafka: str, topic: str, events: Prepared, members: Sequence[asyncio.subprocess.Process]
) -> None:
    _send(members, signal.SIGSTOP)
    began = time.monotonic()
    await produce(kafka, topic, events)
    stood = time.monotonic() - began
    if stood > _LONGEST_STAND:
        raise SystemExit(
            f"Writing the events took {stood:.1f} s, and the broker gives up who stands still so long: there is no figure. "
            "Take fewer (BENCH_EVENTS), or a machine that is less busy."
        )


async def _have_had(members: Sequence[asyncio.subprocess.Process], count: int) -> None:
    """Return when the members together have had so many events."""
    had = [0] * len(members)

    async def follow(place: int) -> None:
        while sum(had) < count and (line := await _line_of(members[place])):
            had[place] = int(line)

    following = [asyncio.create_task(follow(place)) for place in range(len(members))]
    try:
        await asyncio.wait(following, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in following:
            one.cancel()
    if sum(had) < count:
        raise SystemExit(f"A process ended when {sum(had)} of {count} events were heard: there is no figure.")


async def _line_of(member: asyncio.subprocess.Process) -> bytes:
    assert member.stdout is not None
    return await member.stdout.readline()


async def _member(servers: Servers, side: str, number: int, begins: dict[int, int]) -> asyncio.subprocess.Process:
    own = {partition: offset for partition, offset in begins.items() if partition % _PROCESSES == number}
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.sides", f"member-{side}", str(number), json.dumps(own)),
        cwd=REPOSITORY,
        env={
            **os.environ,
            "KAFKA": servers.kafka,
            "DATABASE": servers.databases.login["routing"],
            "POSTGRES": str(servers.running["postgres"].entry.pid),
            **marked(f"member-{side}"),
        },
        stdout=asyncio.subprocess.PIPE,
    )


def _send(members: Sequence[asyncio.subprocess.Process], number: signal.Signals) -> None:
    for member in members:
        if member.returncode is None:
            member.send_signal(number)


async def _end(member: asyncio.subprocess.Process) -> None:
    for number in (signal.SIGTERM, signal.SIGCONT):
        _send([member], number)
    await member.communicate()  # what it still says is read: who cannot write does not end


def _used(servers: Servers, members: Sequence[asyncio.subprocess.Process]) -> tuple[float, float]:
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
