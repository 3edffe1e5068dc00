"""Doing together what is asked at the same time: each caller gets his own answer, and only his own error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg
import pytest

from shared.store import Together


class Desk:
    """Carries out: 10 times what was asked. Negative numbers are refused; ``away`` lets everything fail for a while."""

    def __init__(self, *, largest: int = 256, at_once: int = 1) -> None:
        self.batches: list[list[int]] = []
        self.away: list[Exception] = []
        self.stands_at: list[int] | None = None
        self.stands = asyncio.Event()
        self.open = asyncio.Event()
        self.open.set()
        self.together: Together[int, int] = Together(self.carry_out, largest=largest, at_once=at_once)

    async def carry_out(self, asked: Sequence[int]) -> list[int]:
        self.batches.append(list(asked))
        if list(asked) == self.stands_at:
            self.open.clear()
            self.stands.set()
        await self.open.wait()
        if self.away and list(asked) != [1]:
            raise self.away.pop()
        if any(one < 0 for one in asked):
            raise ValueError("negative")
        return [10 * one for one in asked]


@asynccontextmanager
async def running(desk: Desk) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(desk.together.run())
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def one_is_in_flight(desk: Desk) -> asyncio.Task[int]:
    """A first request is being carried out and stands still: what is asked now shares the next batch."""
    desk.stands_at = [1]
    first = asyncio.create_task(desk.together.ask(1))
    await desk.stands.wait()
    desk.stands_at = None
    desk.stands.clear()
    return first


async def ask_all(desk: Desk, *asked: int) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(desk.together.ask(one)) for one in asked]
    await asyncio.sleep(0)
    return tasks


async def test_a_lone_caller_does_not_wait_for_company() -> None:
    desk = Desk()
    async with running(desk):
        assert await desk.together.ask(4) == 40
    assert desk.batches == [[4]]


async def test_a_batch_begins_with_as_many_as_the_last_although_they_come_one_after_the_other() -> None:
    desk = Desk()

    async def asks_after(rounds: int) -> int:
        for _ in range(rounds):
            await asyncio.sleep(0)
        return await desk.together.ask(10 + rounds)

    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, *range(2, 10))
        desk.open.set()
        await asyncio.gather(first, *others)
        await asyncio.gather(*(asks_after(rounds) for rounds in range(8)))

    assert desk.batches == [[1], [*range(2, 10)], [*range(10, 18)]]


async def test_a_batch_does_not_wait_for_those_who_stay_away() -> None:
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, *range(2, 10))
        desk.open.set()
        await asyncio.gather(first, *others)
        assert await desk.together.ask(10) == 100

    assert desk.batches[-1] == [10]


async def test_who_asks_while_one_is_in_flight_shares_the_next_and_gets_his_own_answer() -> None:
    desk = Desk(largest=3)
    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, 2, 3, 4, 5)
        desk.open.set()
        assert await asyncio.gather(first, *others) == [10, 20, 30, 40, 50]
    assert desk.batches == [[1], [2, 3, 4], [5]]


async def test_a_second_batch_is_carried_out_beside_the_first_as_soon_as_enough_wait() -> None:
    desk = Desk(at_once=2)
    async with running(desk):
        first = await one_is_in_flight(desk)
        desk.stands_at = [2]
        second = await ask_all(desk, 2)
        await desk.stands.wait()
        assert desk.batches == [[1], [2]]
        desk.open.set()
        assert await asyncio.gather(first, *second) == [10, 20]


async def test_no_third_is_carried_out_beside_two() -> None:
    desk = Desk(at_once=2)
    async with running(desk):
        first = await one_is_in_flight(desk)
        desk.stands_at = [2]
        second = await ask_all(desk, 2)
        await desk.stands.wait()
        third = await ask_all(desk, 3, 4)
        assert desk.batches == [[1], [2]]
        desk.open.set()
        await asyncio.gather(first, *second, *third)

    assert desk.batches == [[1], [2], [3, 4]]


async def test_what_is_asked_for_in_one_go_follows_in_its_order_although_two_are_carried_out_at_once() -> None:
    desk = Desk(largest=2, at_once=2)
    desk.stands_at = [2, 3]
    async with running(desk):
        asked = await ask_all(desk, 2, 3, 4, 5)
        await desk.stands.wait()
        for _ in range(10):
            await asyncio.sleep(0)
        assert desk.batches == [[2, 3]]
        desk.open.set()
        await asyncio.gather(*asked)

    assert desk.batches == [[2, 3], [4, 5]]


async def test_only_the_guilty_caller_gets_the_exception_and_nobody_is_carried_out_twice() -> None:
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, 2, -3, 4)
        desk.open.set()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert (answers[0], answers[1], answers[3]) == (10, 20, 40)
    assert isinstance(answers[2], ValueError)
    assert desk.batches == [[1], [2, -3, 4], [2], [-3], [4]]


async def test_a_lone_guilty_caller_is_tried_once() -> None:
    desk = Desk()
    async with running(desk):
        with pytest.raises(ValueError, match="negative"):
            await desk.together.ask(-1)
    assert desk.batches == [[-1]]


async def test_a_deadlock_is_nobodys_fault_and_the_batch_runs_once_more() -> None:
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, 2, 3)
        desk.away = [asyncpg.DeadlockDetectedError("circle")]
        desk.open.set()
        await first
        assert await asyncio.gather(*others) == [20, 30]
    assert desk.batches == [[1], [2, 3], [2, 3]]


async def test_when_the_database_is_away_everybody_hears_of_it_at_once() -> None:
    """One by one, each would wait for a connection in vain, and the last of 256 for all before him."""
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, *range(2, 50))
        desk.away = [ConnectionRefusedError() for _ in range(100)]
        desk.open.set()
        await first
        answers = await asyncio.gather(*others, return_exceptions=True)
    assert {type(answer) for answer in answers} == {ConnectionRefusedError}
    assert len(desk.batches) == 3


async def test_a_caller_who_has_gone_is_not_carried_out() -> None:
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        gone, stays = await ask_all(desk, 2, 3)
        gone.cancel()
        await asyncio.sleep(0)
        desk.open.set()
        assert (await first, await stays) == (10, 30)
    assert desk.batches == [[1], [3]]


async def test_a_caller_who_goes_while_he_is_carried_out_harms_nobody() -> None:
    desk = Desk()
    async with running(desk):
        first = await one_is_in_flight(desk)
        first.cancel()
        await asyncio.sleep(0)
        desk.open.set()
        assert await desk.together.ask(2) == 20


async def test_nobody_waits_for_ever_when_it_is_stopped_in_the_middle() -> None:
    desk = Desk(largest=2)
    async with running(desk) as task:
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, 2, 3, 4)
        task.cancel()
        answers = await asyncio.gather(first, *others, return_exceptions=True)
    assert {type(answer) for answer in answers} == {asyncio.CancelledError}


async def test_nobody_waits_for_ever_when_it_is_stopped_while_it_looks_for_the_guilty() -> None:
    desk = Desk()
    async with running(desk) as task:
        first = await one_is_in_flight(desk)
        others = await ask_all(desk, -2, 3, 4)
        desk.stands_at = [-2]
        desk.open.set()
        await first
        await desk.stands.wait()
        task.cancel()
        answers = await asyncio.gather(*others, return_exceptions=True)
    assert all(isinstance(answer, ValueError | asyncio.CancelledError) for answer in answers)


async def test_callers_in_a_crowd_all_get_their_own() -> None:
    desk = Desk(largest=7)
    async with running(desk):
        assert await asyncio.gather(*(desk.together.ask(one) for one in range(1000))) == [
            10 * one for one in range(1000)
        ]
    assert max(map(len, desk.batches)) == 7
