"""Servers that the tests share: one PostgreSQL and one Kafka for the session, as `make up` starts them."""

from __future__ import annotations

import os

import pytest

from deploy.launcher import topics
from deploy.launcher.layout import REPOSITORY, Layout
from deploy.launcher.servers import Servers, start_servers
from shared.events import TOPICS

TEST_PORT = 18080


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Folder and ports of the tests' servers; they stay up between two runs, `make clean` ends them."""
    environ = {key.replace("LIENTHONG_TEST_", "LIENTHONG_"): value for key, value in os.environ.items()}
    chosen = {
        key: environ[key] for key in ("LIENTHONG_VAR", "LIENTHONG_PORT") if f"LIENTHONG_TEST_{key[10:]}" in os.environ
    }
    return Layout.of(chosen, folder=REPOSITORY / "var" / "test", port=TEST_PORT)


@pytest.fixture(scope="session")
async def servers(layout: Layout) -> Servers:
    """PostgreSQL and Kafka, running."""
    running = await start_servers(layout)
    await topics.create(running.kafka, TOPICS)
    return running
