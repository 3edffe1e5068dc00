"""The journal: what this service said, in order, under each subject's lock; and the answers of commands.

The order of work in every transaction that says something: `lock` the subjects, *then* load, decide, save, and
`announce`. A version is raised only here.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import asyncpg
import msgspec
import uuid_utils
from msgspec import Struct
from msgspec.structs import replace

from shared import telemetry
from shared.envelope import Cause, body_of
from shared.events import Event
from shared.store import Migrations, Queries, Transaction
from shared.topics import PARTITIONS, TOPIC_OF, Service, Topic

MIGRATIONS: Final = Migrations("journal", Path(__file__).parent / "migrations")

_sql = Queries(Path(__file__).parent)

_JOURNAL_COLUMNS = (
    "aggregateid",
    "version",
    "id",
    "aggregatetype",
    "type",
    "timestamp",
    "cause_source",
    "cause_version",
    "origin",
    "actor",
    "tracingspancontext",
    "payload",
)


class VersionsLostError(Exception):
    """A locked stream is gone, or was raised by somebody without the lock: a fault of ours, not of an event."""


class Stream(Struct, frozen=True):
    """A subject under lock: how much was said of it, and the business time of the latest entry.

    ``ahead`` is what its row was written to hold when the subject was opened, in the expectation that this is said.
    """

    version: int
    last_time: datetime
    ahead: Stream | None = None

    @property
    def is_new(self) -> bool:
        """The subject came into being in this transaction: nothing of it can be in the store."""
        return self.ahead is not None

    @property
    def is_written(self) -> bool:
        """Its row holds this already."""
        return self.ahead is not None and (self.ahead.version, self.ahead.last_time) == (self.version, self.last_time)


NOTHING_SAID_AT: Final = datetime(1900, 1, 1, tzinfo=UTC)
"""The business time of a subject of which nothing was said: no entry lies before it."""


class Saying(Struct, frozen=True):
    """Something to announce. ``time`` is when it happened; ``because`` names the event that it answers.

    ``ident``: the id that the entry had before it was lost with a store's last hours; None: a new one.
    """

    subject: str
    event: Event
    time: datetime
    because: Cause | None = None
    origin: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    ident: str | None = None


def shard_of(subject: str) -> int:
    """The shard of a subject, which is its Kafka partition on every topic."""
    return crc32(subject.encode()) % PARTITIONS


async def lock(tx: Transaction, subjects: Iterable[str]) -> dict[str, Stream]:
    """Lock subjects, ascending, making rows for new ones. Everything else of a subject is loaded after this."""
    wanted = sorted(set(subjects))
    if not wanted:
        return {}
    await tx.execute(_sql["add_streams"], wanted)
    rows = await tx.fetch(_sql["lock_streams"], wanted)
    return {row["subject"]: Stream(row["version"], row["last_time"]) for row in rows}


async def open_new(tx: Transaction, expected: Mapping[str, tuple[int, datetime]]) -> dict[str, Stream]:
    """Lock subjects that most likely have no row yet by writing one, ascending; empty when one of them had.

    ``expected``: how much will have been said of each, and its latest time, if all goes as it mostly does. Written so
    at once, a row needs no lock and no update: 4 µs of PostgreSQL instead of 17. `settle` puts right what came out
    differently. Outside the transaction nobody sees a row before that.
    """
    try:
        async with tx.transaction():
            await tx.copy_records_to_table(
                "stream",
                records=[(subject, *expected[subject]) for subject in sorted(expected)],
                columns=("subject", "version", "last_time"),
            )
    except asyncpg.UniqueViolationError:
        return {}
    return {subject: Stream(0, NOTHING_SAID_AT, Stream(*ahead)) for subject, ahead in expected.items()}


async def settle(tx: Transaction, locked: Mapping[str, Stream]) -> None:
    """Put right the rows of new subjects of which something else was said than was expected."""
    await _raise_streams(tx, {subject: one for subject, one in locked.items() if one.is_new and not one.is_written})


async def lock_known(tx: Transaction, subjects: Iterable[str]) -> dict[str, Stream]:
    """Like `lock`, but a subject of which nothing was said is absent from the answer and gets no row."""
    rows = await tx.fetch(_sql["lock_streams"], sorted(set(subjects)))
    return {row["subject"]: Stream(row["version"], row["last_time"]) for row in rows}


async def announce(tx: Transaction, service: Service, locked: dict[str, Stream], sayings: Sequence[Saying]) -> None:
    """Write sayings to journal and outbox and raise the versions in ``locked``. VersionsLostError without the lock.

    A business time that lies before the subject's latest entry is moved up to it: time does not run back in a stream.
    """
    if not sayings:
        return
    here = telemetry.traceparent()
    topic = TOPIC_OF[service].name
    journal: list[tuple[Any, ...]] = []
    outbox: list[tuple[int, str, int]] = []
    raised: dict[str, Stream] = {}
    for saying in sayings:
        stream = locked.get(saying.subject)
        if stream is None:
            raise VersionsLostError(f"{saying.subject} was not locked before it was spoken of")
        version, time = stream.version + 1, max(stream.last_time, saying.time)
        cause = saying.because
        journal.append(
            (
                saying.subject,
                version,
                saying.ident or str(uuid_utils.uuid7()),
                topic,
                type(saying.event).__name__,
                time,
                cause.source if cause else None,
                cause.version if cause else None,
                saying.origin,
                saying.actor,
                saying.traceparent or here,
                body_of(saying.event),
            )
        )
        outbox.append((shard_of(saying.subject), saying.subject, version))
        raised[saying.subject] = locked[saying.subject] = Stream(version, time, stream.ahead)
    await tx.copy_records_to_table("journal", records=journal, columns=_JOURNAL_COLUMNS)
    # ids are drawn in this order while the subjects are locked: for one subject, id order is version order
    await tx.copy_records_to_table("outbox", records=outbox, columns=("shard", "aggregateid", "version"))
    await _raise_streams(tx, {subject: stream for subject, stream in raised.items() if not stream.is_written})


async def _raise_streams(tx: Transaction, raised: Mapping[str, Stream]) -> None:
    if not raised:
        return
    status = await tx.execute(
        _sql["raise_streams"],
        list(raised),
        [stream.version for stream in raised.values()],
        [stream.last_time for stream in raised.values()],
    )
    if status != f"UPDATE {len(raised)}":
        raise VersionsLostError(f"{status} of {len(raised)} streams")


async def begin(
    tx: Transaction,
    service: Service,
    sayings: Sequence[Saying],
    topic: Topic,
    states: Sequence[tuple[str, int, str]],
    given: Mapping[CommandKey, Answer],
) -> set[CommandKey]:
    """Say the first of subjects whose ids were made in this transaction, one saying each: nobody else can know them.

    ``states``: the (subject, version, payload) of some of them on a compacted topic. ``given``: the answers of the
    commands that made them; returns the keys that were new, like `add_answers`. All of it is one statement: `lock`,
    `announce`, `put_snapshots` and `add_answers` are fourteen answers of the database to wait for, and what waiting
    costs is the same for one dossier as for thirty.
    """
    here = telemetry.traceparent()
    traces = {saying.subject: saying.traceparent or here for saying in sayings}
    answered = sorted(given.items(), key=lambda item: (item[0].scope, item[0].id))
    rows = await tx.fetch(
        _sql["begin_streams"],
        TOPIC_OF[service].name,
        [saying.subject for saying in sayings],
        [saying.ident or str(uuid_utils.uuid7()) for saying in sayings],
        [type(saying.event).__name__ for saying in sayings],
        [max(NOTHING_SAID_AT, saying.time) for saying in sayings],
        [saying.because.source.value if saying.because else None for saying in sayings],
        [saying.because.version if saying.because else None for saying in sayings],
        [saying.origin for saying in sayings],
        [saying.actor for saying in sayings],
        [traces[saying.subject] for saying in sayings],
        [body_of(saying.event) for saying in sayings],
        [shard_of(saying.subject) for saying in sayings],
        topic.name,
        [subject for subject, _, _ in states],
        [version for _, version, _ in states],
        [payload for _, _, payload in states],
        [traces[subject] for subject, _, _ in states],
        [shard_of(subject) for subject, _, _ in states],
        *_columns(answered),
    )
    return {CommandKey(row["scope"], row["id"]) for row in rows}


def in_order(locked: Mapping[str, Stream], saying: Saying) -> Saying:
    """The saying, its business time moved up to the subject's latest entry if it lay before it."""
    last = locked[saying.subject].last_time
    return saying if saying.time >= last else replace(saying, time=last)


