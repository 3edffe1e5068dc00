"""CloudEvents 1.0 on Kafka, binary mode: what surrounds an event, written by the relay and read by the hearers.

Attributes ride as headers ``ce_*`` (CloudEvents Kafka binding 1.0.2, section 3.2), the event itself is the record's
value as JSON, never empty. Extensions: ``streamversion`` counts 1..n per (source, subject); ``recordedtime`` is when
the speaker's database had it; ``causesource`` and ``causeversion`` name the event of the same subject that this one was
said because of; ``origin`` marks replayed history; ``actor`` is the pseudonymous id of who did it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, TypeAlias

from msgspec import Struct
from pydantic import ValidationError

from shared import events
from shared.events import Event
from shared.topics import TOPIC_OF, Service

TYPE_PREFIX: Final = "lienthong."
LARGEST_BODY: Final = 1_000_000
LONGEST_TEXT: Final = 200
LATEST_VERSION: Final = 2**31 - 1

# The validator itself: a tenth of reading an event would be pydantic's way to it.
_READERS: Final[Mapping[str, Callable[[bytes], Event]]] = {
    name: cls.__pydantic_validator__.validate_json for name, cls in events.every_event().items()
}
_KNOWN: Final = {f"{TYPE_PREFIX}{name}".encode(): name for name in _READERS}
_SOURCES: Final = {f"/{service.value}".encode(): service for service in Service}
_SOURCE_OF: Final = {service: source for source, service in _SOURCES.items()}
_TOPICS: Final = {service: topic.name for service, topic in TOPIC_OF.items()}
_TYPE: Final = re.compile(rb"lienthong\.[A-Za-z][A-Za-z0-9]{0,79}")
_ID: Final = re.compile(rb"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
# Business times lie between the first entry that a stream can have (see the journal) and what every database can hold.
_FIRST_YEAR: Final = 1900
_LAST_YEAR: Final = 9998


# What is made for every record is a Struct: as frozen as a dataclass, and made ten times as fast (decision 0020).
class Record(Struct, frozen=True):
    """A Kafka record as it came, or as it lay parked. Kafka allows a header without a value.

    ``polled``: when it came, in nanoseconds since 1970; None for one that lay parked.
    """

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]
    body: bytes | None
    polled: int | None = None


class Cause(Struct, frozen=True):
    """An event of the same subject that another was said because of."""

    source: Service
    version: int


class Envelope(Struct, frozen=True):
    """Identity, order and the two times of an event. ``type`` is the class's name without prefix."""

    id: str
    source: Service
    subject: str
    version: int
    type: str
    time: datetime
    recorded: datetime
    cause: Cause | None
    origin: str | None
    actor: str | None
    traceparent: str | None


class Heard(Envelope, frozen=True):
    """An event with its envelope, as a hearer's rules see it."""

    event: Event


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Headers that do not say whose event this is: nothing can be held, the record goes to the dead letters."""

    reason: str


@dataclass(frozen=True, slots=True)
class Malformed:
    """Headers are fine, the body is not: a dead letter that holds its version."""

    envelope: Envelope
    reason: str


@dataclass(frozen=True, slots=True)
class UnknownWord:
    """A type or an enum value that this release does not know: a newer speaker was deployed first."""

    envelope: Envelope
    reason: str


def headers_of(envelope: Envelope) -> list[tuple[str, bytes]]:
    """The Kafka headers of an envelope, in CloudEvents' binary mode."""
    headers = [
        ("ce_specversion", b"1.0"),
        ("ce_id", envelope.id.encode()),
        ("ce_source", _SOURCE_OF[envelope.source]),
        ("ce_type", f"{TYPE_PREFIX}{envelope.type}".encode()),
        ("ce_subject", envelope.subject.encode()),
        ("ce_time", envelope.time.isoformat().encode()),
        ("ce_streamversion", str(envelope.version).encode()),
        ("ce_recordedtime", envelope.recorded.isoformat().encode()),
        ("content-type", b"application/json"),
    ]
    if envelope.cause is not None:
        headers.append(("ce_causesource", _SOURCE_OF[envelope.cause.source]))
        headers.append(("ce_causeversion", str(envelope.cause.version).encode()))
    if envelope.origin is not None:
        headers.append(("ce_origin", envelope.origin.encode()))
    if envelope.actor is not None:
        headers.append(("ce_actor", envelope.actor.encode()))
    if envelope.traceparent is not None:
        headers.append(("traceparent", envelope.traceparent.encode()))
    return headers


def body_of(event: Event) -> str:
    """The record's value: JSON without what equals its default, so a default may never change."""
    # The serializer itself: a fifth of writing an event would be pydantic's way to it.
    return event.__pydantic_serializer__.to_json(event, exclude_defaults=True).decode()


def decode(record: Record) -> Heard | UnknownWord | Malformed | Unreadable:
    """What a record says. Reasons name places and kinds, never a value: a body may hold what must not be logged."""
    body = record.body
    if not body:
        return Unreadable("empty body")
    if len(body) > LARGEST_BODY:
        return Unreadable("oversized body")
    attributes = _attributes(record)
    if isinstance(attributes, Unreadable):
        return attributes
    read = _READERS.get(attributes[4])
    if read is None:
        return UnknownWord(Envelope(*attributes), f"type {attributes[4]}")
    if _says_nul(body):
        return Malformed(Envelope(*attributes), "text with U+0000")
    try:
        return Heard(*attributes, read(body))
    except ValidationError as error:
        return _refused(Envelope(*attributes), error)


