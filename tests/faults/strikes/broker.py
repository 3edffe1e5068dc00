"""Kafka: killed, and away for long while people go on handing in dossiers."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Final

from tests.faults.ground import Ground
from tests.faults.history import Outcome
from tests.faults.load import Doors, submission
from tests.faults.strikes import Strike


async def kill(ground: Ground, times: int) -> None:
    """SIGKILL, and a start at once."""
    for _ in range(times):
        await ground.river.servers.kill("kafka")
        ground.tally.done["kafka ended"] += 1
        began = time.monotonic()
        await ground.river.servers.start("kafka")
        ground.tally.took("kafka ready after SIGKILL", time.monotonic() - began)
        await asyncio.sleep(1 + ground.chance.random())


async def outage(ground: Ground, seconds: int) -> None:
    """No broker for so many seconds. AssertionError when intake does not take dossiers in meanwhile.

    A client whom a busy machine keeps waiting asks again: that is no refusal.
    """
    await ground.river.servers.kill("kafka")
    ground.tally.done["kafka ended"] += 1
    doors, chance = Doors(ground.river, ground.history), Random(ground.chance.getrandbits(64))
    until = time.monotonic() + seconds
    try:
        while time.monotonic() < until:
            taken = await doors.told(submission(chance))
            assert taken.outcome is Outcome.OK, f"without a broker intake answered {taken.status}: {taken.answer}"
            ground.tally.done["accepted while the broker was away"] += 1
            await asyncio.sleep(0.5)
    finally:
        await doors.client.aclose()
        began = time.monotonic()
        await ground.river.servers.start("kafka")
    ground.tally.done["seconds without a broker"] += seconds
    await ground.waits.carried()
    ground.tally.took("outboxes empty after the broker was back", time.monotonic() - began)


STRIKES: Final = (
    Strike("kafka_kills", "Kafka is killed", kill),
    Strike("outage", "the broker is away for so many seconds", outage),
)
