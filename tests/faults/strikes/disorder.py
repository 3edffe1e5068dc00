"""Delivery in disorder: every event arrives many times, and later versions before earlier ones."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.topics import TOPIC_OF, Topic
from tests.faults.ground import Ground
from tests.faults.strikes import Strike

_COPIES: Final = 60
_SPEAKERS: Final = ("intake", "routing", "notification")


async def disorder(ground: Ground, deliveries: int) -> None:
    """The three relays send each round sixty-fold and shuffled, until so many records lie on the topics."""
    topics = list(TOPIC_OF.values())
    before = await _end(ground.river.servers.kafka, topics)
    for service in _SPEAKERS:
        await ground.river.running[service].stop()
        ground.ended(service)
        ground.set_off(service, MISCHIEF=f"disorder:{_COPIES}")
    ground.tally.done["disorder"] += 1
    while await _end(ground.river.servers.kafka, topics) - before < deliveries:
        await asyncio.sleep(1)
    for service in _SPEAKERS:
        await ground.river.running[service].stop()
        ground.ended(service)
        await ground.started(service, f"{service} ready after SIGTERM")
    ground.tally.done["deliveries in disorder"] += await _end(ground.river.servers.kafka, topics) - before


async def _end(kafka: str, topics: list[Topic]) -> int:
    consumer: Any = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        everywhere = [TopicPartition(topic.name, number) for topic in topics for number in range(topic.partitions)]
        return sum((await consumer.end_offsets(everywhere)).values())
    finally:
        await consumer.stop()


STRIKES: Final = (Strike("disorder", "every event is delivered many times and in any order", disorder),)
