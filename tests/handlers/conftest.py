"""Handlers on real PostgreSQL: four migrated databases for the session, emptied before each test by `tests.stores`."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from tests.stores import databases


@pytest.fixture(scope="session")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    """Databases of our own on the session's server."""
    async with databases(layout, "_handlers") as ours:
        yield ours
