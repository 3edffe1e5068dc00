"""Who says an event, and who hears it: read from the last sentence of its docstring."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pydantic import BaseModel

from shared.events import ContactGiven, Event, every_event
from shared.topics import CONTACT, TOPIC_OF, Service, Topic

_SAYS: Final = re.compile(r"\s*([A-Z][a-z]+) says it; ([^;.]+?) hears? it\.")
_AND: Final = re.compile(r", | and ")


@dataclass(frozen=True, slots=True)
class Speech:
    """``fact`` is the docstring without its last sentence, ``hearers`` are in the river's order."""

    fact: str
    speaker: Service
    hearers: tuple[Service, ...]


def speech_of(message: type[BaseModel]) -> Speech:
    """What the first line of an event's docstring says. ValueError, naming the event, when it says it otherwise."""
    line = (message.__doc__ or "").strip().split("\n", 1)[0]
    said = _SAYS.search(line)
    if said is None:
        raise ValueError(f"{message.__name__}: the first line ends '… Intake says it; routing and reporting hear it.'")
    try:
        speaker = Service(said[1].lower())
        named = set(Service) - {speaker} if said[2] == "the other three" else set(map(Service, _AND.split(said[2])))
    except ValueError as error:
        raise ValueError(f"{message.__name__}: {error}") from None
    return Speech(line[: said.start()], speaker, tuple(service for service in Service if service in named))


def events_said_by(service: Service) -> tuple[type[Event], ...]:
    """A speaker's events, in the order of `shared.events`."""
    return tuple(event for event in every_event().values() if event.said_by is service)


def topics_of(service: Service) -> tuple[Topic, ...]:
    """The topics on which a service speaks."""
    own = (TOPIC_OF[service],) if service in TOPIC_OF else ()
    return (*own, CONTACT) if speech_of(ContactGiven).speaker is service else own
