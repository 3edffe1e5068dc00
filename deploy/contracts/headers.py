"""The headers of a record as a JSON Schema: CloudEvents 1.0 on Kafka, binary mode, with the extensions of the house."""

from __future__ import annotations

from typing import Any, Final

from shared.envelope import LATEST_VERSION, LONGEST_TEXT, TYPE_PREFIX
from shared.events import Event
from shared.topics import Service

_SOURCES: Final = [f"/{service.value}" for service in Service]
_TEXT: Final = {"type": "string", "minLength": 1, "maxLength": LONGEST_TEXT}
_INSTANT: Final = {"type": "string", "format": "date-time"}
_COUNT: Final = {"type": "string", "pattern": "^[1-9][0-9]{0,9}$"}
_TRACEPARENT: Final = {
    "type": "string",
    "description": "the trace in which it was said, W3C Trace Context",
    "pattern": "^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$",
}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "ce_specversion": {"type": "string", "description": "version of CloudEvents", "const": "1.0"},
    "ce_id": {"type": "string", "description": "a UUID; unique with the source", "format": "uuid"},
    "ce_source": {"type": "string", "description": "who says it", "enum": _SOURCES},
    "ce_type": {
        "type": "string",
        "description": f"`{TYPE_PREFIX}` and the name of the event",
        "pattern": r"^lienthong\.[A-Za-z][A-Za-z0-9]{0,79}$",
    },
    "ce_subject": {**_TEXT, "description": "the stream: a dossier, unit, calendar or procedure; also the record's key"},
    "ce_time": {**_INSTANT, "description": "when it happened, the business time"},
    "ce_streamversion": {
        **_COUNT,
        "description": f"counts 1, 2, 3, … per source and subject, without gaps, up to {LATEST_VERSION}",
    },
    "ce_recordedtime": {**_INSTANT, "description": "when the speaker's database had it"},
    "content-type": {"type": "string", "description": "of the value", "const": "application/json"},
    "ce_causesource": {
        "type": "string",
        "description": "who said the event of the same subject because of which this one was said",
        "enum": _SOURCES,
    },
    "ce_causeversion": {**_COUNT, "description": "and that event's version; apply it first, if you hear that source"},
    "ce_origin": {**_TEXT, "description": "marks replayed history, and from where"},
    "ce_actor": {**_TEXT, "description": "who did it: a pseudonymous id, never a name"},
    "traceparent": _TRACEPARENT,
}

OPTIONAL: Final = frozenset(
    {"content-type", "ce_causesource", "ce_causeversion", "ce_origin", "ce_actor", "traceparent"}
)
"""What a hearer does not insist on; a speaker always writes the content type."""

CLOUD_EVENTS: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Headers of an event",
    "description": "CloudEvents 1.0.2, Kafka protocol binding 3.2, binary mode. Values are UTF-8 text.",
    "required": [name for name in HEADERS if name not in OPTIONAL],
    "properties": HEADERS,
    "dependencies": {"ce_causesource": ["ce_causeversion"], "ce_causeversion": ["ce_causesource"]},
}

CONTACT_HEADERS: Final[dict[str, Any]] = {
    "type": "object",
    "title": "Headers of a contact",
    "description": "A contact is a state, not an event: its version decides, and nothing else is needed.",
    "required": ["ce_streamversion"],
    "properties": {
        "ce_streamversion": {**_COUNT, "description": "the highest version of a key wins; gaps are normal"},
        "traceparent": _TRACEPARENT,
    },
}


def headers_of_event(event: type[Event]) -> dict[str, Any]:
    """What `CLOUD_EVENTS` says, narrowed to one event."""
    return {
        "allOf": [{"$ref": "#/components/schemas/CloudEventsHeaders"}],
        "type": "object",
        "properties": {
            "ce_source": {"type": "string", "const": f"/{event.said_by.value}"},
            "ce_type": {"type": "string", "const": f"{TYPE_PREFIX}{event.__name__}"},
        },
    }
