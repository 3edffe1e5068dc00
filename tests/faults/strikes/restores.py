"""Databases that are restored from an older copy, with the service stopped, while the others run on.

A hearer that only hears lacks what it had heard since; anti-entropy brings all of it back. A speaker that is restored
has lost what it had said: that is a campaign of its own, with a verdict of its own (`tests.faults.checker.restores`).
"""

from __future__ import annotations

from functools import partial
from typing import Final

import asyncpg

from deploy.launcher import roles
from shared.topics import TOPIC_OF, Service
from tests.faults.checker import RESTORED
from tests.faults.ground import HEARERS, Ground, Undone
from tests.faults.strikes import Strike
from tests.flow.river import ADMINISTRATOR
from tests.processes import until

_MEANWHILE: Final = 40
"""Entries that have to be said, or heard, between the copy and the restore, and after it."""

_SPEAKERS: Final = ("intake", "routing", "notification")
_ENTRIES: Final = "SELECT aggregateid AS subject, version, id::text AS id, type, actor, cause_version FROM journal"
_BUSY: Final = (asyncpg.ObjectInUseError, asyncpg.PostgresConnectionError, OSError)


async def restore_a_hearer(ground: Ground, times: int) -> None:
    """Reporting's database is replaced by a copy; what it had heard since counts as lost, and has to come back."""
    for _ in range(times):
        # Before the copy is taken: what is heard as soon as the service is back, it lacks already.
        before = {source: await ground.versions.heard_by("reporting", source) for source in HEARERS}
        await _copy(ground, "reporting")
        await _goes_on(ground, "reporting")
        await ground.river.running["reporting"].stop()
        ground.ended("reporting")
        await _swap(ground, "reporting")
        for source in HEARERS:
            declared = ground.tally.lost.setdefault(TOPIC_OF[Service(source)].name, {})
            for subject, said in (await ground.versions.said_by(source)).items():
                declared.setdefault(subject, set()).update(range(before[source].get(subject, 0) + 1, said + 1))
        ground.tally.done["topic lost"] += 1  # to it, whatever it was
        ground.tally.done["reporting restored from an older copy"] += 1
        await ground.started("reporting", "reporting ready after a restore")
        await ground.waits.healed()


async def _restore_a_speaker(service: str, ground: Ground, times: int) -> None:
    """A speaker's database is replaced by a copy: what it said since is written down, and then gone."""
    for _ in range(times):
        await _copy(ground, service)
        enough = len(ground.erased()) + 2
        await _goes_on(ground, service)
        await until(partial(_are_erased, ground, enough), "citizens' data are erased after the copy", seconds=120)
        await ground.river.running[service].stop()
        ground.ended(service)
        said = await _entries(ground, service)
        await _swap(ground, service)
        kept = await _entries(ground, service)
        ground.tally.undone.setdefault(service, {}).update(
            {ident: entry for ident, entry in said.items() if ident not in kept}
        )
        ground.tally.done[RESTORED] += 1
        ground.tally.done[f"{service} restored from an older copy"] += 1
        await ground.started(service, f"{service} ready after a restore")
        # What docs/operate.md asks of whoever has restored anything.
        replay = ground.river.url("intake", "/intake/operations/erasures/replay")
        (await ground.river.client.post(replay, headers=ADMINISTRATOR)).raise_for_status()
        await _goes_on(ground, service)


def _are_erased(ground: Ground, count: int) -> bool:
    return len(ground.erased()) >= count


async def _copy(ground: Ground, service: str) -> None:
    """Take the copy while the service is briefly stopped."""
    await ground.river.running[service].stop()
    ground.ended(service)
    await _as_superuser(ground, f"CREATE DATABASE {service}_older TEMPLATE {service} OWNER {service}_owner")
    await ground.started(service, f"{service} ready after SIGTERM")


async def _swap(ground: Ground, service: str) -> None:
    await _as_superuser(ground, f"DROP DATABASE {service} WITH (FORCE)")
    await _as_superuser(ground, f"ALTER DATABASE {service}_older RENAME TO {service}")
    await roles.make(ground.river.servers.databases)


async def _as_superuser(ground: Ground, statement: str) -> None:
    """Somebody may look into the database just now (the load's clocks do): then once more."""

    async def is_done() -> bool:
        superuser = await asyncpg.connect(ground.river.servers.databases.superuser)
        try:
            await superuser.execute(statement)
        except _BUSY:
            return False
        finally:
            await superuser.close()
        return True

    await until(is_done, statement, seconds=60)


async def _goes_on(ground: Ground, service: str) -> None:
    """Wait until the service has said (one that says nothing: heard) so much more."""

    async def count() -> int:
        async with ground.river.store(service) as store:
            counted: int = await store.fetchval(
                "SELECT (SELECT count(*) FROM journal) + (SELECT coalesce(sum(version), 0) FROM heard WHERE $1)",
                service == "reporting",
            )
            return counted

    enough = await count() + _MEANWHILE

    async def is_enough() -> bool:
        return await count() >= enough

    await until(is_enough, f"{service} goes on", seconds=180)


async def _entries(ground: Ground, service: str) -> dict[str, Undone]:
    async with ground.river.store(service) as store:
        return {
            row["id"]: Undone(row["subject"], row["version"], row["type"], row["actor"], row["cause_version"] is None)
            for row in await store.fetch(_ENTRIES)
        }


STRIKES: Final = (
    Strike("restored_hearer", "reporting's database is restored from an older copy", restore_a_hearer),
    *(
        Strike(
            f"restored_{speaker}",
            f"{speaker}'s database is restored from an older copy",
            partial(_restore_a_speaker, speaker),
        )
        for speaker in _SPEAKERS
    ),
)
