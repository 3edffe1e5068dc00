"""How long a dossier takes through the river at half of the rate that it carries, from its commit at the door.

What it carries is the middle of the figure *river* when that was taken just before, else the middle of three runs.

*mail*: until the provider has taken the mail. *report*: until reporting's tables show it, looked at every 25 ms.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

import asyncpg

from deploy.launcher.servers import Servers
from tests.bench import exported, river
from tests.bench.figure import Aim, Figure, Run, Side, Sides
from tests.bench.four import CONNECTIONS, STAGES, four
from tests.processes import until

_COUNT: Final = int(os.environ.get("BENCH_LATENCY", "3000"))
_WARM: Final = CONNECTIONS * 8
_LOOK_EVERY: Final = 0.025
_LONGEST: Final = timedelta(seconds=30)
_RIVERS: Final = 3
_carried: list[float] = []
"""Dossiers a second that the river carries, the last of them: half of it is handed in here."""


async def begin(servers: Servers, found: Mapping[str, Sides]) -> None:
    """Find out what the river carries."""
    if "river" in found:
        _carried.append(found["river"]["river"].rate)
        return
    runs = [await river.run(servers, "river") for _ in range(_RIVERS)]
    _carried.append(Side.of(runs).rate)


async def run(servers: Servers, _: str) -> Run:
    """One run at half of that rate."""
    carried = _carried[-1]
    rate = carried / 2
    async with four(servers) as ours:
        await ours.hand_in(_WARM)
        await ours.have_done(tuple(STAGES), _WARM)
        taken, rows = await exported.taken(), await ours.counted()
        seen: dict[str, datetime] = {}
        looking = asyncio.create_task(_look(ours.stores["reporting"], seen))
        began = datetime.now(UTC)
        said = await ours.hand_in(_COUNT, rate)
        await ours.have_done([stage for stage in STAGES if stage != "reporting"], _WARM + _COUNT)
        await until(lambda: len(seen) >= _COUNT, "the report shows all of them", seconds=60)
        looking.cancel()
        assert ours.are_alive(), "a process ended meanwhile"
        more = await exported.exported_since(taken, _COUNT)
        written = await ours.rows_since(rows, _COUNT)
        accepted = {
            row["aggregateid"]: row["recorded"]
            for row in await ours.stores["intake"].fetch(
                "SELECT aggregateid, recorded FROM journal WHERE version = 1 AND recorded >= $1", began
            )
        }
        mailed = {
            row["dossier"]: row["ended"]
            for row in await ours.stores["notification"].fetch(
                "SELECT notice.dossier, min(attempt.ended) AS ended FROM attempt JOIN notice ON notice.id = attempt.notice "
                "WHERE attempt.outcome = 'accepted' GROUP BY notice.dossier"
            )
        }
    mail = sorted((mailed[one] - accepted[one]).total_seconds() for one in accepted)
    report = sorted((seen[one] - accepted[one]).total_seconds() for one in accepted)
    return Run(
        _COUNT / said["seconds"],
        rows=written,
        more={
            "the river carries": carried,
            "half of it": rate,
            "mail p50, s": _hundredth(mail, 50),
            "mail p99, s": _hundredth(mail, 99),
            "report p50, s": _hundredth(report, 50),
            "report p99, s": _hundredth(report, 99),
            **more,
        },
    )


async def _look(store: asyncpg.Connection[asyncpg.Record], seen: dict[str, datetime]) -> None:
    """Note when the report shows a reception for the first time."""
    first = datetime.now(UTC)
    while True:
        since = max(first, datetime.now(UTC) - _LONGEST)
        rows = await store.fetch(
            "SELECT dossier FROM timeline WHERE origin IS NULL AND recorded >= $1 AND type = 'DossierReceived'", since
        )
        now = datetime.now(UTC)
        for row in rows:
            seen.setdefault(row["dossier"], now)
        await asyncio.sleep(_LOOK_EVERY)


def _hundredth(ordered: list[float], which: int) -> float:
    return ordered[len(ordered) * which // 100]


FIGURE: Final = Figure(
    name="latency",
    title=f"From the commit at the door, at half of the river's rate ({_COUNT:,} dossiers)",
    things="dossiers",
    sides={"half": "the river at half of its rate"},
    run=run,
    begin=begin,
    aims=(
        Aim("handed to the mail provider, p99 in s", 1, lambda sides: sides["half"].more["mail p99, s"], at_most=True),
        Aim("in the report, p99 in s", 2, lambda sides: sides["half"].more["report p99, s"], at_most=True),
    ),
)
