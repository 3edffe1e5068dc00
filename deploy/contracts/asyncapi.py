"""The AsyncAPI 3 document: servers, topics as channels, who sends and who receives, messages with examples."""

from __future__ import annotations

import json
from typing import Any, Final

from pydantic import BaseModel

from deploy.contracts.examples import Example, contact_example, example_of, word_of
from deploy.contracts.headers import CLOUD_EVENTS, CONTACT_HEADERS, headers_of_event
from deploy.contracts.schemas import shared_schemas
from deploy.contracts.speech import Speech, events_said_by, speech_of, topics_of
from shared.envelope import TYPE_PREFIX
from shared.events import ContactGiven, Event, every_event
from shared.topics import CONTACT, TOPIC_OF, Service, Topic, settings_of
from shared.version import release

_BINDING: Final = "0.5.0"
_ERASED: Final = "ContactErased"
_LICENCE: Final = {"name": "EUPL-1.2", "url": "https://joinup.ec.europa.eu/collection/eupl/eupl-text-eupl-12"}
_ABOUT: Final = (
    "What the four services of Lienthong (intake, routing, notification, reporting) say to one another over Kafka, and "
    "what anybody else may hear. Only the service that owns a topic writes to it. Order holds for one subject of one "
    "source: its `ce_streamversion` counts 1, 2, 3, …; records may come twice, so keep the last version heard of each "
    "subject and drop what is not newer. Only optional fields are ever added; a break is a new type with the suffix "
    "V2. No event carries personal data."
)


def document() -> dict[str, Any]:
    """The whole document, the same at every run of a release."""
    speakers = [service for service in Service if topics_of(service)]
    topics = [topic for service in speakers for topic in topics_of(service)]
    return {
        "asyncapi": "3.1.0",
        "info": {"title": "Lienthong", "version": release(), "description": _ABOUT, "license": _LICENCE},
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "{broker}",
                "protocol": "kafka",
                "description": "The town's own Kafka. It has no address outside the town's network.",
                "variables": {
                    "broker": {
                        "default": "127.0.0.1:8087",
                        "description": "`make up` starts it seven ports above LIENTHONG_PORT",
                    }
                },
            }
        },
        "channels": {_name(topic): _channel(topic) for topic in topics},
        "operations": {**_sending(speakers), **_receiving()},
        "components": {"messages": _messages(), "schemas": _schemas()},
    }


def _name(topic: Topic) -> str:
    return "".join(part if not at else part.capitalize() for at, part in enumerate(topic.name.split(".")))


def _messages_on(topic: Topic) -> list[str]:
    if topic == CONTACT:
        return [ContactGiven.__name__, _ERASED]
    return [event.__name__ for event in every_event().values() if TOPIC_OF[event.said_by] == topic]


def _channel(topic: Topic) -> dict[str, Any]:
    kept = "The newest state of each key is kept." if topic.compacted else "Every record is kept."
    settings = settings_of(topic)
    return {
        "address": topic.name,
        "title": topic.name,
        "description": f"{topic.partitions} partitions; the partition is crc32(key) mod {topic.partitions}. {kept}",
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in _messages_on(topic)},
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": topic.partitions,
                "topicConfiguration": {
                    "cleanup.policy": [settings["cleanup.policy"]],
                    "retention.ms": int(settings["retention.ms"]),
                    "retention.bytes": int(settings["retention.bytes"]),
                },
                "bindingVersion": _BINDING,
            }
        },
    }


def _sending(speakers: list[Service]) -> dict[str, Any]:
    return {
        f"{service.value}Says{_name(topic).removeprefix(service.value)}": {
            "action": "send",
            "title": f"{service.value} says",
            "summary": f"{service.value.capitalize()} alone writes to {topic.name}.",
            "channel": {"$ref": f"#/channels/{_name(topic)}"},
            "messages": _references(topic, _messages_on(topic)),
            "tags": [{"name": service.value}],
        }
        for service in speakers
        for topic in topics_of(service)
    }


