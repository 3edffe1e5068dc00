"""Traces, metrics and logs. Services speak OTLP only; without an endpoint, spans are made but go nowhere.

One trace per command: it rides as W3C ``traceparent`` in the outbox's row and the record's headers. A message is
processed in *its* trace; the batch has a span of its own, with links. Spans carry stream ids, never printed codes.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from opentelemetry import metrics, trace
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue
from pythonjsonlogger.json import JsonFormatter

__all__ = [
    "Span",
    "SpanKind",
    "is_sampled",
    "open_message_span",
    "span",
    "start",
    "start_logging",
    "traceparent",
    "traceparent_of",
]

_TRACER: Final = "lienthong"


def start(service: str, endpoint: str | None, *, sampled: float = 1.0) -> TracerProvider:
    """Set up traces and metrics for this process. ``sampled`` is the share of new traces that are recorded, 0..1."""
    resource = Resource.create({"service.name": service})
    provider = TracerProvider(resource=resource, sampler=ParentBased(TraceIdRatioBased(sampled)))
    if endpoint is not None:
        base = endpoint.rstrip("/")
        provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces")))
        reader = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=f"{base}/v1/metrics"))
        metrics.set_meter_provider(MeterProvider(resource=resource, metric_readers=[reader]))
    trace.set_tracer_provider(provider)
    return provider


def start_logging(service: str, level: str = "INFO") -> None:
    """Structured logs on standard output, one JSON object a line: time, level, event (the message), its fields."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
            json_ensure_ascii=False,
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # aiokafka tells every reconnect of a broker that is away, several times a second.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # FastStream tells every batch that it polls, and every assignment of partitions.
    logging.getLogger("lienthong.bus").setLevel(logging.WARNING)


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


@contextmanager
def span(
    name: str,
    *,
    parent: str | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, AttributeValue] | None = None,
    links: Sequence[str] = (),
) -> Iterator[Span]:
    """An open span; its parent is the given traceparent, or whatever span is open here. Exceptions mark it by class."""
    remote = _read(parent)
    context = trace.set_span_in_context(NonRecordingSpan(remote)) if remote else None
    linked = [trace.Link(target) for target in map(_read, links) if target]
    with trace.get_tracer(_TRACER).start_as_current_span(
        name,
        context,
        kind,
        attributes,
        linked,
        record_exception=False,  # a message of an exception may quote what nobody should read
        set_status_on_exception=False,
    ) as opened:
        try:
            yield opened
        except BaseException as error:
            opened.set_status(Status(StatusCode.ERROR, type(error).__name__))
            raise


def open_message_span(
    name: str, parent: str | None, *, kind: SpanKind, attributes: Mapping[str, AttributeValue]
) -> Span | None:
    """A span for one message of a batch, open until its batch is committed; None when its trace is not recorded."""
    remote = _read(parent) if is_sampled(parent) else None
    if remote is None:
        return None
    return trace.get_tracer(_TRACER).start_span(
        name, trace.set_span_in_context(NonRecordingSpan(remote)), kind, attributes
    )


def traceparent_of(opened: Span) -> str | None:
    """W3C traceparent of a span, for what it causes."""
    return _written(opened.get_span_context())
