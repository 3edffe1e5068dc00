"""Doing together what is asked at the same time: requests that come while one transaction is in flight share the next.

One fsync, one statement per table, for many callers; at one connection it costs nothing, because nobody waits.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Generic, TypeAlias, TypeVar

from shared.store.pool import is_transient

A = TypeVar("A")
B = TypeVar("B")

_QUIET_ROUNDS: Final = 5
"""Of the event loop. A request takes two: read and parsed, then handed to its route, which asks."""

_Batch: TypeAlias = "list[tuple[A, asyncio.Future[B]]]"


class Together(Generic[A, B]):
    """Carries out what is asked in batches; each caller gets his own answer, after the commit.

    ``carry_out`` takes a batch and returns an answer for each, in order. When it raises, the batch is run again one by
    one, so that only the guilty caller gets the exception; a transient error (the database is away) is nobody's fault:
    the batch is run once more together, and then all get the exception.

    ``at_once``: how many batches may be carried out at the same time. With two, one is read and decided while the
    database works for the other. What is asked for in one go is carried out in its order all the same: it is in one
    batch, or (where it is more than ``largest``) in several that follow each other.
    """

    def __init__(
        self, carry_out: Callable[[Sequence[A]], Awaitable[Sequence[B]]], *, largest: int = 256, at_once: int = 1
    ) -> None:
        self._carry_out = carry_out
        self._largest = largest
        self._at_once = at_once
        self._waiting: _Batch[A, B] = []
        self._flying: dict[asyncio.Task[None], _Batch[A, B]] = {}
        self._last = 0
        self._is_split = False
        self._broken: BaseException | None = None
        self._changed = asyncio.Event()

    async def ask(self, one: A) -> B:
        """Wait for the next batch and its answer. Raises what `carry_out` raised for this one."""
        answer: asyncio.Future[B] = asyncio.get_running_loop().create_future()
        self._waiting.append((one, answer))
        self._changed.set()
        return await answer

    async def run(self) -> None:
        """Carry out batches until cancelled; whoever waits then is cancelled too."""
        try:
            while True:
                await self._let_in()
                batch, self._waiting = self._waiting[: self._largest], self._waiting[self._largest :]
                self._last, self._is_split = len(batch), bool(self._waiting)
                task = asyncio.create_task(self._carry_out_or_one_by_one(batch))
                self._flying[task] = batch
                task.add_done_callback(self._landed)
        finally:
            for task in self._flying:
                task.cancel()
            for _, answer in (*(one for batch in self._flying.values() for one in batch), *self._waiting):
                answer.cancel()

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.pop(task, None)
        if not task.cancelled():
            self._broken = self._broken or task.exception()
        self._changed.set()

    async def _let_in(self) -> None:
        """Give way until the next batch is to begin: enough wait, or whoever waits would wait for nobody.

        After a commit, all who are answered send their next request at the same time. Without this, a batch would begin
        with the two or three that were read first, and what a batch costs however few it holds would be paid for them.
        While one is carried out it costs nothing to wait for enough; else for as long as somebody still comes.
        """
        while not self._waiting or (self._flying and not self._may_join()):
            self._changed.clear()
            await self._changed.wait()
            if self._broken is not None:
                raise self._broken
        quiet = 0
        while not self._flying and quiet < _QUIET_ROUNDS and len(self._waiting) < self._enough():
            before = len(self._waiting)
            await asyncio.sleep(0)
            quiet = quiet + 1 if len(self._waiting) == before else 0

    def _may_join(self) -> bool:
        return len(self._flying) < self._at_once and not self._is_split and len(self._waiting) >= self._enough()

    def _enough(self) -> int:
        """As many as were there lately, shared among the batches that may be carried out at once."""
        return -(-(self._last + sum(map(len, self._flying.values()))) // self._at_once)

    async def _carry_out_or_one_by_one(self, batch: _Batch[A, B]) -> None:
        error = await self._try(batch)
        if error is None:
            return
        if is_transient(error):  # nobody's fault: once more together, and then everybody hears of it
            error = await self._try(batch)
            if error is None:
                return
        together = _unanswered(batch)
        if len(together) == 1 or is_transient(error):
            for _, answer in together:
                answer.set_exception(error)
            return
        for place, one in enumerate(together):
            error = await self._try([one])
            if error is not None:
                for _, answer in _unanswered(together[place:] if is_transient(error) else [one]):
                    answer.set_exception(error)

    async def _try(self, batch: _Batch[A, B]) -> Exception | None:
        """Carry out for all whose callers still wait; the exception, if there was one."""
        together = _unanswered(batch)
        if not together:
            return None
        try:
            answers = await self._carry_out([one for one, _ in together])
            for (_, answer), said in zip(together, answers, strict=True):
                if not answer.done():  # its caller may have gone
                    answer.set_result(said)
        except Exception as error:
            return error
        return None


def _unanswered(batch: _Batch[A, B]) -> _Batch[A, B]:
    return [one for one in batch if not one[1].done()]
