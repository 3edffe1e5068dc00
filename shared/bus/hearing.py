"""Hearing a batch: one transaction, one statement per step, keys ascending.

Hold the shards, write or lock ``heard`` rows, sort out fates in memory, lock the subjects, *then* let the service load,
decide, save and announce; at the end versions, parked and dead letters. A joined load under the lock would return new
dossiers with old stages after a lock wait, because the statement's snapshot is older than the row that it waited for.

Two hold one subject now and then (a zombie after a rebalance): the shard lets one of them work at a time. Row locks
alone would not do: rows that are written ahead and rows that are locked are two ascending orders, not one.

A stream whose first version comes is new in all likelihood. Its row is written at once with what will have been heard
if all goes well, which is its lock, too; what comes out differently is put right at the end.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final, TypeAlias

import asyncpg
from msgspec.structs import replace

from shared import journal, telemetry
from shared.bus import rows
from shared.bus.deciding import Waiting
from shared.bus.fates import (
    NOTHING_HEARD,
    Candidate,
    Fates,
    LastHeard,
    Stream,
    ToBury,
    candidate_of,
    hold_back,
    sort_out,
    unreadable,
)
from shared.bus.rows import bury
from shared.envelope import Heard, Record, Unreadable, decode
from shared.events import Event
from shared.journal import Stream as Locked
from shared.journal import shard_of
from shared.store import Migrations, Transaction
from shared.topics import TOPIC_OF, Service, Topic

__all__ = ["MIGRATIONS", "Guilty", "Hearer", "Heeded", "bury", "hear_batch", "set_aside", "signature"]

log = logging.getLogger(__name__)

MIGRATIONS: Final = Migrations("bus", Path(__file__).parent / "migrations")

Hear: TypeAlias = Callable[[Transaction, dict[str, Locked], Sequence[Heard]], Awaitable[list[Waiting]]]
HearStates: TypeAlias = Callable[[Transaction, Sequence[Record]], Awaitable[list[str]]]
Kept: TypeAlias = Callable[[Transaction, Sequence[str]], Awaitable[dict[str, int]]]


@dataclass(frozen=True, slots=True)
class Hearer:
    """What a service hears. ``hear`` loads, decides, saves and announces a batch, and returns what has to wait.

    ``states`` hears compacted topics: the highest version of a key wins, gaps are normal; it returns the keys under
    which something may have been waiting for them. ``opens`` names the types with which a subject comes into being
    here, and how many things are mostly said of it then. ``kept`` tells of keys of a compacted topic the rank
    (`shared.outbox.said.rank`) of the state that is here, so that one that was lost is found.
    """

    service: Service
    types: frozenset[type[Event]]
    hear: Hear
    states: Mapping[Topic, HearStates] = field(default_factory=dict)
    opens: Mapping[type[Event], int] = field(default_factory=dict)
    kept: Mapping[Topic, Kept] = field(default_factory=dict)

    @property
    def sources(self) -> frozenset[Service]:
        """Whom this service listens to."""
        return frozenset(cls.said_by for cls in self.types)


@dataclass(frozen=True, slots=True)
class Heeded:
    """What became of a batch, in numbers; ``known`` are subjects and keys that something parked may have waited for."""

    heard: int = 0
    repeats: int = 0
    forks: int = 0
    parked: int = 0
    buried: int = 0
    spans: tuple[telemetry.Span, ...] = ()
    known: tuple[str, ...] = ()

    def end_spans(self) -> None:
        """To be called after the commit: what a message was processed for is done."""
        for opened in self.spans:
            opened.end()


@dataclass(frozen=True, slots=True)
class Guilty:
    """A record that an unforeseen error was found to belong to; ``parked_id`` when it lay parked."""

    record: Record
    error: Exception
    parked_id: int | None = None


async def hear_batch(
    tx: Transaction,
    hearer: Hearer,
    records: Sequence[Record],
    *,
    again: Sequence[str] = (),
    with_parked: bool = True,
    only: int | None = None,
) -> Heeded:
    """Hear records in one transaction. ``again``: subjects whose parked events get another chance.

    ``with_parked`` False leaves what is parked alone, and ``only`` takes one parked row by its id, so that an error can
    only belong to what was given.
    """
    began = time.time_ns()
    buried: list[ToBury] = []
    candidates: list[Candidate] = []
    for record in records:
        decoded = decode(record)
        if isinstance(decoded, Unreadable):
            buried.append(unreadable(record, decoded))
        else:
            candidates.append(candidate_of(record, decoded))
    await rows.hold_shards(tx, {one.partition for one in records} | {shard_of(one) for one in again})
    ears = await _lock(tx, hearer, candidates, again)
    before = ears.before
    if with_parked:
        candidates.extend(await _parked_in_turn(tx, candidates, before, only))
    fates = sort_out(candidates, before, hearer.types, hearer.sources)
    spans: list[telemetry.Span] = []
    heard = [
        _traced(one.decoded, one.record.polled, began, spans)
        if telemetry.is_sampled(one.decoded.traceparent)
        else one.decoded
        for one in fates.hear
        if isinstance(one.decoded, Heard)
    ]
    if heard:
        locked = await _lock_subjects(tx, hearer, heard, ears)
        waits = await hearer.hear(tx, locked, heard)
        await journal.settle(tx, locked)
        if waits:
            by_stream: dict[Stream, dict[int, str | None]] = {}
            for one in waits:
                by_stream.setdefault((one.heard.subject, one.heard.source), {})[one.heard.version] = one.waits_for
            hold_back(fates, by_stream, before)
    fates.bury.extend(buried)
    await _save(tx, fates, ears)
    if fates.forks:
        log.error("fork_found", extra={"service": hearer.service.value, "forks": fates.forks})
    return Heeded(
        heard=len(fates.hear),
        repeats=fates.repeats,
        forks=fates.forks,
        parked=len(fates.park),
        buried=len(fates.bury),
        spans=tuple(spans),
        known=tuple({one.envelope.subject for one in fates.hear if ":" in one.envelope.subject}),
    )


@dataclass(slots=True)
class _Ears:
    """The streams of a batch under lock: how far each was heard before, and what the rows hold of them now."""

    before: dict[Stream, LastHeard]
    written: dict[Stream, LastHeard]
    new: set[str]


async def _lock(tx: Transaction, hearer: Hearer, candidates: Sequence[Candidate], again: Sequence[str]) -> _Ears:
    """Lock every stream that the batch touches, and every other one of its subjects."""
    first: dict[Stream, LastHeard] = {}
    others: set[Stream] = set()
    sources = hearer.sources
    for candidate in candidates:
        envelope, stream = candidate.envelope, candidate.stream
        expected = first.get(stream, NOTHING_HEARD)
        if envelope.version == expected.version + 1 and isinstance(candidate.decoded, Heard):
            first[stream] = LastHeard(envelope.version, envelope.id)
        elif expected is NOTHING_HEARD:
            others.add(stream)
        if envelope.cause is not None and envelope.cause.source in sources:
            # The cause's row is locked too, even before anything of it was heard: whoever hears the cause meanwhile
            # waits for us, and then finds what we parked for it (if our row is too new for his look, the sweep does).
            others.add((envelope.subject, envelope.cause.source))
    others.difference_update(first)
    subjects = set(again)
    if first and not await rows.open_heard(tx, first):
        others.update(first)
        first = {}
    if len(sources) > 1:
        # What lies parked of a new stream's subject lies in its other streams. With one source there are none.
        subjects.update(subject for subject, _ in first)
    before = await rows.lock_heard(tx, others, subjects)
    new = {subject for subject, _ in first}.difference(subject for subject, _ in before.keys() - first.keys())
    return _Ears({**before, **dict.fromkeys(first, NOTHING_HEARD)}, {**before, **first}, new)


async def _lock_subjects(tx: Transaction, hearer: Hearer, heard: Sequence[Heard], ears: _Ears) -> dict[str, Locked]:
    """Lock the subjects of what is heard; those that come into being by it are opened with what will be said."""
    opening: dict[str, tuple[int, datetime]] = {}
    for one in heard:
        says = hearer.opens.get(type(one.event))
        if says is not None and one.subject in ears.new:
            opening.setdefault(one.subject, (says, one.time if says else journal.NOTHING_SAID_AT))
    locked = await journal.open_new(tx, opening) if opening else {}
    rest = {one.subject for one in heard}.difference(locked)
    return {**locked, **await journal.lock(tx, rest)} if rest else locked


async def _parked_in_turn(
    tx: Transaction, candidates: Sequence[Candidate], before: Mapping[Stream, LastHeard], only: int | None
) -> list[Candidate]:
    """What is parked of the subjects that can move now. A long queue behind a gap is not read for every newcomer."""
    waiting = {subject for (subject, _), last in before.items() if last.parked}
    if not waiting:
        return []
    moving = {
        one.envelope.subject
        for one in candidates
        if one.envelope.subject in waiting and one.envelope.version == before[one.stream].version + 1
    }
    if waiting - moving:
        moving.update(await rows.subjects_in_turn(tx, before))
    return await rows.parked_of(tx, moving, only) if moving else []


def _traced(heard: Heard, polled: int | None, began: int, spans: list[telemetry.Span]) -> Heard:
    """A message is processed in its own trace: what is said because of it gets the processing span as its parent.

    The work on it is the batch's transaction; from the poll to that it waited, among others and through retries.
    """
    opened = process_span(
        TOPIC_OF[heard.source].name, heard.traceparent, heard.subject, heard.type, heard.version, polled, began
    )
    if opened is None:
        return heard
    spans.append(opened)
    return replace(heard, traceparent=opened.traceparent)


def process_span(
    topic: str, parent: str | None, subject: str, kind: str, version: int, polled: int | None, began: int
) -> telemetry.Span | None:
    """An open span for the hearing of one message, which began at ``began`` (ns); None when it is not recorded."""
    waited: dict[str, bool | float] = (
        {telemetry.WAITED_PARKED: True} if polled is None else {telemetry.WAITED_BATCH: max(0, began - polled) / 1e9}
    )
    return telemetry.open_message_span(
        f"process {topic}",
        parent,
        kind=telemetry.SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": topic,
            telemetry.STREAM: subject,
            "lienthong.event": kind,
            "lienthong.version": version,
            **waited,
        },
        began=began,
    )


async def _save(tx: Transaction, fates: Fates, ears: _Ears) -> None:
    for stream, count in (await rows.park(tx, fates.park)).items():
        last = fates.last[stream]
        fates.last[stream] = replace(last, parked=last.parked + count)
    gone = {one.parked_id for one in fates.bury if one.parked_id is not None} | set(fates.settled)
    for stream, count in (await rows.unpark(tx, gone)).items():
        last = fates.last[stream]
        fates.last[stream] = replace(last, parked=last.parked - count)
    await bury(tx, fates.bury)
    changed = {stream: last for stream, last in fates.last.items() if ears.written.get(stream) != last}
    await rows.save_heard(tx, changed)
    # Of a stream that is new nothing can be dead yet, unless this very batch buried it.
    await rows.supersede(tx, fates.last if fates.bury else {stream: fates.last[stream] for stream in changed})


async def set_aside(tx: Transaction, guilty: Sequence[Guilty]) -> None:
    """Make dead letters of records that end in an unforeseen error; each holds its version, and is parked no more."""
    dead = [_dead(one) for one in guilty]
    streams = {(one.envelope.subject, one.envelope.source) for one in dead if one.envelope is not None}
    await rows.hold_shards(tx, {one.record.partition for one in guilty})
    last = await rows.lock_heard(tx, streams, ())
    gone = await rows.unpark(tx, {one.parked_id for one in guilty if one.parked_id is not None})
    await bury(tx, dead)
    fewer = {stream: replace(last[stream], parked=last[stream].parked - count) for stream, count in gone.items()}
    await rows.save_heard(tx, fewer)
    await rows.supersede(tx, fewer)


def _dead(guilty: Guilty) -> ToBury:
    reason = f"error: {signature(guilty.error)}"
    decoded = decode(guilty.record)
    if isinstance(decoded, Unreadable):  # of no stream (a state on a compacted topic): nothing is held by it
        return ToBury(guilty.record, reason)
    return ToBury(guilty.record, reason, decoded if isinstance(decoded, Heard) else decoded.envelope)


def signature(error: Exception) -> str:
    """What kind of error it was, without its message: messages quote values."""
    if isinstance(error, asyncpg.PostgresError):
        return f"{type(error).__name__} {error.sqlstate} {getattr(error, 'constraint_name', None) or ''}".strip()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
