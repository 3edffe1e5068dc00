"""Doing together what is asked at the same time: requests that come while one transaction is in flight share the next.

One fsync, one statement per table, for many callers; at one connection it costs nothing, because nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")


class Together(Generic[A, B]):
    """Carries out what is asked in batches; each caller gets his own answer, after the commit.

    ``carry_out`` takes a batch and returns an answer for each, in order. When it raises, the batch is run again one by
    one, so that only the guilty caller gets the exception.
    """

    def __init__(self, carry_out: Callable[[Sequence[A]], Awaitable[Sequence[B]]], *, largest: int = 256) -> None:
        self._carry_out = carry_out
        self._largest = largest
        self._waiting: list[tuple[A, asyncio.Future[B]]] = []
        self._asked = asyncio.Event()

    async def ask(self, one: A) -> B:
        """Wait for the next batch and its answer. Raises what `carry_out` raised for this one."""
        answer: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        self._asked.set()
        return await answer

    async def run(self) -> None:
        """Carry out batches, one after the other, until cancelled; whoever waits then is cancelled too."""
        try:
            while True:
                await self._asked.wait()
                self._asked.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                    await self._carry_out_or_one_by_one(batch)
        finally:
            for _, answer in self._waiting:
                answer.cancel()

    async def _carry_out_or_one_by_one(self, batch: list[tuple[A, asyncio.Future[B]]]) -> None:
        if await self._try([one for one in batch if not one[1].done()]) or len(batch) == 1:
            return
        for one in batch:
            await self._try([one])

    async def _try(self, batch: list[tuple[A, asyncio.Future[B]]]) -> bool:
        if not batch:
            return True
        try:
            answers = await self._carry_out([one for one, _ in batch])
        except asyncio.CancelledError:
            for _, answer in batch:
                answer.cancel()
            raise
        except Exception as error:
            if len(batch) == 1 and not batch[0][1].done():
                batch[0][1].set_exception(error)
            return False
        for (_, answer), said in zip(batch, answers, strict=True):
            if not answer.done():  # its caller may have gone
                answer.set_result(said)
        return True
