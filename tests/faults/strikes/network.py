"""The network between a service and its database: it leads nowhere for a while, then it is slow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from deploy.launcher.layout import HOST, SERVICES
from tests.faults.ground import Ground
from tests.faults.strikes import Strike
from tests.faults.wire import wire_to

_CUT: Final = 8.0
"""Seconds; a transaction that stands still is ended by PostgreSQL after 5."""

_SLOW: Final = 0.05
_SLOW_FOR: Final = 5.0


async def cut(ground: Ground, times: int) -> None:
    """A service's connections lead nowhere for 8 s, go on where they were, and then take 50 ms each way."""
    for _ in range(times):
        service = ground.chance.choice(SERVICES)
        whole = ground.river.programs[service]
        async with wire_to(ground.river.layout.ports["postgres"]) as wire:
            name = f"DATABASE_URL_{service.upper()}"
            by_wire = {name: _through(whole.environment[name], wire.port)}
            await _restarted(ground, service, by_wire)
            await asyncio.sleep(2)
            wire.cut()
            await asyncio.sleep(_CUT)
            wire.delay = _SLOW
            wire.mend()
            await asyncio.sleep(_SLOW_FOR)
            ground.tally.done["cut off from its database"] += 1
            await _restarted(ground, service, {})


async def _restarted(ground: Ground, service: str, more: dict[str, str]) -> None:
    whole = ground.river.programs[service]
    await ground.river.running[service].stop()
    ground.ended(service)
    ground.river.programs[service] = replace(whole, environment={**whole.environment, **more})
    try:
        await ground.started(service, f"{service} ready after SIGTERM")
    finally:
        ground.river.programs[service] = whole


def _through(url: str, port: int) -> str:
    """The same address, by way of another port of this machine."""
    parts = urlsplit(url)
    who, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who}@{HOST}:{port}"))


STRIKES: Final = (Strike("cuts", "a service's way to its database leads nowhere for 8 s, then it is slow", cut),)
