"""Publishing again: any subject, or everything, from version 1, to the topic or to one hearer's private topic.

And, where a hearer said what it lacks, those versions alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared import journal
from shared.store import Database, Queries, Transaction

_sql = Queries(Path(__file__).parent)

_CHUNK = 500


@dataclass(frozen=True, slots=True)
class Depth:
    """How much is unsent, and for how many seconds the oldest of it has waited."""

    unsent: int
    oldest_seconds: float


async def depth(tx: Transaction, left_alone: Sequence[str] = ()) -> Depth:
    """The outbox's depth now, without places that do not count (`Relay.left_alone`)."""
    row = await tx.fetchrow(_sql["depth"], list(left_alone))
    assert row is not None
    return Depth(row["unsent"], row["oldest_seconds"])


async def republish(database: Database, subjects: Sequence[str] | None, *, topic: str | None = None) -> int:
    """Point the relay at all that was said of ``subjects`` (None: of everybody) once more; returns how many subjects.

    Each chunk of 500 subjects is a transaction of its own, under their locks, so that ids follow versions here too.
    ``topic`` names a hearer's private topic; without it, contacts on the compacted topic are published again as well.
    """
    count, last = 0, ""
    if subjects is not None:
        ordered = sorted(set(subjects))
        for start in range(0, len(ordered), _CHUNK):
            count += await _chunk(database, ordered[start : start + _CHUNK], topic)
        return count
    while True:
        async with database.connection() as connection:
            following = await subjects_after(connection, last, _CHUNK)
        if not following:
            return count
        count += await _chunk(database, following, topic)
        last = following[-1]


async def _chunk(database: Database, subjects: Sequence[str], topic: str | None) -> int:
    async with database.transaction() as tx:
        known = sorted(await journal.lock_known(tx, subjects))
        shards = [journal.shard_of(subject) for subject in known]
        if topic is None:
            await tx.execute(_sql["point_again_at_snapshots"], known, shards)
        await tx.execute(_sql["point_again"], known, shards, topic)
    return len(known)


async def republish_versions(database: Database, lacking: Sequence[tuple[str, int, int]]) -> int:
    """Point the relay at (subject, first, last) versions once more; returns how many. What is unsent is left alone."""
    count = 0
    for start in range(0, len(lacking), _CHUNK):
        chunk = sorted(lacking[start : start + _CHUNK])
        async with database.transaction() as tx:
            known = await journal.lock_known(tx, {subject for subject, _, _ in chunk})
            spans = [span for span in chunk if span[0] in known]
            status = await tx.execute(
                _sql["point_again_at"],
                [subject for subject, _, _ in spans],
                [journal.shard_of(subject) for subject, _, _ in spans],
                [first for _, first, _ in spans],
                [last for _, _, last in spans],
            )
        count += int(status.rsplit(" ", 1)[1])
    return count


async def republish_states(database: Database, topic: str, subjects: Sequence[str]) -> int:
    """Point the relay at the latest states of some subjects on a compacted topic once more; returns how many."""
    async with database.transaction() as tx:
        known = sorted(await journal.lock_known(tx, subjects))
        shards = [journal.shard_of(subject) for subject in known]
        status = await tx.execute(_sql["point_again_at_states"], known, shards, topic)
    return int(status.rsplit(" ", 1)[1])


async def subjects_after(tx: Transaction, last: str, count: int) -> list[str]:
    """The next subjects of the journal after ``last``, ascending."""
    return [row["subject"] for row in await tx.fetch(_sql["subjects_after"], last, count)]
