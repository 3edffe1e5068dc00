"""The whole river: dossiers from intake's door until all four services are done with them, beside its stages alone.

The limit is what the cores would carry if nobody stood in anybody's way: cores ÷ what the stages take for a dossier in
processor time, each taken while the other services stand still (SIGSTOP). A stage's time is that of its service, of the
database and of the broker; those who hand in, the mail provider, who takes telemetry, and whoever looks into the stores work
on the same cores and are not counted there.
"""

from __future__ import annotations

import os
import time
from typing import Final

import psutil

from deploy.launcher.layout import SERVICES
from deploy.launcher.servers import Servers
from tests.bench import exported
from tests.bench.figure import Aim, Figure, Run
from tests.bench.four import CONNECTIONS, STAGES, Four, four

_COUNT: Final = int(os.environ.get("BENCH_RIVER", "6000"))
_WARM: Final = CONNECTIONS * 8


async def run(servers: Servers, side: str) -> Run:
    """One side, once, on databases made anew."""
    async with four(servers) as ours:
        await ours.hand_in(_WARM)
        await ours.have_done(tuple(STAGES), _WARM)
        return await (_together if side == "river" else _alone)(ours)


async def _together(ours: Four) -> Run:
    taken, rows = await exported.taken(), await ours.counted()
    began = time.monotonic()
    said = await ours.hand_in(_COUNT)
    await ours.have_done(tuple(STAGES), _WARM + _COUNT)
    seconds = time.monotonic() - began
    assert ours.are_alive(), "a process ended meanwhile"
    return Run(
        _COUNT / seconds,
        rows=await ours.rows_since(rows, _COUNT),
        more={
            "accepted a second": _COUNT / said["seconds"],
            "who hands in, µs": said["used"] / _COUNT * 1e6,
            **await exported.exported_since(taken, _COUNT),
        },
    )


async def _alone(ours: Four) -> Run:
    taken: dict[str, float] = {}
    rows = await ours.counted()
    for one in SERVICES:
        ours.running[one].suspend()
    for stage, (service, _) in STAGES.items():
        ours.running[service].resume()
        before = ours.used(service)
        if stage == "accepting":
            await ours.hand_in(_COUNT)
        await ours.have_done((stage,), _WARM + _COUNT)
        taken[stage] = (ours.used(service) - before) / _COUNT * 1e6
        ours.running[service].suspend()
    for one in SERVICES:
        ours.running[one].resume()
    assert ours.are_alive(), "a process ended meanwhile"
    cores = psutil.cpu_count() or 1
    return Run(
        cores / sum(taken.values()) * 1e6,
        rows=await ours.rows_since(rows, _COUNT),
        more={f"µs {stage}": used for stage, used in taken.items()},
    )


FIGURE: Final = Figure(
    name="river",
    title=f"Dossiers from the door until all four services are done with them ({_COUNT:,})",
    things="dossiers",
    sides={"river": "the river, all at once", "alone": "limit: cores ÷ the stages' processor time, each alone"},
    run=run,
    limit="alone",
    aims=(Aim("the river, of the limit", 0.7, lambda sides: sides["river"].rate / sides["alone"].rate),),
)
