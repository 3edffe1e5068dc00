"""What really lies on the topics is what the published document says."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from jsonschema import Draft7Validator

from shared.envelope import TYPE_PREFIX
from shared.topics import TOPICS
from tests.architecture.tree import REPOSITORY
from tests.flow.river import WARD_DESK, River

_DOCUMENT: dict[str, Any] = json.loads(
    (REPOSITORY / "docs" / "contracts" / "asyncapi.json").read_text(encoding="utf-8")
)


async def test_every_record_on_every_topic_is_as_the_document_says(river: River) -> None:
    receipt = await river.receive(email="lan@example.vn")
    await river.settled()
    await river.act(receipt["id"], {"kind": "hand_over"}, WARD_DESK)
    await river.settled()

    heard: set[str] = set()
    misfits: list[str] = []
    async for record in _all_records(river.servers.kafka):
        headers = {name: value.decode() for name, value in record.headers}
        name = headers.get("ce_type", f"{TYPE_PREFIX}ContactGiven").removeprefix(TYPE_PREFIX)
        message = _DOCUMENT["components"]["messages"][name]
        heard.add(name)
        for part, value in (("headers", headers), ("payload", json.loads(record.value or b"null"))):
            schema = {"allOf": [message[part]], "components": _DOCUMENT["components"]}
            reader = Draft7Validator(schema, format_checker=Draft7Validator.FORMAT_CHECKER)
            misfits += [f"{name} {part}: {error.message}" for error in reader.iter_errors(value)]

    assert misfits == []
    assert {"DossierReceived", "StageStarted", "HandedOver", "NoticeSent", "ContactGiven", "UnitPublished"} <= heard


async def _all_records(kafka: str) -> AsyncIterator[ConsumerRecord[bytes, bytes]]:
    """Everything that lies there when it is called."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest")
    async with consumer:
        places = [TopicPartition(topic.name, number) for topic in TOPICS for number in range(topic.partitions)]
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        await consumer.seek_to_beginning()
        while [place for place, end in ends.items() if await consumer.position(place) < end]:
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    yield record
