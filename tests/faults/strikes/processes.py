"""Processes that are killed, stand still, or are restarted in good order."""

from __future__ import annotations

import asyncio
from random import Random
from typing import Final

from deploy.launcher.layout import SERVICES
from tests.faults.ground import Ground
from tests.faults.strikes import Strike

_BEYOND_THE_SESSION: Final = 12.0
"""Seconds; Kafka gives a member up after 10."""


async def kill(ground: Ground, times: int) -> None:
    """SIGKILL of services by chance, several at a time: so many in all. Each service by a chance of its own."""
    left = [ground.chance.choice(SERVICES) for _ in range(times)]
    async with asyncio.TaskGroup() as striking:
        for service in SERVICES:
            chance = Random(ground.chance.getrandbits(64))
            striking.create_task(_kill_one(ground, service, left.count(service), chance))


async def _kill_one(ground: Ground, service: str, times: int, chance: Random) -> None:
    for _ in range(times):
        await asyncio.sleep(chance.random())  # some at once, some when it has begun to work again
        await ground.killed(service)
        ground.tally.done["random SIGKILL"] += 1


async def suspend(ground: Ground, times: int) -> None:
    """SIGSTOP beyond the session timeout, then SIGCONT: its partitions, locks and sessions went to nobody or others."""
    for _ in range(times):
        service = ground.chance.choice(SERVICES)
        ground.river.running[service].suspend()
        ground.tally.done[f"{service} suspended"] += 1
        ground.tally.done["SIGSTOP"] += 1
        await asyncio.sleep(_BEYOND_THE_SESSION)
        ground.river.running[service].resume()


async def roll(ground: Ground, times: int) -> None:
    """SIGTERM and a start, one service after the other, as a release does."""
    for _ in range(times):
        for service in SERVICES:
            await ground.river.running[service].stop()
            await ground.started(service, f"{service} ready after SIGTERM")
        ground.tally.done["rolling restart"] += 1


STRIKES: Final = (
    Strike("kills", "services are killed by chance", kill),
    Strike("suspensions", "services stand still beyond their session, and go on", suspend),
    Strike("restarts", "services are restarted one after the other", roll),
)
