"""One river for all flow tests of a session."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.flow.river import River, flowing
from tests.layouts import FLOW


@pytest.fixture(scope="session")
async def river() -> AsyncIterator[River]:
    """Fresh stores, fresh topics, four services, the mail catcher and the front door, seeded."""
    async with flowing(FLOW) as running:
        await running.seed()
        yield running
