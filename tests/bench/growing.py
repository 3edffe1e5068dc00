"""A backlog drained by routing while its store grows: what an event takes at 10⁴, 10⁵ and 10⁶ dossiers, and memory."""

from __future__ import annotations

import os
from typing import Final

import asyncpg

from deploy.launcher.servers import Servers
from tests.bench.figure import Aim, Figure, Run, Sides
from tests.bench.hearing import begin, prepare, run_side

_BACKLOG: Final = max(100_000, int(os.environ.get("BENCH_BACKLOG", "1000000")))
_MARKS: Final = tuple(mark for mark in (10_000, 100_000, 1_000_000) if mark <= _BACKLOG)


async def run(servers: Servers, side: str) -> Run:
    """The whole backlog, once."""
    count = _MARKS[-1]
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    try:
        await prepare(owner)
    finally:
        await owner.close()
    said = await run_side(servers, side, count)
    return Run(
        count / said.pop("seconds"), said.pop("python") / count * 1e6, said.pop("postgres") / count * 1e6, more=said
    )


def _grows(sides: Sides) -> float:
    more = sides["growing"].more
    return more[f"µs at {_MARKS[-1]:,}"] / more[f"µs at {_MARKS[0]:,}"]


FIGURE: Final = Figure(
    name="growing",
    title=f"A backlog of {_MARKS[-1]:,} events drained by routing, two lanes, while its store grows",
    things="events",
    sides={"growing": "routing, two lanes"},
    run=run,
    begin=begin,
    runs=1,
    aims=(
        Aim(f"time an event, from {_MARKS[0]:,} to {_MARKS[-1]:,}", 1.35, _grows, at_most=True),
        Aim(
            "MiB of the process at the end",
            200,
            lambda sides: sides["growing"].more[f"MiB at {_MARKS[-1]:,}"],
            at_most=True,
        ),
    ),
)
