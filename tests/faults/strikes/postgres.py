"""PostgreSQL: killed with everything that it had open, or its backends ended under those who use them."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import asyncpg

from deploy.launcher.layout import SERVICES
from deploy.launcher.postgres import superuser_url
from tests.faults.ground import Ground
from tests.faults.strikes import Strike

_END_ALL: Final = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
 WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


async def kill(ground: Ground, times: int) -> None:
    """SIGKILL: shared memory and all backends are gone, the log is replayed at the start."""
    for _ in range(times):
        await ground.river.servers.kill("postgres")
        ground.tally.done["postgres ended"] += 1
        began = time.monotonic()
        await ground.river.servers.start("postgres")
        ground.tally.took("postgres ready after SIGKILL", time.monotonic() - began)
        await asyncio.sleep(1 + ground.chance.random())


async def terminate(ground: Ground, times: int) -> None:
    """pg_terminate_backend of every connection of a service: in the middle of transactions, relays' locks included."""
    ended = 0
    for _ in range(times):
        service = ground.chance.choice(SERVICES)  # it may be down just now, when other faults strike beside this one
        ended += await _ended(superuser_url(ground.river.layout, service))
        await asyncio.sleep(0.2 + ground.chance.random())
    assert ended, "there was no connection that could be ended"
    ground.tally.done["backends terminated"] += ended


async def _ended(url: str) -> int:
    superuser = await asyncpg.connect(url)
    try:
        count: int = await superuser.fetchval(_END_ALL)
        return count
    finally:
        await superuser.close()


STRIKES: Final = (
    Strike("postgres_kills", "PostgreSQL is killed", kill),
    Strike("terminations", "all backends of a service are terminated", terminate),
)
