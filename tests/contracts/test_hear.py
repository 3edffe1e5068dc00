"""The example of a hearer in the documents does what the page beside it demands."""

from __future__ import annotations

import asyncio
import sys
import uuid
from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaProducer

from deploy.contracts.examples import Example, example_of
from deploy.launcher import topics
from deploy.launcher.servers import Servers
from shared.events import HandedOver, StageStarted, SupplementRequested
from shared.topics import Topic
from tests.architecture.tree import REPOSITORY

_SCRIPT = REPOSITORY / "docs" / "examples" / "hear.py"


@pytest.fixture
async def topic(servers: Servers) -> Topic:
    """A topic of this test's own."""
    own = Topic(f"test.{uuid.uuid4()}", partitions=1)
    await topics.create(servers.kafka, [own])
    return own


@pytest.fixture
async def hearer(servers: Servers, topic: Topic) -> AsyncIterator[asyncio.subprocess.Process]:
    """The example, running."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, _SCRIPT, servers.kafka, topic.name, stdout=asyncio.subprocess.PIPE
    )
    yield process
    process.kill()
    await process.wait()


def _as_version(version: int, example: Example) -> tuple[bytes, list[tuple[str, bytes]]]:
    headers = {**example.headers, "ce_streamversion": str(version)}
    return example.body.encode(), [(name, value.encode()) for name, value in headers.items()]


async def test_the_example_drops_repeats_and_waits_for_what_is_missing(
    servers: Servers, topic: Topic, hearer: asyncio.subprocess.Process
) -> None:
    first = _as_version(1, example_of(StageStarted))
    second = _as_version(2, example_of(HandedOver))
    third = _as_version(3, example_of(SupplementRequested))
    async with AIOKafkaProducer(bootstrap_servers=servers.kafka, acks="all") as producer:
        for body, headers in (first, third, first, second, third):
            await producer.send_and_wait(topic.name, body, key=b"one", headers=headers)

    assert hearer.stdout is not None
    lines = [(await hearer.stdout.readline()).decode().split(" ", 3) for _ in range(3)]

    assert [(line[1], line[2]) for line in lines] == [
        ("1", "lienthong.StageStarted"),
        ("2", "lienthong.HandedOver"),
        ("3", "lienthong.SupplementRequested"),
    ]
