"""A record to show for every event: the whole of what it can carry, and the least that it must."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from deploy.contracts.schemas import schema_of
from deploy.contracts.speech import events_said_by, speech_of
from deploy.contracts.words import A_DOSSIER, BEGINNINGS, SUBJECTS, WORDS, Word
from shared.envelope import Cause, Envelope, body_of, headers_of
from shared.events import ContactGiven, Event
from shared.topics import CONTACT, TOPIC_OF, Service

_BEGAN: Final = datetime.fromisoformat("2019-05-06T01:15:00+00:00")
_RECORDED_AFTER: Final = timedelta(milliseconds=40)
_PLAIN: Final = {
    "boolean": True,
    "integer": 1,
    "number": 1.5,
    "string": "text",
    "date": "2019-05-06",
    "date-time": "2019-05-06T01:15:00Z",
}
_SPAN: Final = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@dataclass(frozen=True, slots=True)
class Example:
    """A record as it lies on the topic, its bytes as text."""

    topic: str
    key: str
    headers: Mapping[str, str]
    body: str


def word_of(message: type[BaseModel], name: str) -> Word | None:
    """What `words` says of a field, or else the field itself; None where neither says enough."""
    found = WORDS.get(f"{message.__name__}.{name}") or WORDS.get(name)
    field = message.model_fields[name]
    if found is None and field.description and field.examples:
        return Word(field.description, field.examples[0])
    return found


def example_of(event: type[Event], *, whole: bool = True) -> Example:
    """A record of an event; ``whole`` with every field and every header that it may have, else without any of them."""
    envelope = _envelope(event, whole=whole)
    headers = {name: value.decode() for name, value in headers_of(envelope)}
    body = body_of(event.model_validate(_fields(event, whole=whole)))
    return Example(TOPIC_OF[event.said_by].name, envelope.subject, headers, body)


def contact_example() -> Example:
    """A record of the contact topic."""
    given = ContactGiven.model_validate(_fields(ContactGiven, whole=True))
    headers = {"ce_streamversion": str(given.version), "traceparent": _SPAN}
    return Example(CONTACT.name, A_DOSSIER, headers, given.model_dump_json())


def _fields(message: type[BaseModel], *, whole: bool) -> dict[str, Any]:
    return {
        name: _value(message, name, field)
        for name, field in message.model_fields.items()
        if whole or field.is_required()
    }


def _value(message: type[BaseModel], name: str, field: FieldInfo) -> Any:
    word = word_of(message, name)
    if word is not None:
        return word.example
    schema = schema_of(message)
    default = None if field.is_required() else field.get_default(call_default_factory=True)
    return next(one for one in _candidates(schema["properties"][name], schema.get("$defs", {})) if one != default)


def _candidates(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Iterator[Any]:
    """Values of a type, for a field that nobody has given a word yet: something valid, if dull."""
    if "$ref" in schema:
        schema = known[schema["$ref"].rsplit("/", 1)[1]]
    if "anyOf" in schema:
        for each in schema["anyOf"]:
            yield from _candidates(each, known)
    elif "const" in schema:
        yield schema["const"]
    elif "enum" in schema:
        yield from schema["enum"]
    elif schema.get("type") == "array":
        yield [next(_candidates(schema["items"], known))] * max(1, schema.get("minItems", 1))
    elif schema.get("type") == "object" and "properties" in schema:
        needed = schema.get("required", ())
        yield {name: next(_candidates(schema["properties"][name], known)) for name in needed}
    elif schema.get("type") == "object":
        inner = schema.get("additionalProperties")
        yield {"key": next(_candidates(inner, known)) if isinstance(inner, Mapping) else "text"}
    elif schema.get("type") == "integer":
        least = int(schema.get("minimum", 1))
        yield from (max(1, least), max(1, least) + 1)
    elif schema.get("type") == "boolean":
        yield from (True, False)
    elif schema.get("type") == "string" and "minLength" in schema:
        yield "text".ljust(schema["minLength"], "x")
    elif schema.get("type") != "null":
        yield _PLAIN.get(schema.get("format", ""), _PLAIN.get(schema.get("type", "string"), "text"))


def _envelope(event: type[Event], *, whole: bool) -> Envelope:
    subject = SUBJECTS.get(event.__name__, A_DOSSIER)
    version = 1 if event.__name__ in BEGINNINGS else 4
    time = _BEGAN + timedelta(days=version - 1)
    upstream = _upstream(event)
    told = whole and subject == A_DOSSIER
    return Envelope(
        id=_id(event, time),
        source=event.said_by,
        subject=subject,
        version=version,
        type=event.__name__,
        time=time,
        recorded=time + _RECORDED_AFTER,
        cause=Cause(upstream, 1) if told and upstream else None,
        origin="replay.receipt-log" if whole and "attributes" in event.model_fields else None,
        actor="mau-can-bo-0101" if whole else None,
        traceparent=_SPAN if whole else None,
    )


def _upstream(event: type[Event]) -> Service | None:
    """The service up the river that the speaker hears, because of whom it may have spoken."""
    speaker = event.said_by
    heard = {one.said_by for service in Service for one in events_said_by(service) if speaker in speech_of(one).hearers}
    order = list(Service)
    return next((service for service in order[: order.index(speaker)] if service in heard), None)


def _id(event: type[Event], time: datetime) -> str:
    """A UUIDv7 that is the same at every run: its time, and a hash in place of chance."""
    chance = int.from_bytes(hashlib.sha256(event.__name__.encode()).digest()[:10])
    high = int(time.timestamp() * 1000) << 16 | 7 << 12 | (chance & 0xFFF)
    low = 0b10 << 62 | (chance >> 12) & (2**62 - 1)
    return str(UUID(int=high << 64 | low))