async def put_snapshots(
    tx: Transaction,
    topic: Topic,
    states: Sequence[tuple[str, int, str | None]],
    traces: Mapping[str, str | None] | None = None,
) -> None:
    """Publish (subject, version, payload) on a compacted topic; payload None is a tombstone.

    ``traces``: the traceparent of each subject; without it, that of the span that is open here.
    """
    if not states:
        return
    ordered = sorted(states)
    here = telemetry.traceparent()
    await tx.execute(
        _sql["put_snapshots"],
        topic.name,
        [subject for subject, _, _ in ordered],
        [version for _, version, _ in ordered],
        [payload for _, _, payload in ordered],
        [traces.get(subject) if traces else here for subject, _, _ in ordered],
    )
    await tx.copy_records_to_table(
        "outbox",
        records=[(shard_of(subject), topic.name, subject, version) for subject, version, _ in ordered],
        columns=("shard", "topic", "aggregateid", "version"),
    )


async def said_since(tx: Transaction, subject: str, version: int) -> list[dict[str, Any]]:
    """What was said of a subject after a version: for a sender whose picture is stale."""
    return [
        {"version": row["version"], "type": row["type"], "time": row["timestamp"].isoformat(), "actor": row["actor"]}
        for row in await tx.fetch(_sql["said_since"], subject, version)
    ]


