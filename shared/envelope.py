"""CloudEvents 1.0 on Kafka, binary mode: what surrounds an event, written by the relay and read by the hearers.

Attributes ride as headers ``ce_*`` (CloudEvents Kafka binding 1.0.2, section 3.2), the event itself is the record's
value as JSON, never empty. Extensions: ``streamversion`` counts 1..n per (source, subject); ``recordedtime`` is when
the speaker's database had it; ``causesource`` and ``causeversion`` name the event of the same subject that this one was
said because of; ``origin`` marks replayed history; ``actor`` is the pseudonymous id of who did it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pydantic import ValidationError

from shared import events
from shared.events import Event, Service

TYPE_PREFIX: Final = "lienthong."
LARGEST_BODY: Final = 1_000_000

_KNOWN: Final = {f"{TYPE_PREFIX}{name}": cls for name, cls in events.every_event().items()}
_SOURCES: Final = {f"/{service.value}": service for service in Service}
_TOPICS: Final = {service: topic.name for service, topic in events.TOPIC_OF.items()}


@dataclass(frozen=True, slots=True)
class Record:
    """A Kafka record as it came, or as it lay parked."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    headers: tuple[tuple[str, bytes], ...]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Cause:
    """An event of the same subject that another was said because of."""

    source: Service
    version: int


@dataclass(frozen=True, slots=True)
class Envelope:
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


@dataclass(frozen=True, slots=True)
class Heard(Envelope):
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
        ("ce_source", f"/{envelope.source.value}".encode()),
        ("ce_type", f"{TYPE_PREFIX}{envelope.type}".encode()),
        ("ce_subject", envelope.subject.encode()),
        ("ce_time", envelope.time.isoformat().encode()),
        ("ce_streamversion", str(envelope.version).encode()),
        ("ce_recordedtime", envelope.recorded.isoformat().encode()),
        ("content-type", b"application/json"),
    ]
    if envelope.cause is not None:
        headers.append(("ce_causesource", f"/{envelope.cause.source.value}".encode()))
        headers.append(("ce_causeversion", str(envelope.cause.version).encode()))
    if envelope.origin is not None:
        headers.append(("ce_origin", envelope.origin.encode()))
    if envelope.actor is not None:
        headers.append(("ce_actor", envelope.actor.encode()))
    if envelope.traceparent is not None:
        headers.append(("traceparent", envelope.traceparent.encode()))
    return headers


def decode(record: Record) -> Heard | UnknownWord | Malformed | Unreadable:
    """What a record says. Reasons name places and kinds, never a value: a body may hold what must not be logged."""
    if not record.body:
        return Unreadable("empty body")
    if len(record.body) > LARGEST_BODY:
        return Unreadable("oversized body")
    envelope = _envelope(record)
    if isinstance(envelope, Unreadable):
        return envelope
    cls = _KNOWN.get(f"{TYPE_PREFIX}{envelope.type}")
    if cls is None:
        return UnknownWord(envelope, f"type {envelope.type[:60]}")
    if _says_nul(record.body):
        return Malformed(envelope, "text with U+0000")
    try:
        event = cls.model_validate_json(record.body)
    except ValidationError as error:
        return _refused(envelope, error)
    return _heard(envelope, event)


def _heard(envelope: Envelope, event: Event) -> Heard:
    return Heard(
        envelope.id,
        envelope.source,
        envelope.subject,
        envelope.version,
        envelope.type,
        envelope.time,
        envelope.recorded,
        envelope.cause,
        envelope.origin,
        envelope.actor,
        envelope.traceparent,
        event,
    )


def _refused(envelope: Envelope, error: ValidationError) -> UnknownWord | Malformed:
    errors = error.errors(include_url=False, include_context=False, include_input=False)
    first = errors[0]
    where = str(first["loc"][0])[:60] if first["loc"] else "body"
    if all(one["type"] in {"enum", "literal_error"} for one in errors):
        return UnknownWord(envelope, f"value of {where}")
    return Malformed(envelope, f"{where}: {first['type']}")


def _envelope(record: Record) -> Envelope | Unreadable:
    headers = dict(record.headers)
    try:
        if headers["ce_specversion"] != b"1.0":
            return Unreadable("ce_specversion is not 1.0")
        source = _SOURCES[headers["ce_source"].decode("ascii")]
        subject = headers["ce_subject"].decode()
        kind = headers["ce_type"].decode("ascii")
        version = int(headers["ce_streamversion"])
        time = datetime.fromisoformat(headers["ce_time"].decode("ascii"))
        recorded = datetime.fromisoformat(headers["ce_recordedtime"].decode("ascii"))
        ident = headers["ce_id"].decode("ascii")
        cause = _cause(headers)
    except KeyError as error:
        name = str(error.args[0])
        return Unreadable(f"missing header {name}" if name.startswith("ce_") else "unknown source")
    except (ValueError, UnicodeDecodeError):
        return Unreadable("a header that cannot be read")
    if _TOPICS.get(source) != record.topic:
        return Unreadable("source does not speak on this topic")
    if not kind.startswith(TYPE_PREFIX) or not _plain(kind) or not _plain(subject) or not _is_id(ident):
        return Unreadable("a header that cannot be read")
    if record.key != headers["ce_subject"]:
        return Unreadable("key is not the subject")
    if version < 1 or version > 2**31 - 1 or time.tzinfo is None or recorded.tzinfo is None:
        return Unreadable("a header out of range")
    origin, actor, traceparent = headers.get("ce_origin"), headers.get("ce_actor"), headers.get("traceparent")
    return Envelope(
        ident,
        source,
        subject,
        version,
        kind[len(TYPE_PREFIX) :],
        time,
        recorded,
        cause,
        origin.decode("utf-8", "replace") if origin else None,
        actor.decode("utf-8", "replace") if actor else None,
        traceparent.decode("ascii", "replace") if traceparent else None,
    )


def _cause(headers: dict[str, bytes]) -> Cause | None:
    source = headers.get("ce_causesource")
    if source is None:
        return None
    return Cause(_SOURCES[source.decode("ascii")], int(headers["ce_causeversion"]))


def _plain(text: str) -> bool:
    return 0 < len(text) <= 200 and text.isprintable()


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.replace("-", "").isalnum() and text.isascii() and _is_hex(text)


def _is_hex(text: str) -> bool:
    try:
        int(text.replace("-", ""), 16)
    except ValueError:
        return False
    return True


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


def stored_headers(headers: Sequence[tuple[str, bytes]]) -> str:
    """Headers as JSON text for a row (latin-1 keeps every byte)."""
    return json.dumps([[name, value.decode("latin-1")] for name, value in headers])


def restored_headers(text: str) -> tuple[tuple[str, bytes], ...]:
    """The reverse of `stored_headers`."""
    return tuple((name, value.encode("latin-1")) for name, value in json.loads(text))
