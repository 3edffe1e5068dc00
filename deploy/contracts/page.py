"""`docs/contracts/events.md`: every event for people who read, with an example."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import BaseModel

from deploy.contracts.asyncapi import meaning_of
from deploy.contracts.examples import Example, contact_example, example_of
from deploy.contracts.headers import CONTACT_HEADERS, HEADERS, OPTIONAL
from deploy.contracts.schemas import schema_of
from deploy.contracts.speech import events_said_by, speech_of
from shared.events import ContactGiven, Event, every_event
from shared.topics import CONTACT, TOPIC_OF, Service
from shared.version import release

_HEAD: Final = """\
<!-- Written by `lienthong contracts` from shared/events.py. Change that file, not this one. -->
# Events

Every event of version {release}, in the river's order of those who say them, each with the whole of what it can carry.
The same for machines: [asyncapi.json](asyncapi.json). What may be relied on: [Delivery guarantees](../delivery.md).

A field in **bold** is always there; any other may be absent, and then means its default. A field that you do not know
is to be passed over: only optional ones are ever added. A value of a list that you do not know is no error, it comes
from a newer release.
"""

_ENVELOPE: Final = """\
## What surrounds every event

CloudEvents 1.0 on Kafka, binary mode: the attributes are headers of the record, the event is its value, JSON in UTF-8.
The key is the subject. A header in **bold** is always there.
"""

_FORMATS: Final = {"date": "date", "date-time": "instant with its offset (RFC 3339)", "time": "time of day"}

_CONTACT: Final = """\
## Contacts

How a citizen can be reached travels sealed, on the compacted topic `{topic}`: not an event of a stream but a state,
where the highest version of a key wins and gaps are normal. A record without a value, a *tombstone*, erases.
"""


def events_page() -> str:
    """The page as Markdown, the same at every run of a release."""
    parts = [_HEAD.format(release=release())]
    for service in Service:
        events = events_said_by(service)
        if events:
            topic = TOPIC_OF[service].name
            count = f"{len(events)} events" if len(events) > 1 else "one event"
            parts.append(f"## {service.value.capitalize()} says\n\n{count} on the topic `{topic}`.\n")
            parts.extend(_section(event, example_of(event)) for event in events)
        elif service is Service.REPORTING:
            parts.append("## Reporting says\n\nNothing: the river ends there.\n")
    parts.append(_CONTACT.format(topic=CONTACT.name))
    parts.append(_section(ContactGiven, contact_example()))
    parts.append(_header_table(CONTACT_HEADERS["properties"], frozenset({"traceparent"})))
    parts.append(_ENVELOPE)
    parts.append(_header_table(HEADERS, OPTIONAL))
    parts.append("## Types that events share\n")
    parts.extend(_types())
    return "\n".join(parts)


def _section(message: type[BaseModel], example: Example) -> str:
    speech = speech_of(message)
    kind = "an event" if issubclass(message, Event) else "a state"
    lines = [
        f"### {message.__name__}",
        "",
        speech.fact,
        "",
        f"Said by **{speech.speaker.value}** · heard by {_listed([one.value for one in speech.hearers])}",
        "",
        *_fields(message),
        f"One record, as {kind} lies on the topic:",
        "",
        "```http",
        *(f"{name}: {value}" for name, value in example.headers.items()),
        "",
        *json.dumps(json.loads(example.body), indent=2, ensure_ascii=False).splitlines(),
        "```",
        "",
    ]
    return "\n".join(lines)


def _fields(message: type[BaseModel]) -> Iterator[str]:
    schema = schema_of(message)
    if not schema.get("properties"):
        yield from ("It carries no field; the headers say it all.", "")
        return
    yield from ("| field | type | meaning |", "|---|---|---|")
    for name, property_ in schema["properties"].items():
        shown = f"**`{name}`**" if name in schema.get("required", ()) else f"`{name}`"
        default = property_.get("default")
        absent = "" if default in (None, [], {}) else f"; absent: `{json.dumps(default)}`"
        kind = _type(property_, schema.get("$defs", {}))
        yield f"| {shown} | {kind} | {_cell(meaning_of(message, name) + absent)} |"
    yield ""


def _header_table(headers: Mapping[str, Mapping[str, Any]], optional: frozenset[str]) -> str:
    lines = ["| header | meaning |", "|---|---|"]
    for name, schema in headers.items():
        shown = f"`{name}`" if name in optional else f"**`{name}`**"
        lines.append(f"| {shown} | {_cell(schema['description'])} |")
    return "\n".join([*lines, ""])


def _type(schema: Mapping[str, Any], known: Mapping[str, Any]) -> str:
    """A type in a few words: ``integer, from 1``; ``one of desk, online, post``."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[1]
        inner = known[name]
        return f"[{name}](#{name.lower()})" if "properties" in inner else _type(inner, known)
    if "anyOf" in schema:
        return " or ".join(_type(one, known) for one in schema["anyOf"] if one.get("type") != "null")
    if "enum" in schema:
        return "one of " + ", ".join(f"`{value}`" for value in schema["enum"])
    if "const" in schema:
        return f"`{schema['const']}`"
    match schema.get("type"):
        case "array":
            return f"list of {_type(schema['items'], known)}"
        case "object" if isinstance(schema.get("additionalProperties"), Mapping):
            keys = schema.get("propertyNames", {})
            return (
                f"{_type(keys, known) if '$ref' in keys else 'name'} → {_type(schema['additionalProperties'], known)}"
            )
        case "string" if schema.get("format") in _FORMATS:
            return _FORMATS[schema["format"]]
        case str(plain):
            return plain + _limits(schema)
        case _:
            return "any JSON"


def _types() -> Iterator[str]:
    """The objects that events share, each with its fields."""
    shared: dict[str, Any] = {}
    for event in every_event().values():
        shared |= schema_of(event).get("$defs", {})
    for name, schema in shared.items():
        if "properties" in schema:
            lines = [f"### {name}", "", schema.get("description", ""), "", "| field | type |", "|---|---|"]
            for field, property_ in schema["properties"].items():
                shown = f"**`{field}`**" if field in schema.get("required", ()) else f"`{field}`"
                lines.append(f"| {shown} | {_type(property_, shared)} |")
            yield "\n".join([*lines, ""])


def _limits(schema: Mapping[str, Any]) -> str:
    said = []
    if "minimum" in schema:
        said.append(f"from {schema['minimum']}")
    if "maxLength" in schema:
        least, most = schema.get("minLength", 0), schema["maxLength"]
        said.append(f"{most} characters" if least == most else f"up to {most} characters")
    return f" ({', '.join(said)})" if said else ""


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def _cell(text: str) -> str:
    return text.replace("|", r"\|")
