"""An ear whose partition was cut short behind its back; who stands for the consumer does what aiokafka's does."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import IllegalStateError

from shared.bus import ear as ears
from shared.bus.ear import Ear

WHERE = TopicPartition("intake.dossier", 3)


class Consumer:
    """One partition: what lies on it, and where it is read. A position beyond the end is set anew by the next poll."""

    def __init__(self) -> None:
        self.lie: list[bytes] = []
        self.at = 0
        self.assigned = {WHERE}
        self.committed_at: int | None = None

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def seek(self, where: TopicPartition, offset: int) -> None:
        if where not in self.assigned:
            raise IllegalStateError("no current assignment for partition")
        self.at = offset

    async def getmany(self, *_: TopicPartition, **__: Any) -> dict[TopicPartition, list[ConsumerRecord[bytes, bytes]]]:
        if self.at > len(self.lie):
            self.at = 0
        found: list[ConsumerRecord[bytes, bytes]] = [
            ConsumerRecord(*WHERE, offset, 0, 0, None, body, None, -1, -1, ())
            for offset, body in enumerate(self.lie)
            if offset >= self.at
        ]
        self.at = len(self.lie)
        return {WHERE: found} if found else {}

    async def commit(self, offsets: dict[TopicPartition, int]) -> None:
        self.committed_at = offsets[WHERE]

    async def committed(self, _: TopicPartition) -> int | None:
        return self.committed_at

    async def end_offsets(self, of: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(of, len(self.lie))

    async def beginning_offsets(self, of: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(of, 0)

    def highwater(self, _: TopicPartition) -> int:
        return len(self.lie)


@pytest.fixture
async def consumer(monkeypatch: pytest.MonkeyPatch) -> Consumer:
    one = Consumer()
    monkeypatch.setattr(ears, "AIOKafkaConsumer", lambda: one)
    return one


async def _heard(ear: Ear) -> list[bytes | None]:
    """What the next poll brings, heard and committed."""
    polled = (await ear.getmany()).get(WHERE, [])
    await ear.commit_heard(polled, ear.turn)
    return [one.value for one in polled]


async def test_what_fills_a_partition_up_to_where_it_was_heard_before_it_was_cut_is_heard(consumer: Consumer) -> None:
    ear = Ear()
    consumer.lie = [b"1", b"2"]
    assert await _heard(ear) == [b"1", b"2"]
    consumer.lie = []
    await ear.measure()
    assert ear.vanished() == {WHERE}
    consumer.lie = [b"3", b"4"]  # before the consumer asked again: its position is the end now, and nothing refuses it
    assert await _heard(ear) == [b"3", b"4"]
    since = asyncio.get_running_loop().time()
    await ear.measure()
    assert ear.lag() == {WHERE.topic: 0}
    assert ear.is_through(WHERE, since)


async def test_a_partition_that_is_not_ours_any_more_is_left_as_it_is(consumer: Consumer) -> None:
    ear = Ear()
    consumer.lie = [b"1", b"2"]
    await _heard(ear)
    consumer.lie = []

    async def taken_away(of: Sequence[TopicPartition]) -> dict[TopicPartition, int]:
        consumer.assigned = set()
        return dict.fromkeys(of, 0)

    consumer.beginning_offsets = taken_away  # type: ignore[method-assign]
    await ear.measure()
    assert ear.vanished() == set()
    assert consumer.at == 2
