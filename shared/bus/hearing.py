"""Hearing a batch: one transaction, one statement per step, keys ascending.

Insert missing ``heard`` rows, lock them, sort out fates in memory, lock the subjects, *then* let the service load,
decide, save and announce; at the end versions, parked and dead letters. A joined load under the lock would return new
dossiers with old stages after a lock wait, because the statement's snapshot is older than the row that it waited for.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TypeAlias

import asyncpg

from shared import journal, telemetry
from shared.bus.deciding import Waiting
from shared.bus.fates import Candidate, Fates, LastHeard, Stream, ToBury, ToPark, hold_back, sort_out, unreadable
from shared.envelope import Heard, Record, Unreadable, decode, restored_headers, stored_headers
from shared.events import TOPIC_OF, Event, Service, Topic
from shared.journal import Stream as Locked
from shared.store import Migrations, Queries, Transaction

log = logging.getLogger(__name__)

MIGRATIONS: Final = Migrations("bus", Path(__file__).parent / "migrations")

_sql = Queries(Path(__file__).parent)

Hear: TypeAlias = Callable[[Transaction, dict[str, Locked], Sequence[Heard]], Awaitable[list[Waiting]]]
HearStates: TypeAlias = Callable[[Transaction, Sequence[Record]], Awaitable[list[str]]]


@dataclass(frozen=True, slots=True)
class Hearer:
    """What a service hears. ``hear`` loads, decides, saves and announces a batch, and returns what has to wait.

    ``states`` hears compacted topics: the highest version of a key wins, gaps are normal; it returns the keys under
    which something may have been waiting for them.
    """

    service: Service
    types: frozenset[type[Event]]
    hear: Hear
    states: Mapping[Topic, HearStates] = field(default_factory=dict)

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


async def hear_batch(
    tx: Transaction,
    hearer: Hearer,
    records: Sequence[Record],
    *,
    again: Sequence[str] = (),
    with_parked: bool = True,
) -> Heeded:
    """Hear records in one transaction. ``again``: subjects whose parked events get another chance.

    ``with_parked`` False leaves what is parked alone, so that an error can only belong to the records given.
    """
    buried: list[ToBury] = []
    candidates: list[Candidate] = []
    for record in records:
        decoded = decode(record)
        if isinstance(decoded, Unreadable):
            buried.append(unreadable(record, decoded))
        else:
            candidates.append(Candidate(record, decoded))
    before = await _lock_heard(tx, hearer, candidates, again)
    waiting_room = sorted({subject for (subject, _), last in before.items() if last.parked})
    if waiting_room and with_parked:
        candidates.extend(await _parked_of(tx, waiting_room))
    fates = sort_out(candidates, before, hearer.types, hearer.sources)
    heard: list[Heard] = [one.decoded for one in fates.hear if isinstance(one.decoded, Heard)]
    spans: list[telemetry.Span] = []
    if heard:
        heard = [_traced(one, spans) for one in heard]
        locked = await journal.lock(tx, {one.subject for one in heard})
        waits = await hearer.hear(tx, locked, heard)
        if waits:
            by_stream: dict[Stream, dict[int, str | None]] = {}
            for one in waits:
                by_stream.setdefault((one.heard.subject, one.heard.source), {})[one.heard.version] = one.waits_for
            hold_back(fates, by_stream, before)
    fates.bury.extend(buried)
    await _save(tx, fates, before)
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


def _traced(heard: Heard, spans: list[telemetry.Span]) -> Heard:
    """A message is processed in its own trace: what is said because of it gets the processing span as its parent."""
    if not telemetry.is_sampled(heard.traceparent):
        return heard
    opened = telemetry.open_message_span(
        f"process {TOPIC_OF[heard.source].name}",
        heard.traceparent,
        kind=telemetry.SpanKind.CONSUMER,
        attributes={
            "messaging.system": "kafka",
            "messaging.operation.type": "process",
            "messaging.destination.name": TOPIC_OF[heard.source].name,
            "lienthong.stream": heard.subject,
            "lienthong.event": heard.type,
            "lienthong.version": heard.version,
        },
    )
    if opened is None:
        return heard
    spans.append(opened)
    return replace(heard, traceparent=telemetry.traceparent_of(opened))


async def _lock_heard(
    tx: Transaction, hearer: Hearer, candidates: Sequence[Candidate], again: Sequence[str]
) -> dict[Stream, LastHeard]:
    streams: set[Stream] = set()
    for candidate in candidates:
        envelope = candidate.envelope
        streams.add((envelope.subject, envelope.source))
        if envelope.cause is not None and envelope.cause.source in hearer.sources:
            # The cause's row is locked too, even before anything of it was heard: whoever hears the cause meanwhile
            # waits for us and then finds what we parked for it.
            streams.add((envelope.subject, envelope.cause.source))
    if not streams and not again:
        return {}
    ordered = sorted(streams)
    await tx.execute(_sql["add_heard"], [subject for subject, _ in ordered], [source.value for _, source in ordered])
    rows = await tx.fetch(_sql["lock_heard"], sorted({subject for subject, _ in ordered} | set(again)))
    return {
        (row["subject"], Service(row["source"])): LastHeard(
            row["version"], str(row["event_id"]) if row["event_id"] else None, row["parked"]
        )
        for row in rows
    }


async def next_parked(tx: Transaction, subject: str) -> list[Record]:
    """Of each stream of a subject, the parked record whose turn it is."""
    rows = {row["source"]: row["version"] for row in await tx.fetch(_sql["lock_heard"], [subject])}
    turns = {(source, version + 1) for source, version in rows.items()}
    found = await _parked_of(tx, [subject])
    return [one.record for one in found if (one.envelope.source.value, one.envelope.version) in turns]


async def _parked_of(tx: Transaction, subjects: Sequence[str]) -> list[Candidate]:
    found = []
    for row in await tx.fetch(_sql["parked_of"], subjects):
        record = Record(
            row["topic"],
            row["partition"],
            row["offset"],
            row["key"],
            restored_headers(row["headers"]),
            row["body"],
        )
        decoded = decode(record)
        if not isinstance(decoded, Unreadable):  # it was readable when it was parked
            found.append(Candidate(record, decoded, row["id"]))
    return found


async def _save(tx: Transaction, fates: Fates, before: Mapping[Stream, LastHeard]) -> None:
    parked = await _park(tx, fates.park)
    for stream, count in parked.items():
        last = fates.last.get(stream, LastHeard())
        fates.last[stream] = replace(last, parked=last.parked + count)
    gone = {one.parked_id for one in fates.bury if one.parked_id is not None} | set(fates.settled)
    if gone:
        for candidate_stream in await _unpark(tx, sorted(gone)):
            last = fates.last[candidate_stream]
            fates.last[candidate_stream] = replace(last, parked=last.parked - 1)
    if fates.bury:
        await bury(tx, fates.bury)
    changed = [(stream, last) for stream, last in fates.last.items() if before.get(stream) != last]
    if not changed:
        return
    subjects = [stream[0] for stream, _ in changed]
    sources = [stream[1].value for stream, _ in changed]
    versions = [last.version for _, last in changed]
    await tx.execute(
        _sql["save_heard"],
        subjects,
        sources,
        versions,
        [last.event_id for _, last in changed],
        [last.parked for _, last in changed],
    )
    await tx.execute(_sql["supersede"], subjects, sources, versions)


async def _park(tx: Transaction, parks: Sequence[ToPark]) -> dict[Stream, int]:
    """Parks what is new, gives what lay there its new reason; returns how many came to each stream."""
    again = [one for one in parks if one.candidate.parked_id is not None]
    if again:
        await tx.execute(
            _sql["park_again"],
            [one.candidate.parked_id for one in again],
            [one.reason for one in again],
            [one.waits_for for one in again],
        )
    new = [one for one in parks if one.candidate.parked_id is None]
    if not new:
        return {}
    records = [one.candidate.record for one in new]
    envelopes = [one.candidate.envelope for one in new]
    rows = await tx.fetch(
        _sql["park"],
        *_where(records),
        [envelope.subject for envelope in envelopes],
        [envelope.source.value for envelope in envelopes],
        [envelope.version for envelope in envelopes],
        [one.reason for one in new],
        [one.waits_for for one in new],
        *_what(records),
    )
    came: dict[Stream, int] = {}
    for row in rows:
        stream = (row["subject"], Service(row["source"]))
        came[stream] = came.get(stream, 0) + 1
    return came


async def _unpark(tx: Transaction, ids: Sequence[int]) -> list[Stream]:
    rows = await tx.fetch(_sql["unpark"], ids)
    return [(row["subject"], Service(row["source"])) for row in rows]


async def bury(tx: Transaction, dead: Sequence[ToBury]) -> None:
    """Write dead letters; the same record twice is one."""
    records = [one.record for one in dead]
    envelopes = [one.envelope for one in dead]
    await tx.execute(
        _sql["bury"],
        *_where(records),
        [envelope.subject if envelope else None for envelope in envelopes],
        [envelope.source.value if envelope else None for envelope in envelopes],
        [envelope.version if envelope else None for envelope in envelopes],
        [envelope.type if envelope else None for envelope in envelopes],
        [one.reason for one in dead],
        *_what(records),
    )
    for one in dead:
        log.error(
            "dead_letter_written",
            extra={
                "topic": one.record.topic,
                "partition": one.record.partition,
                "offset": one.record.offset,
                "reason": one.reason,
            },
        )


def _where(records: Sequence[Record]) -> tuple[list[Any], ...]:
    return (
        [record.topic for record in records],
        [record.partition for record in records],
        [record.offset for record in records],
        [digest(record) for record in records],
    )


def _what(records: Sequence[Record]) -> tuple[list[Any], ...]:
    return (
        [record.key for record in records],
        [stored_headers(record.headers) for record in records],
        [record.body for record in records],
    )


def digest(record: Record) -> bytes:
    """SHA-256 of a record's content: an offset alone is used again after a topic was made anew."""
    content = hashlib.sha256(record.key or b"")
    content.update(stored_headers(record.headers).encode())
    content.update(record.body or b"")
    return content.digest()


async def subjects_waiting_for(tx: Transaction, keys: Sequence[str]) -> list[str]:
    """Subjects with something parked that waits for one of these keys."""
    return [row["subject"] for row in await tx.fetch(_sql["subjects_waiting_for"], keys)]


async def subjects_waiting(tx: Transaction, after: str, count: int) -> list[str]:
    """The next subjects with something parked that is not merely behind a gap."""
    return [row["subject"] for row in await tx.fetch(_sql["subjects_waiting"], after, count)]


def set_aside(record: Record, error: Exception) -> ToBury | None:
    """The dead letter of a record that an unforeseen error was found to belong to; it holds its version."""
    decoded = decode(record)
    if isinstance(decoded, Unreadable):
        return unreadable(record, decoded)
    envelope = decoded if isinstance(decoded, Heard) else decoded.envelope
    return ToBury(record, f"error: {signature(error)}", envelope)


def signature(error: Exception) -> str:
    """What kind of error it was, without its message: messages quote values."""
    if isinstance(error, asyncpg.PostgresError):
        return f"{type(error).__name__} {error.sqlstate} {getattr(error, 'constraint_name', None) or ''}".strip()
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    where = f" in {trace.tb_frame.f_code.co_name}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{where}"
