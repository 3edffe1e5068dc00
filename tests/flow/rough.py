"""Servers of our own that tests may kill, with fresh topics; and what passes on the topics, written and read raw."""

from __future__ import annotations

import asyncio
import os
import struct
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from aiokafka.record.util import calc_crc32c

from deploy.launcher import topics
from deploy.launcher.layout import REPOSITORY
from deploy.launcher.servers import Servers, start_servers, stop_servers
from shared.envelope import Heard, Record, decode
from shared.topics import PARTITIONS, TOPICS, Topic
from tests.layouts import ROUGH
from tests.processes import until


@asynccontextmanager
async def rough_servers() -> AsyncIterator[Servers]:
    """PostgreSQL and Kafka that nobody else uses, ended afterwards."""
    servers = await start_servers(ROUGH)
    try:
        yield servers
    finally:
        await stop_servers(ROUGH)


async def make_anew(kafka: str, wanted: Sequence[Topic] = TOPICS) -> None:
    """Delete topics with all that is in them, and make them again: the same names, other topics."""
    await delete(kafka, wanted)
    await topics.create(kafka, wanted)


async def delete(kafka: str, unwanted: Sequence[Topic]) -> None:
    """Delete topics with all that is in them; those that are not there are left."""
    names = {topic.name for topic in unwanted}
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()

    async def is_gone() -> bool:
        return not names & set(await admin.list_topics())

    try:
        there = names & set(await admin.list_topics())
        if there:
            await admin.delete_topics(sorted(there))
        await until(is_gone, "the topics are deleted")
    finally:
        await admin.close()


async def cut(kafka: str, topics: Sequence[Topic], of: Callable[[int], bool] = lambda _: True) -> None:
    """Delete all records that partitions (those with such a number) hold now."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    reader: Any = AIOKafkaConsumer(bootstrap_servers=kafka)
    await admin.start()
    await reader.start()
    try:
        where = [TopicPartition(one.name, number) for one in topics for number in range(one.partitions) if of(number)]
        ends = await reader.end_offsets(where)
        await admin.delete_records({each: RecordsToDelete(before_offset=end) for each, end in ends.items()})
    finally:
        await reader.stop()
        await admin.close()


async def publish(kafka: str, records: Iterable[Record]) -> None:
    """Write records as they are, each to its topic and partition, in the order given."""
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=kafka, acks="all", enable_idempotence=True, max_request_size=11 * 1024 * 1024
    )
    await producer.start()
    try:
        sent = [
            await producer.send(
                one.topic, one.body, key=one.key, partition=one.partition, headers=[*one.headers], timestamp_ms=0
            )
            for one in records
        ]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


class _Spoiled:
    """A builder of a batch that writes a header's name in bytes that are no text, with the right checksum."""

    def __init__(self, builder: Any) -> None:
        self._builder = builder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._builder, name)

    def build(self) -> bytes:
        """The batch: a checksum over all that follows it lies at byte 17."""
        built = bytearray(bytes(self._builder.build()).replace(b"SPOILED!", b"\xff\xfe\xfd\xfc\xff\xfe\xfd\xfc"))
        struct.pack_into(">I", built, 17, calc_crc32c(bytes(built[21:])))
        return bytes(built)


async def publish_spoiled(kafka: str, record: Record) -> None:
    """Write a record with a header whose name is no text: no client of Java's could, another's may."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, acks="all")
    await producer.start()
    try:
        batch = producer.create_batch()
        headers = [*record.headers, ("SPOILED!", b"")]
        batch.append(key=record.key, value=record.body, timestamp=0, headers=headers)
        batch._builder = _Spoiled(batch._builder)
        await (await producer.send_batch(batch, record.topic, partition=record.partition))
    finally:
        await producer.stop()


async def publish_packed(kafka: str, record: Record, packed: Callable[[], None]) -> None:
    """Write a record in a batch that is compressed by zstd; ``packed`` is called when it is, before it is sent."""
    producer: Any = AIOKafkaProducer(bootstrap_servers=kafka, acks="all", compression_type="zstd")
    await producer.start()
    try:
        batch = producer.create_batch()
        batch.append(key=record.key, value=record.body, timestamp=0, headers=[*record.headers])
        batch._build()
        packed()
        await (await producer.send_batch(batch, record.topic, partition=record.partition))
    finally:
        await producer.stop()


async def ends(kafka: str, topics: Sequence[Topic]) -> dict[tuple[str, int], int]:
    """By (topic, partition) the offset that the next record there will have."""
    reader: Any = AIOKafkaConsumer(bootstrap_servers=kafka)
    await reader.start()
    try:
        where = [TopicPartition(one.name, number) for one in topics for number in range(one.partitions)]
        return {(each.topic, each.partition): end for each, end in (await reader.end_offsets(where)).items()}
    finally:
        await reader.stop()


async def everything(kafka: str, topic: str, partitions: int = PARTITIONS) -> list[ConsumerRecord[bytes, bytes]]:
    """All records of a topic, by partition, in their order."""
    consumer: Any = AIOKafkaConsumer(
        bootstrap_servers=kafka, auto_offset_reset="earliest", max_partition_fetch_bytes=11 * 1024 * 1024
    )
    await consumer.start()
    try:
        where = [TopicPartition(topic, number) for number in range(partitions)]
        consumer.assign(where)
        ends = await consumer.end_offsets(where)
        found: list[ConsumerRecord[bytes, bytes]] = []
        while any([await consumer.position(each) < ends[each] for each in where]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                found += records
    finally:
        await consumer.stop()
    return sorted(found, key=lambda one: (one.partition, one.offset))


async def streams(kafka: str, topic: str) -> dict[str, list[int]]:
    """Versions of each subject in the order in which they came, repeats included."""
    found: dict[str, list[int]] = {}
    for one in await everything(kafka, topic):
        said = decode(Record(one.topic, one.partition, one.offset, one.key, tuple(one.headers), one.value))
        assert isinstance(said, Heard), said
        found.setdefault(said.subject, []).append(said.version)
    return found


def figure(text: str) -> None:
    """Tell a figure that was seen (pytest -s shows it); no test asserts it."""
    sys.stdout.write(f"\n{text}\n")


def is_in_order(versions: Sequence[int], last: int) -> bool:
    """True when 1..last came, each for the first time after the one before it; repeats may lie between."""
    reached = 0
    for version in versions:
        if version > reached + 1:
            return False
        reached = max(reached, version)
    return reached == last


async def is_committed(kafka: str, group: str, topic: Topic) -> bool:
    """True when a group has committed the end of every partition that holds something."""
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    reader: Any = AIOKafkaConsumer(bootstrap_servers=kafka)
    await admin.start()
    await reader.start()
    try:
        ends = await reader.end_offsets([TopicPartition(topic.name, number) for number in range(PARTITIONS)])
        committed = await admin.list_consumer_group_offsets(group)
        return any(ends.values()) and all(
            not end or (where in committed and committed[where].offset == end) for where, end in ends.items()
        )
    finally:
        await reader.stop()
        await admin.close()


@asynccontextmanager
async def a_process(
    role: str, service: str, url: str, kafka: str, *, slot: int = 0, mutant: str = "", stands_still: str = ""
) -> AsyncIterator[asyncio.subprocess.Process]:
    """``python -m tests.listening``, killed at the end if it still runs."""
    environment = {
        "DATABASE_URL": url,
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        "SLOT": str(slot),
        "MUTANT": mutant,
        "STANDS_STILL": stands_still,
        "PATH": os.environ["PATH"],
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.listening", role, service, env=environment, cwd=REPOSITORY
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
