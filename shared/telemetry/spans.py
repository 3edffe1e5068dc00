"""Spans: of what is done now, of one message or command among many in a transaction, and what they are about.

A thin span of our own (decision 0115): a dossier has sixteen on its way, and what is made for each of them is paid by
the loop that does the work. It goes where `outlet` says, once, when it ends.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, TypeAlias

from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

STREAM: Final = "lienthong.stream"
"""The attribute by which a dossier's spans are found again: the stream id, never the printed code."""

WAITED_DOOR: Final = "lienthong.waited.door"
"""Seconds that a request waited at the front door's batch before its transaction began."""

WAITED_BATCH: Final = "lienthong.waited.batch"
"""Seconds between the poll that brought a record and the transaction that heard it: retries of the batch included."""

WAITED_PARKED: Final = "lienthong.waited.parked"
"""True when a record lay parked before it was heard: then its wait was not on the topic alone."""

Value: TypeAlias = str | bool | int | float
"""What an attribute may be."""

MOST_LINKS: Final = 128
"""Of one span, as OpenTelemetry's own limit is; how many more there were is told with it."""

__all__ = [
    "MOST_LINKS",
    "STREAM",
    "WAITED_BATCH",
    "WAITED_DOOR",
    "WAITED_PARKED",
    "Opened",
    "Span",
    "SpanKind",
    "Value",
    "Work",
    "about",
    "is_sampled",
    "open_message_span",
    "record",
    "span",
    "together",
    "traceparent",
]

# W3C Trace Context, section 3.2.2: what a later version may append is not read by ours.
_HEADER: Final = re.compile(r"(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-[0-9a-f]{2}", re.ASCII)
_ODD: Final = frozenset("13579bdf")


class Span:
    """A piece of work between two instants, in nanoseconds since 1970; told when it ends, if its trace is recorded.

    ``traceparent``: W3C's name of it, for what it causes; of a trace that is not recorded that of whoever asked for it,
    and None where nobody did.
    """

    __slots__ = (
        "attributes",
        "began",
        "ended",
        "error",
        "is_recorded",
        "is_remote",
        "kind",
        "links",
        "links_left_out",
        "name",
        "parent_id",
        "span_id",
        "trace_id",
        "traceparent",
    )

    def __init__(
        self,
        name: str,
        trace_id: str,
        parent_id: str | None,
        *,
        kind: SpanKind,
        attributes: dict[str, Value],
        began: int | None = None,
        is_remote: bool = False,
    ) -> None:
        self.name = name
        self.trace_id = trace_id
        self.span_id = f"{random.getrandbits(64) or 1:016x}"
        self.parent_id = parent_id
        self.is_remote = is_remote
        self.kind = kind
        self.attributes = attributes
        self.links: Sequence[tuple[str, str]] = ()
        self.links_left_out = 0
        self.error: str | None = None
        self.began = time.time_ns() if began is None else began
        self.ended: int | None = None
        self.is_recorded = True
        self.traceparent: str | None = f"00-{trace_id}-{self.span_id}-01"

    @property
    def context(self) -> SpanContext:
        """By this, OpenTelemetry's queue sees that it is to be told."""
        return SpanContext(
            int(self.trace_id, 16), int(self.span_id, 16), self.is_remote, TraceFlags(TraceFlags.SAMPLED)
        )

    def link(self, others: Sequence[Span]) -> None:
        """Name the spans that it is done for together; the ids of the first, since who holds them all holds much."""
        self.links = [(other.trace_id, other.span_id) for other in others[:MOST_LINKS]]
        self.links_left_out = max(0, len(others) - MOST_LINKS)

    def fail(self, error: BaseException) -> None:
        """Mark it by an exception's class alone: a message may quote what nobody should read."""
        self.error = type(error).__name__

    def end(self) -> None:
        """It is over now, however often that is said."""
        if self.ended is None:
            self.ended = time.time_ns()
            if self.is_recorded and _recorder is not None:
                _recorder.tell(self)


@dataclass(frozen=True, slots=True)
class _Recorder:
    """Where spans go when they end, and which share of the traces that begin here is recorded (0..1)."""

    tell: Callable[[Span], None]
    sampled: float


_recorder: _Recorder | None = None
_open: ContextVar[Span | None] = ContextVar("open span", default=None)


def record(tell: Callable[[Span], None], sampled: float) -> None:
    """From now on spans of this process are made, and given to ``tell`` when they end; before, there are none.

    ``sampled``: the share of traces that begin here which is recorded, 0..1; one that came from elsewhere says itself.
    """
    global _recorder  # noqa: PLW0603 -- a process has one, as it has one log
    _recorder = _Recorder(tell, sampled)


def traceparent() -> str | None:
    """W3C traceparent of the span that is open here, or None."""
    opened = _open.get()
    return opened.traceparent if opened is not None else None


def is_sampled(header: str | None) -> bool:
    """True when a traceparent asks to be recorded; cheaper than parsing it."""
    return header is not None and len(header) == 55 and header[54] in _ODD


def named_by(header: str | None) -> SpanContext | None:
    """What a traceparent names, recorded or not, as OpenTelemetry has it; None where it names nothing."""
    if header is None or _HEADER.fullmatch(header) is None:
        return None
    return SpanContext(int(header[3:35], 16), int(header[36:52], 16), False, TraceFlags(int(header[53:], 16)))


