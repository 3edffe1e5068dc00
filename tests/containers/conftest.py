"""One river in containers for all tests of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.containers.river import RiverInContainers, flowing, missing


@pytest.fixture(scope="session")
async def river() -> AsyncIterator[RiverInContainers]:
    """Fresh volumes, all containers healthy, seeded. Skips where there is no engine."""
    reason = missing()
    if reason:
        pytest.skip(reason)
    async with flowing() as running:
        await running.seed()
        yield running
