"""Handlers on real PostgreSQL: four migrated databases for the session, emptied before each test by `tests.stores`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared.seal import Keyring, Register, make_keys
from tests.handlers.doors import DESK, Desk, at_counter, intake_app, routing_app
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing
from tests.stores import databases
from tests.stores import store as a_store


@pytest.fixture(scope="session")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    """Databases of our own on the session's server."""
    async with databases(layout, "_handlers") as ours:
        yield ours


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys outside the repository."""
    folder = tmp_path_factory.mktemp("keys")
    make_keys(folder)
    return folder


@pytest.fixture
def register(tmp_path: Path) -> Register:
    """An empty register of erasures."""
    return Register(tmp_path / "erasures" / "register.jsonl")


@pytest.fixture
async def intake(made: Databases, keys: Path, register: Register) -> AsyncIterator[Intake]:
    """Intake with its door open."""
    keyring = Keyring.load(keys, "intake", register)
    async with a_store(made, "intake") as database, Intake(database, keyring, register).open() as one:
        await one.seed()
        yield one


@pytest.fixture
async def routing(made: Databases) -> AsyncIterator[Routing]:
    """Routing with units, calendar and procedures."""
    async with a_store(made, "routing") as database:
        one = Routing(database)
        await one.seed()
        yield one


@pytest.fixture
async def desk(intake: Intake) -> AsyncIterator[Desk]:
    """The ward's desk at intake."""
    async with at_counter(intake_app(intake), DESK) as one:
        yield one


@pytest.fixture
async def officer(routing: Routing) -> AsyncIterator[Desk]:
    """The ward's officer at routing."""
    async with at_counter(routing_app(routing), DESK) as one:
        yield one
