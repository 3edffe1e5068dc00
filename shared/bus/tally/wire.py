"""What passes on the topic of control: CloudEvents 1.0 in binary mode around one of four messages, as JSON.

They are about events and are none themselves: nobody keeps them, losing one costs a round, and no hearer's versions
depend on them. A release that does not know a field passes it over; one that cannot read a message leaves it.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final, TypeAlias

import msgspec
import uuid_utils
from msgspec import Struct

from shared.topics import Service

_PREFIX: Final = "lienthong.control."
_LONGEST: Final = 200
_SPELLING: Final = re.compile(r"[0-9a-f]{16}")

Head: TypeAlias = tuple[str, int]
"""A subject, and the highest version of it."""


class Bucket(Struct, frozen=True, array_like=True):
    """How much there is of a range's subjects whose hash falls into a bucket.

    ``digest`` is the sum, modulo 2**64, of a hash of each (subject, version), in 16 hexadecimal digits: what one
    subject has too many and another too few adds up in ``versions``, but not in the digest.
    """

    number: int
    subjects: int
    versions: int
    digest: str


class Place(Struct, frozen=True, array_like=True):
    """A bucket of a range of subjects: ``low`` <= subject, and subject < ``high`` (None: no end)."""

    low: str
    high: str | None
    number: int


class Lack(Struct, frozen=True, array_like=True):
    """Versions of a subject, from ``first`` to ``last``."""

    subject: str
    first: int
    last: int


class Said(Struct, frozen=True, tag=True):
    """A speaker's word: of these subjects so much was said *and* acknowledged by the broker before this was.

    ``topic`` names a compacted topic; then heads are ranks of states (`shared.outbox.said.rank`), not versions.
    """

    source: Service
    heads: tuple[Head, ...]
    topic: str | None = None


class Tallied(Struct, frozen=True, tag=True):
    """A speaker's word: so much was said and acknowledged, by bucket, of a range of subjects.

    ``recorded``: the instant by the speaker's database. In the buckets of ``moving`` something was sent lately: what
    was told of them is old, and their heads are said instead.
    """

    source: Service
    recorded: datetime
    low: str
    high: str | None
    buckets: tuple[Bucket, ...]
    moving: tuple[int, ...] = ()


class Asked(Struct, frozen=True, tag=True):
    """A hearer's question to a speaker: say the heads of ``places``, tally ``shards`` soon, publish ``lacking`` again.

    ``heard`` is how far the hearer is in the places that it asks for: the speaker sees whether anybody is ahead of it.
    ``states`` are keys of the compacted ``topic`` whose latest states are to be published again. ``held``: at the
    instant ``at`` by the hearer's database these versions were parked or dead there, beyond what was heard; were they
    ever said?
    """

    hearer: Service
    source: Service
    places: tuple[Place, ...] = ()
    heard: tuple[Head, ...] = ()
    lacking: tuple[Lack, ...] = ()
    shards: tuple[int, ...] = ()
    topic: str | None = None
    states: tuple[str, ...] = ()
    held: tuple[Head, ...] = ()
    at: datetime | None = None


class NeverSaid(Struct, frozen=True, tag=True):
    """A speaker's answer to one hearer: of these subjects no more than this was ever said.

    ``at`` is the question's: whatever was beyond that at the hearer then, this speaker did not say.
    """

    source: Service
    hearer: Service
    heads: tuple[Head, ...]
    at: datetime


Message: TypeAlias = Said | Tallied | Asked | NeverSaid

_write: Final = msgspec.json.Encoder().encode
_read: Final = msgspec.json.Decoder(Said | Tallied | Asked | NeverSaid).decode


class UnreadableError(ValueError):
    """A record on the topic of control that is none of the four."""


def record_of(message: Message, said: datetime) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
    """Key, value and headers of a message, said at an instant."""
    speaker = message.hearer if isinstance(message, Asked) else message.source
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(uuid_utils.uuid7()).encode()),
        ("ce_source", f"/{speaker.value}".encode()),
        ("ce_type", f"{_PREFIX}{type(message).__name__}".encode()),
        ("ce_time", said.isoformat().encode()),
        ("content-type", b"application/json"),
    ]
    return speaker.value.encode(), _write(message), headers


def message_of(body: bytes | None) -> Message:
    """What a record's value says. UnreadableError for anything else: a newer release's message, or nobody's."""
    try:
        message: Message = _read(body or b"")
    except msgspec.MsgspecError as error:
        raise UnreadableError(type(error).__name__) from None
    if not _is_sound(message):
        raise UnreadableError("out of range")
    return message


def _is_sound(message: Message) -> bool:
    """Whether everything is in the range that a database takes."""
    if isinstance(message, Said):
        return all(_is_head(one) for one in message.heads) and _is_text(message.topic or "")
    if isinstance(message, Tallied):
        buckets = all(one.number >= 0 and bool(_SPELLING.fullmatch(one.digest)) for one in message.buckets)
        return (
            buckets
            and all(number >= 0 for number in message.moving)
            and _is_text(message.low)
            and _is_text(message.high or "")
        )
    if isinstance(message, NeverSaid):
        return all(_is_head(one) for one in message.heads) and _is_instant(message.at)
    return (
        all(_is_text(one.low) and _is_text(one.high or "") and one.number >= 0 for one in message.places)
        and all(_is_head(one) for one in (*message.heard, *message.held))
        and _is_instant(message.at)
        and _is_text(message.topic or "")
        and all(_is_head((one, 0)) for one in message.states)
        and all(_is_head((one.subject, one.first)) and _is_head((one.subject, one.last)) for one in message.lacking)
    )


def _is_head(head: Head) -> bool:
    return bool(head[0]) and _is_text(head[0]) and 0 <= head[1] < 2**31


def _is_instant(at: datetime | None) -> bool:
    return at is None or at.tzinfo is not None


def _is_text(text: str) -> bool:
    return len(text) <= _LONGEST and "\x00" not in text
