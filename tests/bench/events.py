"""The same bytes for every side: DossierReceived of dossiers that nobody heard of before, on intake's topic."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import datetime, timedelta, timezone
from typing import Any, Final

import uuid_utils
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from shared.calendar import Term, TermUnit
from shared.envelope import Envelope, headers_of
from shared.events import INTAKE, Channel, DossierReceived, Service
from shared.journal import shard_of

UNIT: Final = "000.01.99.H41"
PROCEDURE: Final = "1.001776"
_RECEIVED: Final = datetime(2026, 3, 2, 9, 0, tzinfo=timezone(timedelta(hours=7)))
_SAMPLED_OF: Final = 100
"""One trace in a hundred is recorded, as a busy town would have it."""


def _record(number: int) -> tuple[int, bytes, bytes, list[tuple[str, bytes]]]:
    subject = str(uuid_utils.uuid7())
    event = DossierReceived(
        code=f"{UNIT}-260302-{number:06}",
        procedure=PROCEDURE,
        procedure_version=1,
        unit=UNIT,
        unit_version=1,
        channel=Channel.DESK,
        term=Term(10, TermUnit.WORKING_DAY),
        promise=_RECEIVED + timedelta(days=14, hours=8),
        calendar="office",
        calendar_version=1,
        contact_version=1,
    )
    trace = f"00-{uuid_utils.uuid4().hex}-{uuid_utils.uuid4().hex[:16]}-{'01' if number % _SAMPLED_OF == 0 else '00'}"
    envelope = Envelope(
        str(uuid_utils.uuid7()),
        Service.INTAKE,
        subject,
        1,
        "DossierReceived",
        _RECEIVED,
        _RECEIVED,
        None,
        None,
        "desk-1",
        trace,
    )
    return (
        shard_of(subject),
        subject.encode(),
        event.model_dump_json(exclude_defaults=True).encode(),
        headers_of(envelope),
    )


async def produce(kafka: str, topic: str, count: int) -> dict[TopicPartition, int]:
    """Put ``count`` events of new dossiers on a topic; returns where they begin on each partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_batch_size=1_048_576)
    await producer.start()
    try:
        partitions = [TopicPartition(topic, partition) for partition in range(INTAKE.partitions)]
        begins = await _ends(kafka, partitions)
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for number in range(count):
            by_partition[(record := _record(number))[0]].append(record)
        for partition, records in by_partition.items():
            await _send(producer, topic, partition, records)
        return begins
    finally:
        await producer.stop()


async def _send(producer: AIOKafkaProducer, topic: str, partition: int, records: list[Any]) -> None:
    pending = []
    batch = producer.create_batch()
    for _, key, value, headers in records:
        if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
            pending.append(await producer.send_batch(batch, topic, partition=partition))
            batch = producer.create_batch()
            batch.append(key=key, value=value, timestamp=None, headers=headers)
    pending.append(await producer.send_batch(batch, topic, partition=partition))
    await asyncio.gather(*pending)


async def _ends(kafka: str, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends
    finally:
        await consumer.stop()
