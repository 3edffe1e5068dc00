"""Named crash points: every process dies between two steps of which one is durable and the other is not."""

from __future__ import annotations

import asyncio
from typing import Final

from deploy.launcher.layout import SERVICES
from tests.faults.ground import Ground
from tests.faults.process.points import WHERE
from tests.faults.strikes import Strike

_LATEST_PASS: Final = 4


async def each_point(ground: Ground, times: int) -> None:
    """Every point so many times: a point that several services come by at each of them in turn."""
    plan: dict[str, list[str]] = {service: [] for service in SERVICES}
    for point, services in WHERE.items():
        for turn in range(times):
            plan[services[turn % len(services)]].append(point)
    await asyncio.gather(*(_crash(ground, service, points) for service, points in plan.items() if points))


async def _crash(ground: Ground, service: str, points: list[str]) -> None:
    await ground.river.running[service].stop()
    ground.ended(service)
    for point in points:
        ground.set_off(service, CRASH_AT=f"{point}:{ground.chance.randint(1, _LATEST_PASS)}")
        await ground.dies(service)
        ground.tally.done[f"crashed at {point}"] += 1
    await ground.started(service, f"{service} ready after SIGKILL")


STRIKES: Final = (Strike("crash_points", "each process dies at each of its crash points", each_point),)
