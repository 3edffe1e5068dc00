"""Kafka: killed, and away for long while people go on handing in dossiers."""

from __future__ import annotations

import asyncio
import time
from random import Random
from typing import Final

from tests.faults.ground import Ground
from tests.faults.history import Asked, Outcome
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
    """No broker for so many seconds. AssertionError when intake does not take dossiers in at once meanwhile.

    Each is asked for once, and whatever is answered but 2xx is a refusal. A client whom a busy machine keeps waiting is
    not refused; but most are to be answered.
    """
    await ground.river.servers.kill("kafka")
    ground.tally.done["kafka ended"] += 1
    doors, chance = Doors(ground.river, ground.history), Random(ground.chance.getrandbits(64))
    until, answered, asked = time.monotonic() + seconds, 0, 0
    try:
        while time.monotonic() < until:
            answered, asked = answered + await is_taken_in(ground, doors, submission(chance)), asked + 1
            await asyncio.sleep(0.5)
    finally:
        await doors.client.aclose()
        began = time.monotonic()
        await ground.river.servers.start("kafka")
    assert 2 * answered > asked, f"without a broker intake answered {answered} of {asked}"
    ground.tally.done["seconds without a broker"] += seconds
    await ground.waits.carried()
    ground.tally.took("outboxes empty after the broker was back", time.monotonic() - began)


async def is_taken_in(ground: Ground, doors: Doors, asked: Asked) -> bool:
    """Whether there was an answer. AssertionError when it was a refusal, be it one for the time being."""
    taken = await doors.once(asked)
    if taken.status is None:
        ground.tally.done["not answered while the broker was away"] += 1
        return False
    assert taken.outcome is Outcome.OK, f"without a broker intake answered {taken.status}: {taken.answer}"
    ground.tally.done["accepted while the broker was away"] += 1
    return True


STRIKES: Final = (
    Strike("kafka_kills", "Kafka is killed", kill),
    Strike("outage", "the broker is away for so many seconds", outage),
)
