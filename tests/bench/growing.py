"""A backlog drained by routing while its store grows: what an event takes at 10⁴, 10⁵ and 10⁶ dossiers, and memory.

Some events that do not count come first: the start of a process on empty tables is no measure of anything. That time does not
grow is judged beside the quickest of the marks, and that memory does not, beside the mark before the last.
"""

from __future__ import annotations

import os
from typing import Final

import asyncpg

from deploy.launcher.servers import Servers
from tests.bench import exported
from tests.bench.counting import told, unsent
from tests.bench.figure import Aim, Figure, Run, Sides
from tests.bench.hearing import are_routing_s, begin, prepare, rows_now, rows_since, run_side
from tests.bench.sides import WARM

_BACKLOG: Final = max(100_000, int(os.environ.get("BENCH_BACKLOG", "1000000")))
_MARKS: Final = tuple(mark for mark in (10_000, 100_000, 1_000_000) if mark <= _BACKLOG)


async def run(servers: Servers, side: str) -> Run:
    """The whole backlog, once."""
    count = _MARKS[-1]
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    try:
        await prepare(owner)
        before, taken = await rows_now(owner), await exported.taken()
        said = await run_side(servers, side, count, more=WARM)
        rows = await rows_since(owner, before, count + WARM)
        if not are_routing_s(rows):
            raise SystemExit(f"{side} wrote {told(rows)}: there is no figure.")
        said |= {"left unsent": await unsent(owner), **await exported.exported_since(taken, count + WARM)}
    finally:
        await owner.close()
    per = {what: said.pop(what) / count * 1e6 for what in ("python", "postgres")}
    return Run(count / said.pop("seconds"), per["python"], per["postgres"], told(rows), said)


def _time_grows(sides: Sides) -> float:
    more = sides["growing"].more
    return more[f"µs at {_MARKS[-1]:,}"] / min(more[f"µs at {mark:,}"] for mark in _MARKS)


def _memory(sides: Sides, mark: int) -> float:
    return sides["growing"].more[f"MiB at {mark:,}"]


FIGURE: Final = Figure(
    name="growing",
    title=f"A backlog of {_MARKS[-1]:,} events drained by routing, two lanes, while its store grows",
    things="events",
    sides={"growing": "routing, two lanes"},
    run=run,
    begin=begin,
    runs=1,
    aims=(
        Aim(f"time an event at {_MARKS[-1]:,}, × the quickest mark", 1.35, _time_grows, at_most=True),
        Aim("MiB of the process at the end", 200, lambda sides: _memory(sides, _MARKS[-1]), at_most=True),
        Aim(
            f"its memory, × that at {_MARKS[-2]:,}",
            1.1,
            lambda sides: _memory(sides, _MARKS[-1]) / _memory(sides, _MARKS[-2]),
            at_most=True,
        ),
    ),
)
