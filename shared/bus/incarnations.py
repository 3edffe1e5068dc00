"""Which incarnation of a topic is there: the broker gives a topic that was deleted and made anew another id.

aiokafka speaks metadata up to version 5; ids came with version 10, so that version 12 is spelled out here. A position
in the old incarnation says nothing about the new one: without this look, a hearer whose position lies within a topic
that was made anew and filled again skips all that lies below it.
"""

from __future__ import annotations

from collections.abc import Collection
from io import BytesIO
from typing import Any, Final
from uuid import UUID

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError
from aiokafka.protocol.abstract import AbstractType
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Boolean, CompactArray, CompactString, Int16, Int32, Schema, TaggedFields

_KEY: Final = 3
_VERSION: Final = 12


class _Uuid(AbstractType[UUID]):
    @classmethod
    def encode(cls, value: UUID) -> bytes:
        return value.bytes

    @classmethod
    def decode(cls, data: BytesIO) -> UUID:
        return UUID(bytes=data.read(16))


class _Response(Response):
    API_KEY = _KEY
    API_VERSION = _VERSION
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "brokers",
            CompactArray(
                ("node_id", Int32),
                ("host", CompactString()),
                ("port", Int32),
                ("rack", CompactString()),
                ("tags", TaggedFields),
            ),
        ),
        ("cluster_id", CompactString()),
        ("controller_id", Int32),
        (
            "topics",
            CompactArray(
                ("error_code", Int16),
                ("name", CompactString()),
                ("topic_id", _Uuid),
                ("is_internal", Boolean),
                (
                    "partitions",
                    CompactArray(
                        ("error_code", Int16),
                        ("partition", Int32),
                        ("leader", Int32),
                        ("leader_epoch", Int32),
                        ("replicas", CompactArray(Int32)),
                        ("isr", CompactArray(Int32)),
                        ("offline", CompactArray(Int32)),
                        ("tags", TaggedFields),
                    ),
                ),
                ("authorized_operations", Int32),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _RequestStruct(RequestStruct):
    API_KEY = _KEY
    API_VERSION = _VERSION
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Response
    SCHEMA = Schema(
        (
            "topics",
            CompactArray(("topic_id", _Uuid), ("name", CompactString()), ("tags", TaggedFields)),
        ),
        ("allow_auto_topic_creation", Boolean),
        ("include_topic_authorized_operations", Boolean),
        ("tags", TaggedFields),
    )


class _Request(Request[_RequestStruct]):
    API_KEY = _KEY

    def __init__(self, topics: Collection[str]) -> None:
        self._topics = topics

    def build(self, request_struct_class: type[_RequestStruct]) -> _RequestStruct:
        nobody = UUID(int=0)
        return request_struct_class([(nobody, name, {}) for name in sorted(self._topics)], False, False, {})


async def topic_ids(client: AIOKafkaClient, topics: Collection[str]) -> dict[str, UUID]:
    """The ids of those topics that exist now. KafkaError when the broker does not answer."""
    node = client.get_random_node()
    if node is None:
        raise NodeNotReadyError("no broker is known")
    told: Any = await client.send(node, _Request(topics))
    return {name: topic_id for error, name, topic_id, *_ in told.topics if not error}