def _refused(envelope: Envelope, error: ValidationError) -> UnknownWord | Malformed:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = errors[0]
    where = str(first["loc"][0])[:60] if first["loc"] else "body"
    if all(one["type"] in {"enum", "literal_error"} for one in errors):
        return UnknownWord(envelope, f"value of {where}")
    return Malformed(envelope, f"{where}: {first['type']}")


# The fields of an envelope, in their order: the event joins them without a copy of an envelope in between.
_Attributes: TypeAlias = tuple[
    str, Service, str, int, str, datetime, datetime, Cause | None, str | None, str | None, str | None
]


def _attributes(record: Record) -> _Attributes | Unreadable:
    headers = {name: value for name, value in record.headers if value is not None}
    try:
        version, kind, source, key = (
            headers["ce_specversion"],
            headers["ce_type"],
            _SOURCES.get(headers["ce_source"]),
            headers["ce_subject"],
        )
        number, time, recorded, ident = (
            headers["ce_streamversion"],
            headers["ce_time"],
            headers["ce_recordedtime"],
            headers["ce_id"],
        )
    except KeyError:
        return Unreadable(f"missing header {next(name for name in _NEEDED if name not in headers)}")
    if version != b"1.0":
        return Unreadable("ce_specversion is not 1.0")
    if source is None:
        return Unreadable("unknown source")
    if _TOPICS.get(source) != record.topic:
        return Unreadable("source does not speak on this topic")
    if record.key != key:
        return Unreadable("key is not the subject")
    origin, actor = headers.get("ce_origin"), headers.get("ce_actor")
    try:
        attributes: _Attributes = (
            _ident(ident),
            source,
            _plain(key),
            int(number),
            _KNOWN.get(kind) or _type(kind),
            datetime.fromisoformat(time.decode("ascii")),
            datetime.fromisoformat(recorded.decode("ascii")),
            _cause(headers) if "ce_causesource" in headers else None,
            _plain(origin) if origin else None,
            _plain(actor) if actor else None,
            _traceparent(headers),
        )
    except ValueError:  # UnicodeDecodeError is one, too
        return Unreadable("a header that cannot be read")
    if not 1 <= attributes[3] <= LATEST_VERSION or not _is_usable(attributes[5]) or not _is_usable(attributes[6]):
        return Unreadable("a header out of range")
    return attributes


_NEEDED: Final = (
    "ce_specversion",
    "ce_source",
    "ce_subject",
    "ce_type",
    "ce_streamversion",
    "ce_time",
    "ce_recordedtime",
    "ce_id",
)


def _ident(value: bytes) -> str:
    if not _ID.fullmatch(value):
        raise ValueError("id")
    return value.decode("ascii").lower()


def _type(value: bytes) -> str:
    """The name in a type that this release does not know."""
    if not _TYPE.fullmatch(value):
        raise ValueError("type")
    return value.decode("ascii")[len(TYPE_PREFIX) :]


def _cause(headers: Mapping[str, bytes]) -> Cause:
    source = _SOURCES.get(headers["ce_causesource"])
    version = int(headers.get("ce_causeversion", b""))
    if source is None or not 1 <= version <= LATEST_VERSION:
        raise ValueError("cause")
    return Cause(source, version)


def _traceparent(headers: Mapping[str, bytes]) -> str | None:
    # A trace that cannot be read is no reason to refuse an event.
    value = headers.get("traceparent", b"")
    return value.decode("ascii") if _TRACEPARENT.fullmatch(value) else None


def _plain(value: bytes) -> str:
    text = value.decode("utf-8")
    if not 0 < len(text) <= LONGEST_TEXT or not text.isprintable():
        raise ValueError("not plain text")
    return text


def _is_usable(time: datetime) -> bool:
    return time.tzinfo is not None and _FIRST_YEAR <= time.year <= _LAST_YEAR


def _says_nul(body: bytes) -> bool:
    # PostgreSQL keeps no U+0000. The escape is rare, so its four bytes decide whether a second look is worth it.
    if b"\\u0000" not in body:
        return False
    try:
        return _holds_nul(json.loads(body))
    except (ValueError, RecursionError):
        return False  # not JSON at all: the validation says so


def _holds_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_holds_nul(key) or _holds_nul(item) for key, item in value.items())
    if isinstance(value, list):
        return any(_holds_nul(item) for item in value)
    return False


def stored_headers(headers: Sequence[tuple[str, bytes | None]]) -> str:
    """Headers as JSON text for a row (latin-1 keeps every byte, and JSON's escapes every character of a name)."""
    return json.dumps([[name, None if value is None else value.decode("latin-1")] for name, value in headers])


def restored_headers(text: str) -> tuple[tuple[str, bytes | None], ...]:
    """The reverse of `stored_headers`."""
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in json.loads(text))
