"""Traces, metrics and logs. Services speak OTLP only; without an endpoint, spans are made but go nowhere.

One trace per command: it rides as W3C ``traceparent`` in the outbox's row and the record's headers. A message is
processed in *its* trace; the batch has a span of its own, with links. Spans carry stream ids, never printed codes.
What a span waited for is seen from its neighbours' instants, and where those do not tell, from its ``WAITED_*``.
"""

from shared.telemetry.figures import count, stands, took
from shared.telemetry.logs import start_logging
from shared.telemetry.outlet import flush, start
from shared.telemetry.spans import (
    STREAM,
    WAITED_BATCH,
    WAITED_DOOR,
    WAITED_PARKED,
    Opened,
    Span,
    SpanKind,
    Work,
    about,
    is_sampled,
    open_message_span,
    span,
    together,
    traceparent,
)

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
    "count",
    "flush",
    "is_sampled",
    "open_message_span",
    "span",
    "stands",
    "start",
    "start_logging",
    "together",
    "took",
    "traceparent",
]
