"""What was said and sent: by bucket, by subject, and who has heard more than that. For anti-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from shared.store import Queries, Transaction
from shared.topics import PARTITIONS

_sql = Queries(Path(__file__).parent)

_DIGEST: Final = 2**64


@dataclass(frozen=True, slots=True)
class Tally:
    """How much there is in a bucket; ``digest`` in 16 hexadecimal digits."""

    bucket: int
    subjects: int
    versions: int
    digest: str


def digest_of(hashes: str) -> str:
    """The digest of a bucket, from PostgreSQL's sum of the hashes of its (subject, version).

    ``hashtextextended`` decides there in which partition a row lies, so it stays the same from release to release.
    """
    return f"{int(hashes) % _DIGEST:016x}"


def rank(version: int, *, is_erased: bool) -> int:
    """The rank of a state on a compacted topic: the higher version wins, and an erasure over a state of its version."""
    return 2 * version + is_erased


async def said_states(tx: Transaction, after: tuple[str, str], count: int) -> list[tuple[str, str, int]]:
    """The next states that were said and sent, in the order of (topic, subject): topic, subject, rank."""
    rows = await tx.fetch(_sql["said_states"], *after, count)
    return [(row["topic"], row["aggregateid"], rank(row["version"], is_erased=row["is_erased"])) for row in rows]


async def range_end(tx: Transaction, low: str, count: int) -> str | None:
    """The subject at which a range of so many subjects ends; None: what is left are not so many."""
    end: str | None = await tx.fetchval(_sql["range_end"], low, count)
    return end


async def streams_about(tx: Transaction) -> tuple[int, int]:
    """About how many streams there are, and how many states."""
    row = await tx.fetchrow(_sql["streams_about"])
    assert row is not None
    return row["streams"], row["states"]


async def said_tallies(tx: Transaction, low: str, high: str | None, shards: Sequence[int], buckets: int) -> list[Tally]:
    """What was said and sent of the subjects from ``low`` to below ``high`` that lie in some shards, by bucket."""
    rows = await tx.fetch(_sql["said_tallies"], low, high, shards, buckets, PARTITIONS)
    return [Tally(row["bucket"], row["subjects"], row["versions"], digest_of(row["hashes"])) for row in rows]


async def said_heads(
    tx: Transaction, low: str, high: str | None, numbers: Sequence[int], buckets: int
) -> list[tuple[str, int]]:
    """How much was said and sent of each subject of some buckets of a range."""
    rows = await tx.fetch(_sql["said_heads"], low, high, numbers, buckets)
    return [(row["subject"], row["version"]) for row in rows]


async def ahead(tx: Transaction, heard: Sequence[tuple[str, int]]) -> list[tuple[str, int, int]]:
    """Of (subject, version heard), that of which less was ever said: (subject, heard, said)."""
    rows = await tx.fetch(_sql["ahead"], [subject for subject, _ in heard], [version for _, version in heard])
    return [(row["subject"], row["version"], row["said"]) for row in rows]
