"""Rows of what waits and of what died: written once, read once, for hearing, the sweep and the operators."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import asyncpg

from shared.bus.fates import Candidate, LastHeard, Stream, ToBury, ToPark, candidate_of
from shared.envelope import Record, Unreadable, decode, restored_headers, stored_headers
from shared.store import Queries, Transaction
from shared.topics import Service

log = logging.getLogger(__name__)

_sql = Queries(Path(__file__).parent)

_LOCK_CLASS: Final = 0x686561  # "hea"

_SERVICES: Final = {service.value: service for service in Service}


async def hold_shards(tx: Transaction, shards: Collection[int]) -> None:
    """Hold some shards until the transaction ends, ascending; waits for whoever hears of them now.

    A shard is a partition: that of a record says which one its subject lies in.
    """
    if shards:
        await tx.execute(_sql["hold_shards"], _LOCK_CLASS, sorted(shards))


async def open_heard(tx: Transaction, expected: Mapping[Stream, LastHeard]) -> bool:
    """Lock streams of which most likely nothing was heard yet by writing their rows, ascending.

    The rows hold what will have been heard if all goes as it mostly does, so that they need no lock and no update:
    5 µs of PostgreSQL instead of 19. False when something was heard of one of them after all: then nothing is written.
    """
    ordered = sorted(expected.items(), key=_stream)
    try:
        async with tx.transaction():
            await tx.copy_records_to_table(
                "heard",
                records=[(*stream, last.version, last.event_id) for stream, last in ordered],
                columns=("subject", "source", "version", "event_id"),
            )
    except asyncpg.UniqueViolationError:
        return False
    return True


def _stream(item: tuple[Stream, LastHeard]) -> Stream:
    return item[0]


async def lock_heard(
    tx: Transaction, streams: Collection[Stream], subjects: Collection[str]
) -> dict[Stream, LastHeard]:
    """Lock every stream of some subjects, ascending, making rows for ``streams``; how far each was heard."""
    if not streams and not subjects:
        return {}
    ordered = sorted(streams)
    if ordered:
        await tx.execute(
            _sql["add_heard"], [subject for subject, _ in ordered], [source.value for _, source in ordered]
        )
    rows = await tx.fetch(_sql["lock_heard"], sorted({subject for subject, _ in ordered} | set(subjects)))
    return {
        (row["subject"], _SERVICES[row["source"]]): LastHeard(
            row["version"], str(row["event_id"]) if row["event_id"] else None, row["parked"]
        )
        for row in rows
    }


async def save_heard(tx: Transaction, changed: Mapping[Stream, LastHeard]) -> None:
    """How far streams were heard now."""
    if not changed:
        return
    ordered = sorted(changed.items(), key=_stream)
    await tx.execute(
        _sql["save_heard"],
        [stream[0] for stream, _ in ordered],
        [stream[1].value for stream, _ in ordered],
        [last.version for _, last in ordered],
        [last.event_id for _, last in ordered],
        [last.parked for _, last in ordered],
    )


async def supersede(tx: Transaction, heard: Mapping[Stream, LastHeard]) -> None:
    """Close open dead letters that what was heard now overtakes."""
    if not heard:
        return
    ordered = sorted(heard.items(), key=_stream)
    await tx.execute(
        _sql["supersede"],
        [stream[0] for stream, _ in ordered],
        [stream[1].value for stream, _ in ordered],
        [last.version for _, last in ordered],
    )


async def subjects_in_turn(tx: Transaction, before: Mapping[Stream, LastHeard]) -> list[str]:
    """Of locked streams with something parked, the subjects of which a parked event's turn has come."""
    streams = sorted(stream for stream, last in before.items() if last.parked)
    if not streams:
        return []
    rows = await tx.fetch(
        _sql["subjects_in_turn"],
        [subject for subject, _ in streams],
        [source.value for _, source in streams],
        [before[stream].version + 1 for stream in streams],
    )
    return [row["subject"] for row in rows]


async def parked_of(tx: Transaction, subjects: Collection[str], only: int | None = None) -> list[Candidate]:
    """What is parked of some subjects, in the order of versions; ``only`` one of them, by its id."""
    found = []
    for row in await tx.fetch(_sql["parked_of"], sorted(subjects), only):
        record = record_of(row)
        decoded = decode(record)
        if not isinstance(decoded, Unreadable):  # it was readable when it was parked
            found.append(candidate_of(record, decoded, row["id"], (row["reason"], row["waits_for"])))
    return found


