"""Rebalance storms: processes of one service come and go, and its partitions and shards change hands all the while."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from deploy.launcher.layout import SERVICES
from tests.faults.ground import Ground, while_it_moves
from tests.faults.strikes import Strike

_SLOTS: Final = 3
_LANES: Final = 2
_NOT_WAITED_FOR: Final = 0.4
_NO_SECOND_EAR: Final = (("Stable", 1), ("Dead", 0), None)
"""The ear for states, of a service that has one; of the others Kafka knows no such group."""

_BEYOND_THE_SESSION: Final = 12.0


async def storm(ground: Ground, times: int) -> None:
    """Of one service after the other three processes, of which one ends and comes again: so many times in all.

    Half of them end by SIGKILL, and they come again at once or when their session has run out; nobody waits until the
    others have found together.
    """
    services = ground.chance.sample(SERVICES, min(times, len(SERVICES)))
    for number, service in enumerate(services):
        await _storm(ground, service, len(range(number, times, len(services))))
    ground.tally.done["storms"] += 1


async def _storm(ground: Ground, service: str, times: int) -> None:
    names = [service, *(ground.joined(service, slot) for slot in range(1, _SLOTS))]
    for name in names[1:]:
        await _comes(ground, name)
    for _ in range(times):
        name = ground.chance.choice(names)
        await _ends(ground, service, name)
        await asyncio.sleep(_BEYOND_THE_SESSION if ground.chance.random() < 0.1 else ground.chance.uniform(0, 2))
        await _comes(ground, name)
        ground.tally.done["came and went in a storm"] += 1
    began = time.monotonic()
    for name in names[1:]:
        await _ends(ground, service, name)
        ground.left(name)
    await ground.restarted(service)
    await _alone(ground, service)
    ground.tally.took("alone in its group after a storm", time.monotonic() - began)


async def zombie(ground: Ground, times: int) -> None:
    """A process stands still, another one of the same slot takes its place, and the first one wakes again."""
    for _ in range(times):
        service = ground.chance.choice(SERVICES)
        second = ground.joined(service, 0, called=f"{service}-again")
        ground.river.running[service].suspend()
        ground.tally.done[f"{service} suspended"] += 1
        await _comes(ground, second)
        ground.river.running[service].resume()
        await asyncio.sleep(ground.chance.uniform(2, 15))
        await ground.river.kill(service)
        ground.ended(service)
        await ground.started(service, f"{service} ready after SIGKILL")
        await _ends(ground, service, second)
        ground.left(second)
        await ground.restarted(service)  # whoever came last was fenced by whoever came after him
        await _alone(ground, service)
        ground.tally.done["woke and found its slot taken"] += 1


async def _comes(ground: Ground, name: str) -> None:
    """Start it; as often as not, wait until it is ready."""
    if ground.chance.random() < _NOT_WAITED_FOR:
        ground.river.launch(ground.river.programs[name])
    else:
        await ground.started(name, f"{name.partition('-')[0]} ready in a storm")


async def _ends(ground: Ground, service: str, name: str) -> None:
    if ground.chance.random() < 0.5:
        await ground.river.kill(name)
    else:
        await ground.river.running[name].stop()
    ground.ended(service)


async def _alone(ground: Ground, service: str) -> None:
    """Wait until nobody else is in its groups: the lag of partitions that others hold is nobody's figure."""
    found: dict[str, tuple[str, int]] = {}

    async def is_alone() -> bool:
        admin: Any = AIOKafkaAdminClient(bootstrap_servers=ground.river.servers.kafka, request_timeout_ms=5000)
        try:
            await admin.start()
            # One by one: of an answer about two groups this client misreads the second.
            told = [
                answer
                for group in (service, f"{service}.states")
                for answer in await admin.describe_consumer_groups([group])
            ]
        except KafkaError:  # it may be down just now, when other faults strike beside this one
            return False
        finally:
            await admin.close()
        found.update({name: (state, len(members)) for one in told for _, name, state, _, _, members, *_ in one.groups})
        return found.get(service) == ("Stable", _LANES) and found.get(f"{service}.states") in _NO_SECOND_EAR

    await while_it_moves(is_alone, lambda: dict(found), f"{service} is alone in its group")


STRIKES: Final = (
    Strike("storms", "three processes of a service come and go, so many times", storm),
    Strike("zombies", "a process wakes and finds that another one has its slot", zombie),
)