def _receiving() -> dict[str, Any]:
    found = {}
    for hearer in Service:
        for speaker in Service:
            heard = [event.__name__ for event in events_said_by(speaker) if hearer in speech_of(event).hearers]
            if heard:
                name = f"{hearer.value}Hears{speaker.value.capitalize()}"
                found[name] = _hearing(hearer, TOPIC_OF[speaker], heard)
        if hearer in speech_of(ContactGiven).hearers:
            found[f"{hearer.value}HearsContacts"] = _hearing(hearer, CONTACT, _messages_on(CONTACT))
    return found


def _hearing(hearer: Service, topic: Topic, messages: list[str]) -> dict[str, Any]:
    return {
        "action": "receive",
        "title": f"{hearer.value} hears",
        "summary": f"{hearer.value.capitalize()} acts on these of {topic.name}, and passes the others over.",
        "channel": {"$ref": f"#/channels/{_name(topic)}"},
        "messages": _references(topic, messages),
        "tags": [{"name": hearer.value}],
        "bindings": {
            "kafka": {"groupId": {"type": "string", "const": hearer.value}, "bindingVersion": _BINDING},
        },
    }


def _references(topic: Topic, messages: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/{_name(topic)}/messages/{name}"} for name in messages]


def _messages() -> dict[str, Any]:
    messages = {name: _event(event) for name, event in every_event().items()}
    given = contact_example()
    headers = {"$ref": "#/components/schemas/ContactHeaders"}
    speech = speech_of(ContactGiven)
    messages[ContactGiven.__name__] = {
        **_message(ContactGiven.__name__, speech, headers, [_shown("A contact", given)]),
        "payload": {"$ref": f"#/components/schemas/{ContactGiven.__name__}"},
    }
    messages[_ERASED] = {
        **_message(_ERASED, Speech("A contact was erased: a record without a value.", speech.speaker, ()), headers, []),
        "payload": {"type": "null"},
        "examples": [{"name": "tombstone", "headers": {"ce_streamversion": "2"}, "payload": None}],
    }
    return messages


def _event(event: type[Event]) -> dict[str, Any]:
    shown = [_shown("everything it can carry", example_of(event))]
    least = example_of(event, whole=False)
    if least.body != example_of(event).body:
        shown.append(_shown("the least that it carries", least))
    return {
        **_message(f"{TYPE_PREFIX}{event.__name__}", speech_of(event), headers_of_event(event), shown),
        "payload": {"$ref": f"#/components/schemas/{event.__name__}"},
    }


def _message(name: str, speech: Speech, headers: dict[str, Any], examples: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "name": name,
        "title": name.removeprefix(TYPE_PREFIX),
        "summary": speech.fact,
        "contentType": "application/json",
        "headers": headers,
        "tags": [{"name": speech.speaker.value}],
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": "the subject, as in ce_subject"},
                "bindingVersion": _BINDING,
            }
        },
        **({"examples": examples} if examples else {}),
    }


def _shown(name: str, example: Example) -> dict[str, Any]:
    return {"name": name, "headers": dict(example.headers), "payload": json.loads(example.body)}


def _schemas() -> dict[str, Any]:
    events: list[type[BaseModel]] = [*every_event().values(), ContactGiven]
    schemas = shared_schemas(events)
    for message in events:
        for name, property_ in schemas[message.__name__].get("properties", {}).items():
            property_["description"] = meaning_of(message, name)
    return {"CloudEventsHeaders": CLOUD_EVENTS, "ContactHeaders": CONTACT_HEADERS, **schemas}


def meaning_of(message: type[BaseModel], name: str) -> str:
    """What a field means, its unit, and what the field itself says besides; empty where nobody has said anything."""
    word, own = word_of(message, name), message.model_fields[name].description
    said = [] if word is None else [f"{word.meaning} ({word.unit})" if word.unit else word.meaning]
    return "; ".join([*said, *([own] if own and own not in said else [])])
