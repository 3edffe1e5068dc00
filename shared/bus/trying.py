"""Trying: the whole batch again while the database is away, one by one when it fails, and what is guilty set aside."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

from shared import telemetry
from shared.bus import hearing, rows
from shared.bus.hearing import Guilty, Hearer, Heeded
from shared.envelope import Record
from shared.store import Database, is_transient

log = logging.getLogger(__name__)

T = TypeVar("T")

_SAME_ERROR_IN_A_ROW: Final = 5
_SHORTEST_WAIT: Final = 0.05
_LONGEST_WAIT: Final = 2.0
# Three statements that are given up (`shared.store`) one after the other. The driver's COPY has no limit of its own: on
# a connection that is lost while it waits for room to write, it would wait for ever.
_LONGEST_ATTEMPT: Final = 60.0


class HearingStoppedError(Exception):
    """The same error came on several subjects in a row: a bad release, not bad events."""


@dataclass(slots=True)
class Row:
    """Guilty records in a row, kept in memory until it is clear that it is they who are guilty, not this release.

    The row goes on from batch to batch: at a trickle every batch is one record.
    """

    kind: str = ""
    subjects: set[bytes] = field(default_factory=set)
    guilty: list[Guilty] = field(default_factory=list)

    def add(self, one: Guilty) -> None:
        """One more; HearingStoppedError when it is one too many of the same kind."""
        kind = hearing.signature(one.error)
        if kind != self.kind:
            self.kind, self.subjects = kind, set()
        self.subjects.add(one.record.key or b"")
        self.guilty.append(one)
        if len(self.subjects) >= _SAME_ERROR_IN_A_ROW:
            self.guilty.clear()
            raise HearingStoppedError(f"the same error on {_SAME_ERROR_IN_A_ROW} subjects in a row: {kind}")

    def end(self) -> None:
        """Something was heard: what failed before it failed for reasons of its own."""
        self.kind = ""
        self.subjects.clear()


@dataclass(slots=True)
class Woken:
    """What the sweep is to look at, and that it is to look now: keys that are known, subjects whose order moved on."""

    known: set[str] = field(default_factory=set)
    moved: set[str] = field(default_factory=set)
    event: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, *, known: Iterable[str] = (), moved: Iterable[str] = ()) -> None:
        """Wake the sweep if there is something to tell."""
        for told, new in ((self.known, known), (self.moved, moved)):
            before = len(told)
            told.update(new)
            if len(told) > before:
                self.event.set()


@dataclass(slots=True)
class Trying:
    """Hears batches of one lane to their end, whatever it takes."""

    hearer: Hearer
    database: Database
    woken: Woken
    heard: int = 0
    _row: Row = field(default_factory=Row)

    async def events(self, records: Sequence[Record]) -> None:
        """Hear a batch of events. HearingStoppedError when this release cannot; then nothing more was set aside."""
        if await self._went_well(partial(self._hear, records), len(records)):
            return
        for record in records:
            await self._one(record, partial(self._hear, [record], with_parked=False))
        await self._set_aside()
        # What lay parked behind them was left alone, so that an error could only be theirs.
        keys = (record.key.decode("utf-8", "replace") for record in records if record.key)
        self.woken.tell(moved=(key for key in keys if key.isprintable()))

    async def states(self, records: Sequence[Record]) -> None:
        """Keep records of compacted topics. A guilty one is a dead letter that holds nothing. Raises as `events`."""
        if await self._went_well(partial(self._keep, records), len(records)):
            return
        for record in records:
            await self._one(record, partial(self._keep, [record]))
        await self._set_aside()

    async def parked(self, subjects: Sequence[str]) -> None:
        """Give what is parked of some subjects another chance. Raises as `events`."""
        if await self._went_well(partial(self._hear, [], again=subjects), 0):
            return
        for subject in subjects:
            if len(subjects) > 1 and await self._went_well(partial(self._hear, [], again=[subject]), 0):
                continue
            async with self.database.connection() as connection:
                candidates = await rows.parked_of(connection, [subject])
            for one in sorted(candidates, key=lambda one: one.envelope.version):
                hear = partial(self._hear, [], again=[subject], only=one.parked_id)
                await self._one(one.record, hear, one.parked_id)
            await self._set_aside()

    async def _went_well(self, hear: Callable[[], Awaitable[Heeded]], records: int) -> bool:
        try:
            heeded = await self._again_while_transient(hear)
        except Exception as error:  # found by running it one by one
            log.warning("batch_runs_one_by_one", extra={"records": records, "error": hearing.signature(error)})
            return False
        if heeded.heard:
            self._row.end()
        return True

    async def _one(self, record: Record, hear: Callable[[], Awaitable[Heeded]], parked_id: int | None = None) -> None:
        try:
            heeded = await self._again_while_transient(hear)
        except Exception as error:  # whatever it is, it belongs to this record
            self._row.add(Guilty(record, error, parked_id))
        else:
            if heeded.heard:
                await self._set_aside()
                self._row.end()

    async def _set_aside(self) -> None:
        if self._row.guilty:
            await self._again_while_transient(self._bury)
            self._row.guilty.clear()

    async def _bury(self) -> None:
        async with self.database.transaction() as tx:
            await hearing.set_aside(tx, self._row.guilty)

    async def _again_while_transient(self, attempt: Callable[[], Awaitable[T]]) -> T:
        wait = _SHORTEST_WAIT
        while True:
            try:
                async with asyncio.timeout(_LONGEST_ATTEMPT):
                    return await attempt()
            except Exception as error:
                if not is_transient(error):
                    raise
                log.warning("batch_tried_again", extra={"error": hearing.signature(error)})
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def _hear(
        self, records: Sequence[Record], *, again: Sequence[str] = (), with_parked: bool = True, only: int | None = None
    ) -> Heeded:
        began = time.perf_counter()
        with telemetry.span(f"process {self.hearer.service.value}", kind=telemetry.SpanKind.CONSUMER) as batch:
            batch.attributes["messaging.batch.message_count"] = len(records)
            async with self.database.transaction() as tx:
                heeded = await hearing.hear_batch(
                    tx, self.hearer, records, again=again, with_parked=with_parked, only=only
                )
            batch.link(heeded.spans)
        heeded.end_spans()
        self.heard += heeded.heard
        telemetry.took("batch.heard", time.perf_counter() - began)
        telemetry.count("event.heard", "{event}", heeded.heard)
        self.woken.tell(known=heeded.known)
        return heeded

    async def _keep(self, records: Sequence[Record]) -> Heeded:
        by_topic: dict[str, list[Record]] = {}
        for record in records:
            by_topic.setdefault(record.topic, []).append(record)
        known: list[str] = []
        began = time.time_ns()
        spans = [opened for record in records if (opened := _state_span(record, began)) is not None]
        async with self.database.transaction() as tx:
            for topic, hear in self.hearer.states.items():
                if topic.name in by_topic:
                    known += await hear(tx, by_topic[topic.name])
        for opened in spans:
            opened.end()
        self.woken.tell(known=known)
        return Heeded(heard=len(records))


def _state_span(record: Record, began: int) -> telemetry.Span | None:
    """A state of a compacted topic is kept in its own trace, too; its headers are no envelope."""
    headers = dict(record.headers)
    try:
        parent, version = (headers.get(name) or b"" for name in ("traceparent", "ce_streamversion"))
        subject = (record.key or b"").decode("ascii")
        return hearing.process_span(
            record.topic, parent.decode("ascii"), subject, "state", int(version), record.polled, began
        )
    except ValueError:  # what cannot be read has no trace
        return None