async def instant(tx: Transaction) -> datetime:
    """The database's clock, now (not the transaction's start)."""
    now: datetime = await tx.fetchval(_sql["instant"])
    return now


# --- commands ------------------------------------------------------------------------------------------------------


class CommandKey(Struct, frozen=True):
    """What makes a command unique: the subject that it is about (or its sender), and the id that its sender made."""

    scope: str
    id: str


class Answer(Struct, frozen=True):
    """A stored answer, and the digest of the body that it answers."""

    digest: bytes
    body: dict[str, Any]


async def answers(tx: Transaction, keys: Sequence[CommandKey]) -> dict[CommandKey, Answer]:
    """The stored answers of commands that came before."""
    rows = await tx.fetch(_sql["answers"], [key.scope for key in keys], [key.id for key in keys])
    return {CommandKey(row["scope"], row["id"]): Answer(row["digest"], json.loads(row["answer"])) for row in rows}


async def add_answers(tx: Transaction, given: Mapping[CommandKey, Answer]) -> set[CommandKey]:
    """Store answers; returns the keys that were new. A key that is missing was taken by a sender at the same moment."""
    if not given:
        return set()
    ordered = sorted(given.items(), key=lambda item: (item[0].scope, item[0].id))
    rows = await tx.fetch(_sql["add_answers"], *_columns(ordered))
    return {CommandKey(row["scope"], row["id"]) for row in rows}


def _columns(answered: Sequence[tuple[CommandKey, Answer]]) -> tuple[list[str], list[str], list[bytes], list[str]]:
    return (
        [key.scope for key, _ in answered],
        [key.id for key, _ in answered],
        [answer.digest for _, answer in answered],
        [msgspec.json.encode(answer.body).decode() for _, answer in answered],
    )
