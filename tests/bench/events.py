"""The same bytes for every side: DossierReceived of dossiers that nobody heard of before, on intake's topic.

No two are alike: each came in at its own instant of a year, in office hours or not, under one of many terms, and was
promised by the calendar. Nothing that remembers one dossier's arithmetic helps with the next. Every trace is recorded,
as intake does when nobody tells it otherwise.
"""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import uuid_utils
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from deploy.sample.calendars import vietnam_calendar
from shared.calendar import Term, TermUnit, WorkingCalendar, due_of_term
from shared.envelope import Envelope, headers_of
from shared.events import Channel, DossierReceived
from shared.journal import shard_of
from shared.topics import INTAKE, Service

UNIT: Final = "000.01.99.H41"
PROCEDURE: Final = "1.001776"
_FIRST: Final = datetime(2026, 1, 5, tzinfo=UTC)
_YEAR: Final = timedelta(days=330) // timedelta(microseconds=1)
_LONGEST_TERM: Final = 40


def office() -> WorkingCalendar:
    """The calendar by which every dossier of the bench is promised."""
    return vietnam_calendar("office", version=1, first_year=2016, last_year=2030)


def record_of(number: int, calendar: WorkingCalendar) -> tuple[int, bytes, bytes, list[tuple[str, bytes]]]:
    """Partition, key, body and headers of the dossier of a number; the same number is the same matter every time."""
    chance = random.Random(number)
    received = _FIRST + timedelta(microseconds=chance.randrange(_YEAR))
    term = Term(chance.randrange(1, _LONGEST_TERM), chance.choice((TermUnit.WORKING_DAY, TermUnit.CALENDAR_DAY)))
    subject = str(uuid_utils.uuid7())
    event = DossierReceived(
        code=f"{UNIT}-{received:%y%m%d}-{number:06}",
        procedure=PROCEDURE,
        procedure_version=1,
        unit=UNIT,
        unit_version=1,
        channel=Channel.DESK,
        term=term,
        promise=due_of_term(calendar, received, term),
        calendar="office",
        calendar_version=1,
        contact_version=1,
    )
    trace = f"00-{uuid_utils.uuid4().hex}-{uuid_utils.uuid4().hex[:16]}-01"
    envelope = Envelope(
        str(uuid_utils.uuid7()),
        Service.INTAKE,
        subject,
        1,
        "DossierReceived",
        received,
        received + timedelta(microseconds=chance.randrange(1, 5_000_000)),
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


Prepared: TypeAlias = "dict[int, list[tuple[int, bytes, bytes, list[tuple[str, bytes]]]]]"


def prepared(count: int) -> Prepared:
    """The events of ``count`` new dossiers by partition."""
    by_partition: Prepared = defaultdict(list)
    calendar = office()
    for number in range(count):
        by_partition[(record := record_of(number, calendar))[0]].append(record)
    return by_partition


async def produce(kafka: str, topic: str, events: Prepared) -> dict[TopicPartition, int]:
    """Put events on a topic; returns where they begin on each partition."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_batch_size=1_048_576)
    await producer.start()
    try:
        begins = await ends_of(kafka, topic)
        for partition, records in events.items():
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


async def ends_of(kafka: str, topic: str) -> dict[TopicPartition, int]:
    """Where each of a topic's partitions ends now."""
    return await _ends(kafka, [TopicPartition(topic, partition) for partition in range(INTAKE.partitions)])


async def _ends(kafka: str, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        ends: dict[TopicPartition, int] = await consumer.end_offsets(partitions)
        return ends
    finally:
        await consumer.stop()
