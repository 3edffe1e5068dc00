"""Taking leave of the broker ends nobody but the client that is left."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from shared.parting import parted


async def a_client_s_stop() -> None:
    """As aiokafka does: its own task is cancelled, and waited for."""
    own = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    own.cancel()
    await own


async def test_a_client_that_ends_in_the_cancellation_of_its_own_task_does_not_end_who_stops_it() -> None:
    await parted(a_client_s_stop(), within=5)

    current = asyncio.current_task()
    assert current is not None
    assert current.cancelling() == 0


async def test_a_client_that_does_not_stop_is_left_behind() -> None:
    was_cancelled = asyncio.Event()

    async def stands_still() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            was_cancelled.set()

    await parted(stands_still(), within=0.01)

    await asyncio.wait_for(was_cancelled.wait(), 5)


async def test_of_a_client_that_does_not_stop_no_task_is_left_that_sends() -> None:
    """aiokafka's own: of a producer whose broker is away and has a batch of ours."""
    producer: Any = AIOKafkaProducer(bootstrap_servers="127.0.0.1:9")
    producer._sender._sender_task = sending = asyncio.create_task(asyncio.sleep(3600))
    producer._message_accumulator.close = asyncio.Event().wait

    await parted(producer.stop(), within=0.01, client=producer)

    assert sending.cancelled()


async def test_how_a_client_fails_to_stop_is_told_and_harms_nobody(caplog: pytest.LogCaptureFixture) -> None:
    async def fails() -> None:
        raise ConnectionResetError

    with caplog.at_level(logging.INFO, "shared.parting"):
        await parted(fails(), within=5)

    (told,) = caplog.records
    assert (told.message, vars(told)["error"]) == ("parting_failed", "ConnectionResetError")


async def test_who_is_cancelled_while_taking_leave_is_cancelled() -> None:
    leaving = asyncio.create_task(parted(asyncio.sleep(60), within=60))
    await asyncio.sleep(0)

    leaving.cancel()

    with pytest.raises(asyncio.CancelledError):
        await leaving
