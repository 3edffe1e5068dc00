"""The network between a service and its database, its broker, the mail provider: cut, cut one way, halved, slow."""

from __future__ import annotations

import asyncio
import time
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Final

from deploy.launcher.layout import HOST, SERVICES
from shared.store import is_transient
from tests.faults.ground import Ground, while_it_moves
from tests.faults.load import Doors, submission
from tests.faults.strikes import Strike
from tests.faults.wire import Wire, through, wire_to
from tests.processes import until

_KINDS: Final = ("cut", "answers cut", "halved")
_CUTS: Final = (8.0, 15.0)
"""Seconds; a transaction that stands still is ended by PostgreSQL after 5, a member given up by Kafka after 10."""

_SLOW: Final = 0.05
_SLOW_FOR: Final = 5.0
_LONGEST_SEARCH: Final = 120.0
_PROBES: Final = 10
"""Dossiers handed in afterwards: so many that a lane which hears nothing more misses one of them."""

_HEARD: Final = "SELECT count(DISTINCT subject) FROM heard WHERE subject = ANY($1) AND version > 0"
_TOLD: Final = "SELECT count(DISTINCT dossier) FROM notice WHERE dossier = ANY($1) AND state = 'sent'"


async def cut_from_database(ground: Ground, times: int) -> None:
    """A service's connections to PostgreSQL, each kind of fault in turn; then 50 ms each way."""
    for kind in _kinds(ground, times):
        service = ground.chance.choice(SERVICES)
        name = f"DATABASE_URL_{service.upper()}"
        whole = ground.river.programs[service].environment[name]
        async with wire_to(ground.river.layout.ports["postgres"]) as wire:
            await ground.restarted(service, **{name: through(whole, wire.port)})
            await _disturb(ground, wire, kind, service, "its database")
            await ground.restarted(service)


async def cut_from_kafka(ground: Ground, times: int) -> None:
    """A service's connections to Kafka, its relay's and its ear's, each kind of fault in turn; then 50 ms each way."""
    ways = await ground.ways_to_kafka()
    for kind in _kinds(ground, times):
        service = ground.chance.choice(SERVICES)
        way = ways[service]
        async with wire_to(way.listener, at=way.told) as wire:
            await ground.restarted(service, KAFKA_BOOTSTRAP_SERVERS=f"{HOST}:{way.told}")
            await _disturb(ground, wire, kind, service, "Kafka")
            await ground.restarted(service)


async def cut_from_provider(ground: Ground, times: int) -> None:
    """Connections to the mail provider, each kind of fault in turn; then 50 ms each way."""
    for kind in _kinds(ground, times):
        way: AbstractAsyncContextManager[Wire] = wire_to(ground.river.layout.ports["smtp"])
        async with way as wire:
            await ground.restarted("notification", SMTP_PORT=str(wire.port))
            ground.tally.done["mail cut off"] += 1
            await _disturb(ground, wire, kind, "notification", "the provider")
            await ground.restarted("notification")


def _kinds(ground: Ground, times: int) -> list[str]:
    """One kind after the other, from any of them on."""
    first = ground.chance.randrange(len(_KINDS))
    return [_KINDS[(first + turn) % len(_KINDS)] for turn in range(times)]


async def _disturb(ground: Ground, wire: Wire, kind: str, service: str, what: str) -> None:
    """One fault on a wire that a service speaks through, and then wait until that service has found its way again."""
    await asyncio.sleep(2)
    if kind == "halved":
        await until(lambda: wire.halve() > 0, f"{service} has a connection to {what}", seconds=120)
    else:
        await _cut(ground, wire, kind)
    began = time.monotonic()
    wire.mend()
    await _found_again(ground, f"{service}, its way to {what} {kind}")
    ground.tally.took(f"found its way to {what} again, {kind}", time.monotonic() - began)
    # Not before: over a slow wire a sender may be slower than what comes in, and whoever waits for the last letter
    # waits behind all that came before it.
    wire.delay = _SLOW
    await asyncio.sleep(_SLOW_FOR)
    ground.tally.done[f"way to {what} {kind}"] += 1


async def _cut(ground: Ground, wire: Wire, kind: str) -> None:
    if kind == "cut":
        wire.cut()
    else:
        wire.cut_answers()
    await asyncio.sleep(ground.chance.choice(_CUTS))


async def _found_again(ground: Ground, who: str) -> None:
    """Wait until what is handed in now is heard by all and told to its citizens: figures of a service that hears
    nothing more stand still, and look well. It is waited for as long as more of it is heard, or told."""
    doors, chance = Doors(ground.river, ground.history), Random(ground.chance.getrandbits(64))
    try:
        asked = [submission(chance) for _ in range(_PROBES)]
        async with asyncio.timeout(_LONGEST_SEARCH):
            dossiers = [one.answer["id"] for one in await asyncio.gather(*map(doors.told, asked))]
    finally:
        await doors.client.aclose()

    there: list[int] = []

    async def everybody_has_them() -> bool:
        there.clear()
        try:
            for service in SERVICES:
                async with ground.river.store(service) as store:
                    there.append(await store.fetchval(_HEARD, dossiers))
            if not ground.provider_is_struck:
                async with ground.river.store("notification") as store:
                    there.append(await store.fetchval(_TOLD, dossiers))
        except Exception as error:
            if not is_transient(error):
                raise
            return False  # somebody else strikes at the database just now
        return min(there) == len(dossiers)

    await while_it_moves(everybody_has_them, lambda: tuple(there), f"everything goes on after {who}")


STRIKES: Final = (
    Strike("cuts", "a service's way to its database is cut, cut one way or halved, then slow", cut_from_database),
    Strike("kafka_cuts", "the same to Kafka", cut_from_kafka),
    Strike("mail_cuts", "the same to the mail provider", cut_from_provider),
)
