"""Everything at once: whatever else there is here, chosen by the seed, for so many seconds."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from random import Random
from typing import Final

from tests.faults.ground import Ground
from tests.faults.strikes import Strike, strikes

_PROCESSES: Final = (
    ("kills", 6),
    ("restarts", 1),
    ("suspensions", 1),
    ("crash_points", 1),
    ("storms", 2),
    ("zombies", 1),
    ("cuts", 1),
    ("kafka_cuts", 1),
    ("mail_cuts", 1),
)
_SERVERS: Final = (("postgres_kills", 1), ("terminations", 5), ("kafka_kills", 1), ("forgery", 1_000))
_MAIL: Final = (("no_mail", 10), ("silent_mail", 8))
"""Of each row one strike at a time; rows strike side by side. A forger needs a broker: his row is the broker's. Ways
are cut among the processes: a service is started anew, with a wire before it.

What has to have a ground of its own is not here: small disks, a clock, three brokers; nor what takes back what was
said.
"""


async def everything(ground: Ground, seconds: int) -> None:
    """Processes, servers (and what lies on the topics), and the mail provider, side by side.

    Each row by a chance of its own: what strikes next does not depend on how long another row's strike took.
    """
    await ground.ways_to_kafka()  # the broker is restarted for them, and nobody else may strike at it meanwhile
    ground.provider_is_struck = True
    until = time.monotonic() + seconds
    async with asyncio.TaskGroup() as striking:
        for row in (_PROCESSES, _SERVERS, _MAIL):
            own = replace(ground, chance=Random(ground.chance.getrandbits(64)))
            striking.create_task(_go_on(own, row, until))
    ground.provider_is_struck = False
    ground.tally.done["seconds of everything at once"] += seconds


async def _go_on(ground: Ground, row: tuple[tuple[str, int], ...], until: float) -> None:
    known = strikes()
    while time.monotonic() < until:
        name, times = ground.chance.choice(row)
        await known[name].do(ground, times)
        await asyncio.sleep(ground.chance.uniform(0, 4))


STRIKES: Final = (Strike("everything", "everything at once, by the seed, for so many seconds", everything),)