def about(stream: str) -> None:
    """Say of the span that is open here which stream it is about."""
    opened = _open.get()
    if opened is not None and opened.ended is None:
        opened.attributes[STREAM] = stream


def _child_of(
    header: str | None, name: str, kind: SpanKind, attributes: dict[str, Value], began: int | None = None
) -> Span | None:
    """A span within a trace that came from elsewhere; None when that is not recorded, or its header nothing."""
    found = _HEADER.fullmatch(header) if header is not None and is_sampled(header) else None
    if found is None or _recorder is None:
        return None
    trace_id, parent_id = found.groups()
    return Span(name, trace_id, parent_id, kind=kind, attributes=attributes, began=began, is_remote=True)


def _child_of_open(opened: Span, name: str, kind: SpanKind, attributes: dict[str, Value]) -> Span:
    if not opened.is_recorded:
        return _unrecorded(opened.traceparent, name, kind, attributes)
    return Span(name, opened.trace_id, opened.span_id, kind=kind, attributes=attributes)


def _root(name: str, kind: SpanKind, attributes: dict[str, Value]) -> Span:
    """The beginning of a trace. One that is not recorded has a name nonetheless, so that what follows is not either."""
    made = Span(name, f"{random.getrandbits(128) or 1:032x}", None, kind=kind, attributes=attributes)
    if _recorder is None:
        made.is_recorded, made.traceparent = False, None
    elif _recorder.sampled < 1 and random.random() >= _recorder.sampled:  # noqa: S311 -- no secret
        made.is_recorded, made.traceparent = False, f"00-{made.trace_id}-{made.span_id}-00"
    return made


def _unrecorded(header: str | None, name: str, kind: SpanKind, attributes: dict[str, Value]) -> Span:
    made = Span(name, "", None, kind=kind, attributes=attributes)
    made.is_recorded, made.traceparent = False, header and f"00-{header[3:53]}{'01' if is_sampled(header) else '00'}"
    return made


def _begun(header: str | None, name: str, kind: SpanKind, attributes: dict[str, Value]) -> Span:
    """With the parent that a header names, or else the span that is open here, or else none."""
    if header is not None:
        recorded = _child_of(header, name, kind, attributes)
        if recorded is not None:
            return recorded
        if _HEADER.fullmatch(header):
            return _unrecorded(header, name, kind, attributes)
    opened = _open.get()
    return _root(name, kind, attributes) if opened is None else _child_of_open(opened, name, kind, attributes)


class Opened:
    """A span that is to be open within a ``with`` block. Exceptions mark it by class."""

    __slots__ = ("_attributes", "_kind", "_name", "_parent", "_span", "_token")

    _span: Span
    _token: Token[Span | None]

    def __init__(self, name: str, parent: str | None, kind: SpanKind, attributes: Mapping[str, Value] | None) -> None:
        self._name = name
        self._parent = parent
        self._kind = kind
        self._attributes = attributes

    def __enter__(self) -> Span:
        self._span = _begun(self._parent, self._name, self._kind, dict(self._attributes or ()))
        self._token = _open.set(self._span)
        return self._span

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        if error is not None:
            self._span.fail(error)
        try:
            _open.reset(self._token)
        finally:
            self._span.end()


def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, Value] | None = None,
) -> Opened:
    """An open span; its parent is the given traceparent, or whatever span is open here."""
    return Opened(name, parent, kind, attributes)


def open_message_span(
    name: str,
    parent: str | None,
    *,
    kind: SpanKind,
    attributes: dict[str, Value],
    began: int | None = None,
) -> Span | None:
    """A span for one message of a batch, open until its batch is committed; None when its trace is not recorded.

    ``began``: nanoseconds since 1970 when the work on it began; None: now. The attributes are the span's from now on.
    """
    return _child_of(parent, name, kind, attributes, began)


@dataclass(slots=True)
class Work:
    """Spans of what is done together in one transaction: each in its own trace, all ended by it."""

    spans: list[Span] = field(default_factory=list)

    def on(
        self,
        name: str,
        stream: str,
        *,
        parent: str | None = None,
        alone: bool = False,
        attributes: Mapping[str, Value] | None = None,
    ) -> str | None:
        """Open a span for one of the things and return its traceparent, which goes to what is said because of it.

        Its parent is the given traceparent, or whatever span is open here; ``alone`` begins a trace of its own. In a
        trace that is not recorded nothing is opened: what is said because of it names the parent.
        """
        if parent is not None and not is_sampled(parent):
            return parent
        given = {**(attributes or {}), STREAM: stream}
        kind = SpanKind.INTERNAL
        opened = _root(name, kind, given) if alone else _begun(parent, name, kind, given)
        self.spans.append(opened)
        return opened.traceparent


@contextmanager
def together() -> Iterator[Work]:
    """Around a transaction: what was opened in it ends with it, after the commit, or marked by what went wrong."""
    work = Work()
    try:
        yield work
    except BaseException as error:
        for opened in work.spans:
            opened.fail(error)
        raise
    finally:
        for opened in work.spans:
            opened.end()
