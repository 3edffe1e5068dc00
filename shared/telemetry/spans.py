"""Spans: of what is done now, of one message or command among many in a transaction, and what they are about."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import Token
from dataclasses import dataclass, field
from functools import lru_cache
from types import TracebackType
from typing import Final, TypeAlias

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

STREAM: Final = "lienthong.stream"
"""The attribute by which a dossier's spans are found again: the stream id, never the printed code."""

WAITED_DOOR: Final = "lienthong.waited.door"
"""Seconds that a request waited at the front door's batch before its transaction began."""

WAITED_BATCH: Final = "lienthong.waited.batch"
"""Seconds between the poll that brought a record and the transaction that heard it: retries of the batch included."""

WAITED_PARKED: Final = "lienthong.waited.parked"
"""True when a record lay parked before it was heard: then its wait was not on the topic alone."""

__all__ = [
    "STREAM",
    "WAITED_BATCH",
    "WAITED_DOOR",
    "WAITED_PARKED",
    "Opened",
    "Span",
    "SpanKind",
    "Work",
    "about",
    "is_sampled",
    "open_message_span",
    "span",
    "together",
    "traceparent",
    "traceparent_of",
]

_TRACER: Final = "lienthong"

_Given: TypeAlias = tuple[str, SpanKind, Mapping[str, AttributeValue] | None, Sequence[trace.Link]]


def traceparent() -> str | None:
    """W3C traceparent of the span that is open here, or None."""
    return _written(trace.get_current_span().get_span_context())


def _written(context: SpanContext) -> str | None:
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def _read(header: str | None) -> SpanContext | None:
    if header is None or len(header) != 55:
        return None
    try:
        context = SpanContext(
            int(header[3:35], 16),
            int(header[36:52], 16),
            is_remote=True,
            trace_flags=TraceFlags(int(header[53:55], 16)),
        )
    except ValueError:
        return None
    return context if context.is_valid else None


def is_sampled(header: str | None) -> bool:
    """True when a traceparent asks to be recorded; cheaper than parsing it."""
    return header is not None and len(header) == 55 and header[54] in "13579bdf"


@lru_cache(maxsize=1)
def _tracer_of(provider: trace.TracerProvider) -> trace.Tracer:
    """A provider makes a new tracer each time that it is asked, which takes longer than opening a span."""
    return provider.get_tracer(_TRACER)


def about(stream: str) -> None:
    """Say of the span that is open here which stream it is about."""
    trace.get_current_span().set_attribute(STREAM, stream)


class Opened:
    """A span that is to be open within a ``with`` block. Exceptions mark it by class."""

    __slots__ = ("_context", "_given", "_span", "_token")

    _span: Span
    _token: Token[Context]

    def __init__(self, context: Context | None, given: _Given) -> None:
        self._context = context
        self._given = given

    def __enter__(self) -> Span:
        name, kind, attributes, links = self._given
        self._span = _tracer_of(trace.get_tracer_provider()).start_span(name, self._context, kind, attributes, links)
        self._token = attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(self, _: type[BaseException] | None, error: BaseException | None, __: TracebackType | None) -> None:
        # Only its class: a message of an exception may quote what nobody should read.
        if error is not None:
            _mark(self._span, error)
        detach(self._token)
        self._span.end()


def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    links: Sequence[str] = (),
) -> Opened:
    """An open span; its parent is the given traceparent, or whatever span is open here.

    The library's own way of opening one goes through three generators, which take longer than all the rest of it.
    """
    remote = _read(parent)
    context = trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None
    return Opened(context, (name, kind, attributes, [trace.Link(target) for target in map(_read, links) if target]))


def open_message_span(
    name: str,
    parent: str | None,
    *,
    kind: SpanKind,
    attributes: Mapping[str, AttributeValue],
    began: int | None = None,
) -> Span | None:
    """A span for one message of a batch, open until its batch is committed; None when its trace is not recorded.

    ``began``: nanoseconds since 1970 when the work on it began; None: now.
    """
    remote = _read(parent) if is_sampled(parent) else None
    if remote is None:
        return None
    return _tracer_of(trace.get_tracer_provider()).start_span(
        name, trace.set_span_in_context(NonRecordingSpan(remote)), kind, attributes, start_time=began
    )


def traceparent_of(opened: Span) -> str | None:
    """W3C traceparent of a span, for what it causes."""
    return _written(opened.get_span_context())


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
        attributes: Mapping[str, AttributeValue] | None = None,
    ) -> str | None:
        """Open a span for one of the things and return its traceparent, which goes to what is said because of it.

        Its parent is the given traceparent, or whatever span is open here; ``alone`` begins a trace of its own. In a
        trace that is not recorded nothing is opened: what is said because of it names the parent.
        """
        if parent is not None and not is_sampled(parent):
            return parent
        given = {**(attributes or {}), STREAM: stream}
        remote = _read(parent)
        context = trace.set_span_in_context(NonRecordingSpan(remote) if remote else trace.INVALID_SPAN)
        opened = _tracer_of(trace.get_tracer_provider()).start_span(
            name, context if remote or alone else None, SpanKind.INTERNAL, given
        )
        self.spans.append(opened)
        return traceparent_of(opened)


@contextmanager
def together() -> Iterator[Work]:
    """Around a transaction: what was opened in it ends with it, after the commit, or marked by what went wrong."""
    work = Work()
    try:
        yield work
    except BaseException as error:
        for opened in work.spans:
            _mark(opened, error)
        raise
    finally:
        for opened in work.spans:
            opened.end()


def _mark(opened: Span, error: BaseException) -> None:
    opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
