"""What waits and what died, and an operator's exits: redrive, void with a signed reason, publish again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final, Literal, TypeAlias

import asyncpg
from msgspec.structs import replace

from shared.bus import hearing, rows
from shared.bus.hearing import Hearer, Heeded
from shared.envelope import Record, restored_headers
from shared.store import Database, Queries, Transaction, is_transient
from shared.topics import Service

_sql = Queries(Path(__file__).parent)

_NEWEST: Final = 2**62

Fate: TypeAlias = Literal["redriven", "voided", "superseded", "dismissed"]


@dataclass(frozen=True, slots=True)
class WaitingRoom:
    """How much is parked and dead, and for how many seconds the oldest of each has lain there."""

    parked: int
    parked_seconds: float
    dead: int
    dead_seconds: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be heard.

    ``never_said``: its speaker, asked, had not said it. ``body`` and ``headers`` only when it was asked for by its id.
    """

    id: int
    topic: str
    partition: int
    offset: int
    subject: str | None
    source: str | None
    version: int | None
    type: str | None
    reason: str
    died: datetime
    age_seconds: float
    fate: Fate | None
    fated: datetime | None
    fated_by: str | None
    fate_reason: str | None
    never_said: bool
    headers: tuple[tuple[str, bytes | None], ...] = ()
    body: bytes | None = None


@dataclass(frozen=True, slots=True)
class Parked:
    """A record that waits."""

    id: int
    topic: str
    partition: int
    offset: int
    subject: str
    source: str
    version: int
    reason: str
    waits_for: str | None
    age_seconds: float


@dataclass(frozen=True, slots=True)
class Done:
    """The operator's wish was carried out."""

    said: str


@dataclass(frozen=True, slots=True)
class NotDone:
    """It was not, and why; ``reason`` is a code, ``do`` says what to do."""

    reason: Literal["unknown", "closed", "no_stream", "still_failing", "not_next"]
    do: str


async def waiting_room(tx: Transaction) -> WaitingRoom:
    """Counts and ages."""
    row = await tx.fetchrow(_sql["waiting_room"])
    assert row is not None
    return WaitingRoom(row["parked"], row["parked_seconds"], row["dead"], row["dead_seconds"])


async def dead_letters(tx: Transaction, *, only_open: bool, below: int = _NEWEST, count: int = 100) -> list[DeadLetter]:
    """Dead letters without their bodies, newest first, those with an id below ``below``."""
    return [_dead_letter(row) for row in await tx.fetch(_sql["dead_letters"], only_open, below, count)]


async def dead_letter(tx: Transaction, ident: int) -> DeadLetter | None:
    """One dead letter with headers and body."""
    row = await tx.fetchrow(_sql["dead_letter"], ident)
    if row is None:
        return None
    return _dead_letter(row, restored_headers(row["headers"]), row["body"])


async def parked_records(tx: Transaction, count: int = 100) -> list[Parked]:
    """What is parked, oldest first."""
    return [
        Parked(
            row["id"],
            row["topic"],
            row["partition"],
            row["offset"],
            row["subject"],
            row["source"],
            row["version"],
            row["reason"],
            row["waits_for"],
            row["age_seconds"],
        )
        for row in await tx.fetch(_sql["parked_records"], count)
    ]


async def redrive(database: Database, hearer: Hearer, ident: int, by: str) -> Done | NotDone:
    """Hear a dead letter once more, as it is: after a release that can. Unforeseen errors leave it where it lies."""
    try:
        async with database.transaction() as tx:
            row = await _locked(tx, ident)
            refused = _refused(row)
            if refused is not None:
                return refused
            assert row is not None
            record = rows.record_of(row)
            # Closed first: what fails again opens it again.
            await close_dead_letter(tx, ident, "redriven", by, "")
            heeded = await _hear_again(tx, hearer, record)
            row = await tx.fetchrow(_sql["lock_dead_letter"], ident)
            assert row is not None
            if row["fate"] is None:
                return NotDone(
                    "still_failing", "deploy a release that can read it, publish the subject again, or void it"
                )
    except Exception as error:
        if is_transient(error):
            raise
        return NotDone("still_failing", f"it still ends in {hearing.signature(error)}: mend that first, or void it")
    heeded.end_spans()
    return Done(f"heard {heeded.heard}, repeats {heeded.repeats}, parked {heeded.parked}")


