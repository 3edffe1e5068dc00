"""Everything that a running river leaves behind, as bytes by name: for looking for what may not be there."""

from __future__ import annotations

from aiokafka import AIOKafkaConsumer, TopicPartition

from deploy.launcher.layout import SERVICES
from shared.topics import CONTROL, TOPICS
from tests.flow.river import River


async def left_behind(river: River) -> dict[str, bytes]:
    """Topics, Kafka's files, every process's log (the servers' included), spans, metrics, log events, and every row of
    every store, dead letters and what is parked among them."""
    found = {"topics": await _topics(river.servers.kafka)}
    for segment in sorted(river.layout.kafka.rglob("*.log")):
        if segment.is_file() and "__" not in segment.parent.name:
            found[f"{segment.parent.name}/{segment.name}"] = segment.read_bytes()
    for log in sorted((river.layout.var / "log").glob("*.log*")):
        found[log.name] = log.read_bytes()
    for path in ("/v1/traces", "/v1/metrics", "/v1/logs"):
        found[path] = b"\n".join(river.spans.of(path))
    for service in SERVICES:
        found |= {f"{service}.{table}": rows for table, rows in (await _rows(river, service)).items()}
    return found


async def _topics(kafka: str) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic.name, number) for topic in (*TOPICS, CONTROL) for number in range(topic.partitions)
        ]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        read: list[bytes] = []
        while [where for where, end in ends.items() if await consumer.position(where) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    read += [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
        return b"\n".join(read)
    finally:
        await consumer.stop()


async def _rows(river: River, service: str) -> dict[str, bytes]:
    """The tables with rows, each row as its values stand next to one another; bytes as they are."""
    async with river.store(service) as store:
        tables = await store.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
        found = {}
        for (table,) in tables:
            rows = await store.fetch(f'TABLE "{table}"')
            if rows:
                found[table] = b"\n".join(
                    value if isinstance(value, bytes) else str(value).encode() for row in rows for value in row.values()
                )
        return found
