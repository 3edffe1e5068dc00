"""Mutants that only a broker can show: a process of its own hears from real Kafka, and is killed at a bad instant."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psutil
import pytest

from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared.store import Database
from shared.topics import INTAKE
from tests.flow.rough import a_process, is_committed, make_anew, publish, rough_servers
from tests.layouts import ROUGH
from tests.listening import emptied, listening
from tests.processes import until
from tests.telling import Story, record_of

_DOSSIERS = 20
_HEARD = "SELECT count(*) FROM told"


@pytest.fixture(scope="module")
async def servers() -> AsyncIterator[Servers]:
    async with rough_servers() as ours:
        yield ours


@pytest.fixture(scope="module")
async def made(servers: Servers) -> AsyncIterator[Databases]:
    async with listening(ROUGH, "_mutants") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases, servers: Servers) -> AsyncIterator[Database]:
    await make_anew(servers.kafka)
    async with emptied(made, "reporting") as ours:
        yield ours


@pytest.mark.parametrize(("mutant", "loses"), [("", False), ("offset-first", True)])
async def test_an_offset_that_is_committed_first_loses_what_was_not_heard_yet(
    servers: Servers, made: Databases, database: Database, mutant: str, loses: bool
) -> None:
    """Killed in the middle of its first batch; the one who comes after hears what the offsets have left."""
    url = made.login["reporting"]
    records = [record_of(Story().received()) for _ in range(_DOSSIERS)]
    await publish(servers.kafka, records)
    async with a_process("ear", "reporting", url, servers.kafka, mutant=mutant, stands_still="copy") as killed:
        await until(lambda: _is_stopped(killed.pid), "it stands in the middle of a batch", seconds=60)
        killed.kill()
        await killed.wait()

    async with a_process("ear", "reporting", url, servers.kafka), database.pool.acquire() as connection:

        async def is_through() -> bool:
            return await is_committed(servers.kafka, "reporting", INTAKE)

        await until(is_through, "whatever is left is heard", seconds=60)
        heard = await connection.fetchval(_HEARD)

    assert (heard < _DOSSIERS) == loses


def _is_stopped(pid: int) -> bool:
    return psutil.Process(pid).status() == psutil.STATUS_STOPPED
