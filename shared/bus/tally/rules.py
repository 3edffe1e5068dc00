"""Comparing what a speaker said with what a hearer has: pure, on values."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from enum import Enum
from typing import Final, TypeVar
from zlib import crc32

from shared.bus.tally.wire import Bucket, Lack
from shared.topics import PARTITIONS

T = TypeVar("T")

BUCKETS: Final = PARTITIONS * 8
"""Buckets of a range. A multiple of the partitions: a bucket lies in one of them, ``number % PARTITIONS``."""


class Standing(Enum):
    """How a bucket of a hearer stands beside the speaker's.

    ``BEHIND``: fewer versions, so that something is certainly missing. ``OTHER``: as many or more, yet different: it
    may have heard on since the speaker counted, or lack here what it has too many there.
    """

    EVEN = "even"
    BEHIND = "behind"
    OTHER = "other"


def bucket_of(subject: str) -> int:
    """The bucket of a subject within its range."""
    return crc32(subject.encode()) % BUCKETS


def shard_of_bucket(number: int) -> int:
    """The shard, which is the partition, that all subjects of a bucket lie in."""
    return number % PARTITIONS


def standing(theirs: Bucket, ours: Bucket | None) -> Standing:
    """How ours (None: nothing of it was heard) stands beside theirs."""
    ours = ours or Bucket(theirs.number, 0, 0, f"{0:016x}")
    if (ours.subjects, ours.versions, ours.digest) == (theirs.subjects, theirs.versions, theirs.digest):
        return Standing.EVEN
    return Standing.BEHIND if ours.versions < theirs.versions else Standing.OTHER


def lacking(subject: str, said: int, heard: int, held: Collection[int]) -> list[Lack]:
    """The versions up to ``said`` that are neither heard nor ``held`` (parked, or a dead letter), as few spans.

    What is parked or dead was brought, and bringing it again changes nothing.
    """
    there = sorted({version for version in held if heard < version <= said})
    spans, first = [], heard + 1
    for version in (*there, said + 1):
        if first < version:
            spans.append(Lack(subject, first, version - 1))
        first = version + 1
    return spans


def wait_for(asked: int, every: float, longest: float) -> float:
    """Seconds until what was asked for ``asked`` times is asked for once more: twice as long each time."""
    return min(every * 2.0 ** min(asked, 16), longest)


def in_steps(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """The items, at most so many at a time."""
    for start in range(0, len(items), most):
        yield items[start : start + most]
