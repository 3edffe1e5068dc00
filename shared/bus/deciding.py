"""Deciding event by event, in memory: what is heard is a table of pure functions on a state."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeAlias, TypeVar

from msgspec import Struct

from shared.envelope import Cause, Heard
from shared.events import Event
from shared.journal import Saying

S = TypeVar("S")
K = TypeVar("K")


class Say(Struct, frozen=True):
    """An event that a decision wants announced; ``time`` None means the time of what was heard."""

    event: Event
    time: datetime | None = None


class Decided(Struct, Generic[S], frozen=True):
    """The new state, and what is to be announced."""

    state: S
    say: tuple[Say, ...] = ()


@dataclass(frozen=True, slots=True)
class Unchanged:
    """The event changes nothing here."""


@dataclass(frozen=True, slots=True)
class WaitsFor:
    """The event cannot be decided before something is known here, named as a subject (``procedure:1.001193``)."""

    what: str


Decision: TypeAlias = Decided[S] | Unchanged | WaitsFor

# What is known besides the subject's own state (units, calendars, ...) is the third argument.
Hears: TypeAlias = Mapping[type[Event], Callable[[S | None, Heard, K], "Decision[S]"]]


@dataclass(frozen=True, slots=True)
class Waiting:
    """An event that a hearer could not take yet, and what will wake it (None: the one before it in its stream)."""

    heard: Heard
    waits_for: str | None


@dataclass(slots=True)
class Outcome(Generic[S]):
    """What a batch came to: states that changed, what to announce, what waits."""

    changed: dict[str, S] = field(default_factory=dict)
    sayings: list[Saying] = field(default_factory=list)
    waiting: list[Waiting] = field(default_factory=list)


def decide_all(states: Mapping[str, S], events: Sequence[Heard], hears: Hears[S, K], known: K) -> Outcome[S]:
    """Decide events in the order given. An event behind one that waits (in its stream or as its effect) waits too."""
    outcome: Outcome[S] = Outcome()
    blocked: dict[tuple[str, str], int] = {}
    for heard in events:
        if blocked and _is_behind(heard, blocked):
            blocked.setdefault((heard.subject, heard.source), heard.version)
            outcome.waiting.append(Waiting(heard, None))
            continue
        state = outcome.changed.get(heard.subject)
        if state is None:
            state = states.get(heard.subject)
        decision = hears[type(heard.event)](state, heard, known)
        if isinstance(decision, Decided):
            outcome.changed[heard.subject] = decision.state
            outcome.sayings.extend(_sayings(heard, decision.say))
        elif isinstance(decision, WaitsFor):
            blocked[heard.subject, heard.source] = heard.version
            outcome.waiting.append(Waiting(heard, decision.what))
    return outcome


def _sayings(heard: Heard, say: Sequence[Say]) -> list[Saying]:
    """What is said because of an event: in its name, and in its trace."""
    if not say:
        return []
    because = Cause(heard.source, heard.version)
    subject, origin, actor, trace = heard.subject, heard.origin, heard.actor, heard.traceparent
    return [Saying(subject, one.event, one.time or heard.time, because, origin, actor, trace) for one in say]


def _is_behind(heard: Heard, blocked: Mapping[tuple[str, str], int]) -> bool:
    if (heard.subject, heard.source) in blocked:
        return True
    cause = heard.cause
    if cause is None:
        return False
    held = blocked.get((heard.subject, cause.source))
    return held is not None and cause.version >= held