async def parked_ids(tx: Transaction, subject: str) -> list[int]:
    """Ids of what is parked of a subject, in the order of versions."""
    return [row["id"] for row in await tx.fetch(_sql["parked_ids"], subject)]


async def subjects_waiting_for(tx: Transaction, keys: Sequence[str]) -> list[str]:
    """Subjects with something parked that waits for one of these keys."""
    return [row["subject"] for row in await tx.fetch(_sql["subjects_waiting_for"], keys)]


async def subjects_waiting(tx: Transaction, after: str, count: int) -> list[str]:
    """The next subjects with something parked that is not merely behind a gap."""
    return [row["subject"] for row in await tx.fetch(_sql["subjects_waiting"], after, count)]


async def park(tx: Transaction, parks: Sequence[ToPark]) -> dict[Stream, int]:
    """Parks what is new, gives what lay there its new reason; returns how many came to each stream."""
    again = [one for one in parks if one.candidate.parked_id is not None]
    changed = [one for one in again if one.candidate.parked_for != (one.reason, one.waits_for)]
    if changed:
        await tx.execute(
            _sql["park_again"],
            [one.candidate.parked_id for one in changed],
            [one.reason for one in changed],
            [one.waits_for for one in changed],
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
    return _counted(rows)


async def unpark(tx: Transaction, ids: Collection[int]) -> dict[Stream, int]:
    """Take parked rows away; returns how many went from each stream."""
    return _counted(await tx.fetch(_sql["unpark"], sorted(ids))) if ids else {}


def _counted(rows: Sequence[asyncpg.Record]) -> dict[Stream, int]:
    counts: dict[Stream, int] = {}
    for row in rows:
        stream = (row["subject"], _SERVICES[row["source"]])
        counts[stream] = counts.get(stream, 0) + 1
    return counts


async def bury(tx: Transaction, dead: Sequence[ToBury]) -> None:
    """Write dead letters; the same record twice is one. One that was redriven and failed again is open again."""
    unique = {(one.record.topic, one.record.partition, one.record.offset, digest(one.record)): one for one in dead}
    if not unique:
        return
    ordered = [one for _, one in sorted(unique.items(), key=lambda item: item[0])]
    records = [one.record for one in ordered]
    envelopes = [one.envelope for one in ordered]
    await tx.execute(
        _sql["bury"],
        *_where(records),
        [envelope.subject if envelope else None for envelope in envelopes],
        [envelope.source.value if envelope else None for envelope in envelopes],
        [envelope.version if envelope else None for envelope in envelopes],
        [envelope.type if envelope else None for envelope in envelopes],
        [one.reason for one in ordered],
        *_what(records),
    )
    for one in ordered:
        log.error(
            "dead_letter_written",
            extra={
                "topic": one.record.topic,
                "partition": one.record.partition,
                "offset": one.record.offset,
                "reason": one.reason,
            },
        )


def record_of(row: asyncpg.Record) -> Record:
    """The record that a row of parked or dead letters keeps."""
    return Record(
        row["topic"], row["partition"], row["offset"], row["key"], restored_headers(row["headers"]), row["body"]
    )


def digest(record: Record) -> bytes:
    """SHA-256 of a record's content: an offset alone is used again after a topic was made anew."""
    content = hashlib.sha256(record.key or b"")
    content.update(stored_headers(record.headers).encode())
    content.update(record.body or b"")
    return content.digest()


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


async def incarnations(tx: Transaction, topics: Collection[str]) -> dict[tuple[str, int], UUID]:
    """The incarnations of topics that partitions were last heard of."""
    found = await tx.fetch(_sql["incarnations"], sorted(topics))
    return {(row["topic"], row["partition"]): UUID(str(row["topic_id"])) for row in found}


async def save_incarnation(tx: Transaction, topic: str, partition: int, topic_id: UUID) -> None:
    """A partition is heard of this incarnation from now on."""
    await tx.execute(_sql["save_incarnation"], topic, partition, topic_id)
