"""Three brokers: one of them is killed at a time, and what was acknowledged lies on two."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from tests.faults.ground import Ground
from tests.faults.needs import Needs
from tests.faults.strikes import Strike
from tests.processes import until


async def kill_in_turn(ground: Ground, times: int) -> None:
    """SIGKILL of one broker after the other; the next one when the last has all that it missed."""
    brokers = ground.river.layout.broker_names
    for turn in range(times):
        broker = brokers[turn % len(brokers)]
        await ground.river.servers.kill(broker)
        ground.tally.done[f"{broker} ended"] += 1
        await asyncio.sleep(ground.chance.uniform(0, 8))  # some come back before the others have noticed
        began = time.monotonic()
        await ground.river.servers.start(broker)
        await until(lambda: _in_step(ground), f"every partition is where it should be after {broker}", seconds=120)
        ground.tally.took("a broker has what it missed after SIGKILL", time.monotonic() - began)
        ground.tally.done["one broker of three killed"] += 1


async def _in_step(ground: Ground) -> bool:
    """Whether every partition has all its replicas in step."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=ground.river.servers.kafka, request_timeout_ms=5000)
    try:
        await admin.start()
        partitions = [one for topic in await admin.describe_topics() for one in topic["partitions"]]
    except (KafkaError, OSError):
        return False
    finally:
        await admin.close()
    return bool(partitions) and all(len(one["isr"]) == len(one["replicas"]) for one in partitions)


STRIKES: Final = (Strike("broker_kills", "of three brokers one is killed at a time", kill_in_turn, Needs(brokers=3)),)