async def _hear_again(tx: Transaction, hearer: Hearer, record: Record) -> Heeded:
    for topic, hear in hearer.states.items():
        if topic.name == record.topic:
            return Heeded(heard=1, known=tuple(await hear(tx, [record])))
    return await hearing.hear_batch(tx, hearer, [record])


async def void(database: Database, hearer: Hearer, ident: int, by: str, why: str) -> Done | NotDone:
    """Pass a dead letter's version over for this hearer, for a reason that is signed; what waits behind it goes on.

    A record whose stream cannot be told is only dismissed: nothing waits behind it. So is one that its speaker never
    said: were its version passed over, the real one would be taken for a repeat when it comes.
    """
    async with database.transaction() as tx:
        row = await _locked(tx, ident)
        refused = _refused(row)
        if refused is not None:
            return refused
        assert row is not None
        if row["subject"] is None or row["reason"].startswith("fork"):
            await close_dead_letter(tx, ident, "dismissed", by, why)
            return Done("dismissed: no version was held by it")
        if row["never_said"]:
            await close_dead_letter(tx, ident, "dismissed", by, why)
            return Done("dismissed: its speaker never said it, and what he will say as this version is still heard")
        stream, version = (row["subject"], Service(row["source"])), row["version"]
        # An event that failed as the first of its stream left no row behind.
        last = (await rows.lock_heard(tx, [stream], ()))[stream]
        if last.version >= version:
            await close_dead_letter(tx, ident, "dismissed", by, why)
            return Done("dismissed: its version was heard meanwhile")
        if last.version + 1 != version:
            return NotDone("not_next", "it is not the next version of its stream: mend or void the earlier one first")
        await close_dead_letter(tx, ident, "voided", by, why)
        voided = {stream: replace(last, version=version, event_id=None)}
        await rows.save_heard(tx, voided)
        await rows.supersede(tx, voided)
    # What waits behind it may fail for reasons of its own: the void stands, and the sweep comes for the rest.
    try:
        async with database.transaction() as tx:
            heeded = await hearing.hear_batch(tx, hearer, [], again=[stream[0]])
    except Exception as error:
        return Done(f"version {version} is voided; what waited behind it ended in {hearing.signature(error)}")
    heeded.end_spans()
    return Done(f"version {version} is voided; heard {heeded.heard} that waited behind it")


async def _locked(tx: Transaction, ident: int) -> asyncpg.Record | None:
    """A dead letter under lock, its streams locked before it, as a hearer does it."""
    found = await tx.fetchrow(_sql["dead_letter"], ident)
    if found is not None and found["subject"] is not None:
        await rows.lock_heard(tx, (), [found["subject"]])
    return await tx.fetchrow(_sql["lock_dead_letter"], ident)


async def close_dead_letter(tx: Transaction, ident: int, fate: Fate, by: str, why: str) -> None:
    """Write an operator's decision down."""
    await tx.execute(_sql["close_dead_letter"], ident, fate, by, why)


def _refused(row: asyncpg.Record | None) -> NotDone | None:
    if row is None:
        return NotDone("unknown", "list the dead letters and use an id from there")
    if row["fate"] is not None:
        return NotDone("closed", f"it was {row['fate']} before; nothing is left to do")
    return None


def _dead_letter(
    row: asyncpg.Record, headers: tuple[tuple[str, bytes | None], ...] = (), body: bytes | None = None
) -> DeadLetter:
    return DeadLetter(
        row["id"],
        row["topic"],
        row["partition"],
        row["offset"],
        row["subject"],
        row["source"],
        row["version"],
        row["type"],
        row["reason"],
        row["died"],
        row["age_seconds"],
        row["fate"],
        row["fated"],
        row["fated_by"],
        row["fate_reason"],
        row["never_said"],
        headers,
        body,
    )
