"""Spans as the receiver gives them, and what each waited for before its work began.

A wait is computed from neighbouring instants: between the end of a span and the begin of one that it caused from afar,
nobody works on the matter. Two waits do not show there and are told by the span itself: that of a request at the front
door's batch, and the part between a poll and the transaction that heard the record.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from shared.telemetry import STREAM, WAITED_BATCH, WAITED_DOOR, WAITED_PARKED


class Queue(StrEnum):
    """Where something waits, in the order of its way."""

    DOOR = "door"
    OUTBOX = "outbox"
    TOPIC = "topic"
    BATCH = "batch"
    PARKED = "parked"
    SENDER = "sender"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Wait:
    """A time in a queue; instants in nanoseconds since 1970, and its end is never before its begin."""

    queue: Queue
    began: int
    ended: int

    @property
    def ns(self) -> int:
        """How long, in nanoseconds."""
        return self.ended - self.began


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of work in one service. ``error`` is the class of what went wrong, or None."""

    id: str
    parent: str | None
    name: str
    service: str
    kind: str
    began: int
    ended: int
    error: str | None
    attributes: Mapping[str, Any]

    @property
    def stream(self) -> str | None:
        """What it is about, where it says so."""
        stream = self.attributes.get(STREAM)
        return stream if isinstance(stream, str) else None

    @property
    def event(self) -> str | None:
        """The event that it carries or hears."""
        event = self.attributes.get("lienthong.event")
        return event if isinstance(event, str) else None

    @property
    def ns(self) -> int:
        """How long, in nanoseconds."""
        return self.ended - self.began


def span_of(row: Mapping[str, Any]) -> Span:
    """A span from the receiver's JSON. Raises KeyError for what is none."""
    return Span(
        row["id"],
        row["parent"],
        row["name"],
        row["service"],
        row["kind"],
        row["began"],
        row["ended"],
        row["error"],
        row["attributes"],
    )


def waits(span: Span, parent: Span | None) -> tuple[Wait, ...]:
    """What a span waited for since its parent let go of the matter, in order."""
    if parent is None:
        return ()
    door = _seconds(span, WAITED_DOOR)
    if door:
        return _some(Queue.DOOR, max(parent.began, span.began - door), span.began)
    if span.kind == "consumer":
        if span.attributes.get(WAITED_PARKED):
            return _some(Queue.PARKED, parent.ended, span.began)
        polled = max(span.began - _seconds(span, WAITED_BATCH), parent.began)
        return (
            *_some(Queue.TOPIC, parent.ended, polled),
            *_some(Queue.BATCH, max(parent.ended, polled), span.began),
        )
    if span.kind == "producer":
        return _some(Queue.OUTBOX, parent.ended, span.began)
    queue = Queue.SENDER if span.name == "send notice" else Queue.OTHER
    return _some(queue, parent.ended, span.began)


def _some(queue: Queue, began: int, ended: int) -> tuple[Wait, ...]:
    return (Wait(queue, began, ended),) if ended > began else ()


def _seconds(span: Span, name: str) -> int:
    value = span.attributes.get(name)
    return int(value * 1e9) if isinstance(value, int | float) and value > 0 else 0
