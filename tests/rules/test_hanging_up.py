"""A broker that hangs up is a broker that is away, and no record is to blame for it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvloop
from aiokafka import TopicPartition
from aiokafka.conn import AIOKafkaConnection
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.admin import ApiVersionRequest

from shared.bus import hanging_up
from shared.bus.ear import Ear

HERE = TopicPartition("intake.dossier", 0)


async def _writes_to_one_that_is_closed() -> None:
    async def takes(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(takes, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    connection: Any = AIOKafkaConnection("127.0.0.1", port)
    connection._versions = {}
    connection._reader, connection._writer = await asyncio.open_connection("127.0.0.1", port)
    connection._read_task = asyncio.create_task(asyncio.sleep(60))
    connection._writer.transport.abort()
    await asyncio.sleep(0.1)
    try:
        with pytest.raises(KafkaConnectionError):
            await connection.send(_Asked())
        assert connection._writer is None
    finally:
        server.close()


class _Asked:
    """A request, as far as a connection looks at it."""

    def prepare(self, _: object) -> Any:
        request: Any = ApiVersionRequest()
        return request.prepare({})


def test_on_uvloop_a_connection_that_was_closed_is_a_broker_that_is_away() -> None:
    hanging_up.is_told()

    uvloop.run(_writes_to_one_that_is_closed())


class _Ended:
    """A consumer whose work in its group has ended: every poll raises why, of whichever partitions it is asked."""

    def __init__(self) -> None:
        self.sought: list[object] = []

    def assignment(self) -> set[TopicPartition]:
        return {HERE}

    async def getmany(self, *_: object, **__: object) -> dict[TopicPartition, list[object]]:
        raise RuntimeError("unable to perform operation on <TCPTransport closed=True>; the handler is closed")

    def seek(self, *where: object) -> None:
        self.sought.append(where)

    async def seek_to_committed(self, *where: object) -> None:
        self.sought.append(where)


async def test_no_record_is_passed_over_when_the_consumer_itself_has_ended() -> None:
    ear = Ear(bootstrap_servers="127.0.0.1:1", group_id="tests")
    await ear.stop()
    ended = _Ended()
    ear._consumer = ended
    alive = ear.alive

    for _ in range(3):
        with pytest.raises(KafkaError, match="has ended: RuntimeError"):
            await ear.getmany(max_records=100)

    assert ended.sought == []
    assert ear.alive == alive, "its lane has to find out that it is deaf"
