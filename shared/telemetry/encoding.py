"""Spans as OTLP wants them: protobuf messages of opentelemetry-proto, made by its own classes.

The library's encoder makes every attribute anew, in Python, field by field. Here what stands in one span after the
other (names of topics, kinds of events, methods, routes) is made once and copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2 as proto
from opentelemetry.trace import SpanKind

from shared.telemetry.spans import STREAM, Span, Value

_SCOPE: Final = InstrumentationScope(name="lienthong")
_KINDS: Final = {
    SpanKind.INTERNAL: proto.Span.SPAN_KIND_INTERNAL,
    SpanKind.SERVER: proto.Span.SPAN_KIND_SERVER,
    SpanKind.CLIENT: proto.Span.SPAN_KIND_CLIENT,
    SpanKind.PRODUCER: proto.Span.SPAN_KIND_PRODUCER,
    SpanKind.CONSUMER: proto.Span.SPAN_KIND_CONSUMER,
}
_KNOWN: Final = proto.SPAN_FLAGS_CONTEXT_HAS_IS_REMOTE_MASK
_REMOTE: Final = _KNOWN | proto.SPAN_FLAGS_CONTEXT_IS_REMOTE_MASK
_KEPT: Final = 2048


def request_of(spans: Iterable[Span], resource: Resource) -> bytes:
    """The body of ``POST /v1/traces``: what one process says of itself, and its spans."""
    request = ExportTraceServiceRequest()
    of_us = request.resource_spans.add(resource=resource).scope_spans.add(scope=_SCOPE)
    for span in spans:
        _put(of_us, span)
    return request.SerializeToString()


def _put(of_us: proto.ScopeSpans, span: Span) -> None:
    made = of_us.spans.add(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.began,
        end_time_unix_nano=span.ended,
        flags=_REMOTE if span.is_remote else _KNOWN,
    )
    made.attributes.extend(attributes_of(tuple(span.attributes.items())))
    if span.parent_id is not None:
        made.parent_span_id = bytes.fromhex(span.parent_id)
    if span.error is not None:
        made.status.code, made.status.message = proto.Status.STATUS_CODE_ERROR, span.error
    for trace_id, span_id in span.links:
        made.links.add(trace_id=bytes.fromhex(trace_id), span_id=bytes.fromhex(span_id), flags=_KNOWN)
    made.dropped_links_count = span.links_left_out


def attributes_of(values: Iterable[tuple[str, Value]]) -> list[KeyValue]:
    """Attributes, each as OTLP's own kind of value. One that it has no room for (an integer of more than 64 bits, half
    of a surrogate pair) is left out, and takes nothing else with it."""
    found = []
    for key, value in values:
        try:
            found.append(_made(key, value) if key == STREAM or type(value) is float else _known(key, value))
        except (ValueError, TypeError):
            continue
    return found


def _made(key: str, value: Value) -> KeyValue:
    if isinstance(value, str):
        return KeyValue(key=key, value=AnyValue(string_value=value))
    if isinstance(value, bool):
        return KeyValue(key=key, value=AnyValue(bool_value=value))
    if isinstance(value, int):
        return KeyValue(key=key, value=AnyValue(int_value=value))
    return KeyValue(key=key, value=AnyValue(double_value=value))


_known = lru_cache(_KEPT, typed=True)(_made)
