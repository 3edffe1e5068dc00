"""What a hearer has of a source: by bucket, by subject, and where it is behind. For anti-entropy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from shared.outbox.said import Tally, digest_of
from shared.store import Queries, Transaction
from shared.topics import Service

_sql = Queries(Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Behind:
    """A stream of which less was heard than was said.

    ``held`` are versions that are parked or dead letters, but for those that their speaker never said.
    """

    subject: str
    said: int
    heard: int
    held: tuple[int, ...]


async def behind(tx: Transaction, source: Service, said: Mapping[str, int]) -> list[Behind]:
    """Of streams of which so much was said, those of which less was heard."""
    rows = await tx.fetch(_sql["behind"], source.value, list(said), list(said.values()))
    return [Behind(row["subject"], row["said"], row["heard"], tuple(row["held"])) for row in rows]


async def heard_tallies(
    tx: Transaction, source: Service, low: str, high: str | None, numbers: Sequence[int], buckets: int
) -> dict[int, Tally]:
    """What is here of some buckets of a range, by bucket. Parked and dead versions count, up to the next gap."""
    rows = await tx.fetch(_sql["heard_tallies"], source.value, low, high, numbers, buckets)
    return {
        row["bucket"]: Tally(row["bucket"], row["subjects"], row["versions"], digest_of(row["hashes"])) for row in rows
    }


async def heard_heads(
    tx: Transaction, source: Service, low: str, high: str | None, numbers: Sequence[int], buckets: int
) -> list[tuple[str, int]]:
    """How far each subject of some buckets of a range was heard."""
    rows = await tx.fetch(_sql["heard_heads"], source.value, low, high, numbers, buckets)
    return [(row["subject"], row["version"]) for row in rows]


async def held_heads(
    tx: Transaction, source: Service, low: str, high: str | None, numbers: Sequence[int], buckets: int
) -> list[tuple[str, int]]:
    """Of the subjects of some buckets of a range, the highest version that is parked or dead beyond what was heard."""
    rows = await tx.fetch(_sql["held_heads"], source.value, low, high, numbers, buckets)
    return [(row["subject"], row["version"]) for row in rows]


async def mark_never_said(tx: Transaction, source: Service, said: Mapping[str, int], before: datetime) -> int:
    """What is parked or dead of subjects beyond what their speaker ever ``said`` counts as there no more.

    ``before``: what came here since then may have been said since. Returns of how many subjects there was any.
    """
    count: int = await tx.fetchval(_sql["mark_never_said"], source.value, list(said), list(said.values()), before)
    return count
