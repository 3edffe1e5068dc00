"""Disks that are full: PostgreSQL's, Kafka's, and that of telemetry; then there is room again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from random import Random
from typing import Final

import httpx

from tests.faults.disks import Disk
from tests.faults.ground import Ground
from tests.faults.history import Outcome
from tests.faults.load import Doors, submission
from tests.faults.needs import Needs
from tests.faults.strikes import Strike
from tests.processes import until

_FULL_FOR: Final = 15.0
_LONGEST_UNTIL_REFUSED: Final = 120.0
_PROBE_EVERY: Final = 0.5
_LEFT_FOR_PAGES: Final = 96 * 1024
"""Bytes. With none at all PostgreSQL dies at the next byte of its log; with these, pages of tables find no room."""


async def fill_database(ground: Ground, times: int) -> None:
    """No room for PostgreSQL's data and log. AssertionError when intake answers neither 2xx nor a problem with 503."""
    disk = ground.disks["postgres"]
    for turn in range(times):
        ground.tally.done["postgres ended"] += 1  # it may be, and with it what was in flight
        leave = _LEFT_FOR_PAGES if turn % 2 else 0
        answers = await _answers_while_full(ground, disk, leave=leave, longest=_LONGEST_UNTIL_REFUSED)
        refused = Counter({what: count for what, count in answers.items() if what != "accepted"})
        assert set(refused) <= {"503 application/problem+json", "no answer"}, f"with a full disk intake said {refused}"
        assert refused["503 application/problem+json"], f"the disk was full, and intake never said so: {answers}"
        ground.tally.done["refused with 503 while the disk was full"] += refused["503 application/problem+json"]
        ground.tally.done["PostgreSQL's disk full"] += 1
        await _goes_on(ground, "postgres")


async def fill_broker(ground: Ground, times: int) -> None:
    """No room for Kafka's log. AssertionError when intake does not take dossiers in meanwhile."""
    disk = ground.disks["kafka"]
    for _ in range(times):
        answers = await _answers_while_full(ground, disk)
        assert set(answers) == {"accepted"}, f"without room for Kafka's log intake said {answers}"
        ground.tally.done["accepted while Kafka's disk was full"] += answers["accepted"]
        ground.tally.done["Kafka's disk full"] += 1
        await _goes_on(ground, "kafka")


async def fill_telemetry(ground: Ground, times: int) -> None:
    """No room for what is traced and measured: nobody notices. AssertionError when the receiver does not go on."""
    disk, url = ground.disks["telemetry"], ground.river.layout.url("receiver")
    for _ in range(times):
        answers = await _answers_while_full(ground, disk)
        assert set(answers) == {"accepted"}, f"without room for telemetry intake said {answers}"
        assert ground.river.running["receiver"].is_alive(), "the receiver ended because its disk was full"
        await until(lambda: _is_ready(url), "the receiver is ready when there is room", seconds=60)
        ground.tally.done["telemetry's disk full"] += 1


async def _is_ready(url: str) -> bool:
    async with httpx.AsyncClient(timeout=5) as client:
        try:
            return (await client.get(f"{url}/health/ready")).status_code == 200
        except httpx.TransportError:
            return False


async def _answers_while_full(ground: Ground, disk: Disk, *, leave: int = 0, longest: float = 0.0) -> Counter[str]:
    """Fill a disk but for so many bytes, hand dossiers in meanwhile, empty it; what intake said to each.

    ``longest``: where intake is to refuse, it is asked so many seconds until it does; what was left has to be used up.
    """
    doors, chance = Doors(ground.river, ground.history), Random(ground.chance.getrandbits(64))
    answers: Counter[str] = Counter()
    disk.fill(leave=leave)
    began = time.monotonic()
    try:
        while (lasted := time.monotonic() - began) < _FULL_FOR or (lasted < longest and set(answers) == {"accepted"}):
            told = await doors.once(submission(chance))
            if told.outcome is Outcome.OK:
                answers["accepted"] += 1
            else:
                answers["no answer" if told.status is None else f"{told.status} {told.media_type}"] += 1
            await asyncio.sleep(_PROBE_EVERY)
    finally:
        disk.empty()
        await doors.client.aclose()
    return answers


async def _goes_on(ground: Ground, kind: str) -> None:
    """There is room again: what had ended is started again, as a supervisor does; then wait until all is carried."""
    began = time.monotonic()
    servers = [each for each in ground.river.servers.programs if each.startswith(kind)]
    with ground.ends.may_end(*servers):
        for name in servers:
            await _up_again(ground, name)
    for service, running in list(ground.river.running.items()):
        if not running.is_alive():
            ground.ended(service)
            await ground.started(service, f"{service} ready after it ended by itself")
    await ground.waits.carried()
    ground.tally.took(f"carried after {kind} had room again", time.monotonic() - began)


async def _up_again(ground: Ground, server: str) -> None:
    """It goes on by itself, or it has ended; or it is about to end, or stands there half dead, and is ended."""
    servers = ground.river.servers
    try:
        await until(servers.programs[server].is_ready, f"{server} goes on by itself", seconds=10)
    except AssertionError:
        by_itself = not servers.running[server].is_alive()
        ground.tally.done[f"{server} had ended by itself" if by_itself else f"{server} had to be ended"] += 1
        await servers.kill(server)
        await servers.start(server)


_SMALL: Final = Needs(small_disks=True)

STRIKES: Final = (
    Strike("full_database", "no room for PostgreSQL", fill_database, _SMALL),
    Strike("full_broker", "no room for Kafka's log", fill_broker, _SMALL),
    Strike("full_telemetry", "no room for traces and metrics", fill_telemetry, _SMALL),
)
