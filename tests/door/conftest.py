"""A real door in its own process, before five stand-ins."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from tests.door.standin import StandIn
from tests.processes import free_port, running

UPSTREAMS = ("intake", "routing", "notification", "reporting", "mail", "receiver", "operations")


@dataclass(frozen=True)
class TheDoor:
    """A door's address and process, and what stands behind it."""

    port: int
    pid: int
    behind: Mapping[str, StandIn]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20)


@asynccontextmanager
async def a_door(**environment: str) -> AsyncIterator[TheDoor]:
    """A door of its own for a test that needs other settings."""
    behind = {name: StandIn() for name in UPSTREAMS}
    for standin in behind.values():
        await standin.start()
    port = free_port()
    settings = {"DOOR_PORT": str(port)}
    settings |= {f"UPSTREAM_{name.upper()}": f"http://127.0.0.1:{standin.port}" for name, standin in behind.items()}
    try:
        async with running("deploy.door", settings | environment, port) as process:
            yield TheDoor(port, process.pid, behind)
    finally:
        for standin in behind.values():
            await standin.stop()


@pytest.fixture(scope="session")
async def shared_door() -> AsyncIterator[TheDoor]:
    async with a_door() as door:
        yield door


@pytest.fixture
async def door(shared_door: TheDoor) -> TheDoor:
    """A door with well-behaved services behind it."""
    for standin in shared_door.behind.values():
        standin.forget()
    return shared_door
