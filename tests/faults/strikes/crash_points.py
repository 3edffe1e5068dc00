"""Named crash points: every process dies between two steps of which one is durable and the other is not."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from deploy.launcher.layout import SERVICES
from tests.faults.ground import Ground
from tests.faults.process.points import WHERE
from tests.faults.strikes import Strike

_LATEST_PASS: Final = 3
_SIDE_BY_SIDE: Final = (("intake", "notification"), ("reporting", "routing"))
"""Those who need one another's work to come to their points do not die at the same time."""


async def each_point(ground: Ground, times: int) -> None:
    """Every point so many times: a point that several services come by at each of them in turn."""
    plan: dict[str, list[str]] = {service: [] for service in SERVICES}
    for point, services in WHERE.items():
        for turn in range(times):
            plan[services[turn % len(services)]].append(point)
    async with asyncio.TaskGroup() as striking:
        for services in _SIDE_BY_SIDE:
            chance = Random(ground.chance.getrandbits(64))
            striking.create_task(_one_after_the_other(ground, services, plan, chance))


async def _one_after_the_other(
    ground: Ground, services: tuple[str, ...], plan: dict[str, list[str]], chance: Random
) -> None:
    for service in services:
        if plan[service]:
            await _crash(ground, service, plan[service], chance)


async def _crash(ground: Ground, service: str, points: list[str], chance: Random) -> None:
    await ground.river.running[service].stop()
    ground.ended(service)
    for point in points:
        ground.set_off(service, CRASH_AT=f"{point}:{chance.randint(1, _LATEST_PASS)}")
        assert await ground.dies(service), f"{service} ended by itself on its way to {point}"
        ground.tally.done[f"crashed at {point}"] += 1
    await ground.started(service, f"{service} ready after SIGKILL")


STRIKES: Final = (Strike("crash_points", "each process dies at each of its crash points", each_point),)
