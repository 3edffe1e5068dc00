"""OTLP on the wire: requests in protobuf or JSON become rows, and what cannot be kept is counted.

JSON is protobuf's, with one difference: ids of traces and spans are hexadecimal, not base64 (OTLP 1.x, "JSON Protobuf
Encoding"). Unknown fields are passed over, as both encodings want it.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, TypeVar

from google.protobuf.json_format import ParseDict, ParseError
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from shared.telemetry import STREAM

Row: TypeAlias = dict[str, Any]
Request: TypeAlias = ExportTraceServiceRequest | ExportMetricsServiceRequest | ExportLogsServiceRequest
R = TypeVar("R", ExportTraceServiceRequest, ExportMetricsServiceRequest, ExportLogsServiceRequest)

_LONGEST_NAME: Final = 300
_LONGEST_ATTRIBUTES: Final = 16_384
_LATEST: Final = 2**63 - 1
_IDS: Final = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
_KINDS: Final = {
    Span.SPAN_KIND_SERVER: "server",
    Span.SPAN_KIND_CLIENT: "client",
    Span.SPAN_KIND_PRODUCER: "producer",
    Span.SPAN_KIND_CONSUMER: "consumer",
}


@dataclass(frozen=True, slots=True)
class Garbage:
    """The body is not what it says it is; ``reason`` names the kind of fault, never a value."""

    reason: str


@dataclass(slots=True)
class Rows:
    """What is to be kept, and how many items were not fit to be."""

    rows: list[Row] = field(default_factory=list)
    unfit: int = 0


def read(body: bytes, request: R, *, as_json: bool) -> R | Garbage:
    """The request that a body holds, parsed into the given empty one."""
    try:
        if as_json:
            ParseDict(_with_base64(json.loads(body)), request, ignore_unknown_fields=True)
        else:
            request.ParseFromString(body)
    except DecodeError:
        return Garbage("the body is no protobuf message of this kind")
    except ParseError:
        return Garbage("the JSON is no message of this kind")
    except (ValueError, RecursionError):  # UnicodeDecodeError is one, too
        return Garbage("the body is not JSON")
    return request


def span_rows(request: ExportTraceServiceRequest, arrived: float) -> Rows:
    """A row for each span; one without ids or with impossible times is unfit."""
    found = Rows()
    for resource in request.resource_spans:
        service = _service(resource.resource)
        for scope in resource.scope_spans:
            for span in scope.spans:
                if not _is_fit(span):
                    found.unfit += 1
                    continue
                attributes = plain(span.attributes)
                stream = attributes.get(STREAM)
                parent = span.parent_span_id.hex() if len(span.parent_span_id) == 8 else None
                failed = span.status.code == Status.STATUS_CODE_ERROR
                found.rows.append(
                    {
                        "trace": span.trace_id.hex(),
                        "id": span.span_id.hex(),
                        "parent": parent,
                        "name": span.name[:_LONGEST_NAME],
                        "service": service,
                        "kind": _KINDS.get(span.kind, "internal"),
                        "began": span.start_time_unix_nano,
                        "ended": max(span.end_time_unix_nano, span.start_time_unix_nano),
                        "error": (span.status.message[:_LONGEST_NAME] or "error") if failed else None,
                        "attributes": _packed(attributes),
                        "links": json.dumps([[one.trace_id.hex(), one.span_id.hex()] for one in span.links[:2000]]),
                        "stream": stream[:200] if isinstance(stream, str) and stream else None,
                        "root": None if parent else span.name[:_LONGEST_NAME],
                        "root_service": None if parent else service,
                        "arrived": arrived,
                    }
                )
    return found


def line_rows(request: ExportLogsServiceRequest, arrived: float) -> Rows:
    """A row for each log event: its name is its event name, else its body where that is text."""
    found = Rows()
    for resource in request.resource_logs:
        service = _service(resource.resource)
        for scope in resource.scope_logs:
            for line in scope.log_records:
                at = line.time_unix_nano or line.observed_time_unix_nano
                if at > _LATEST:
                    found.unfit += 1
                    continue
                found.rows.append(
                    {
                        "at": at,
                        "service": service,
                        "severity": line.severity_number,
                        "event": (line.event_name or line.body.string_value or "?")[:_LONGEST_NAME],
                        "trace": line.trace_id.hex() if len(line.trace_id) == 16 else None,
                        "span": line.span_id.hex() if len(line.span_id) == 8 else None,
                        "attributes": _packed(plain(line.attributes)),
                        "arrived": arrived,
                    }
                )
    return found


def point_rows(request: ExportMetricsServiceRequest, arrived: float) -> Rows:
    """A row for each point of gauges, sums and histograms (value: the sum, count: how many); others are unfit."""
    found = Rows()
    for resource in request.resource_metrics:
        service = _service(resource.resource)
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                for at, attributes, value, count in _points(metric, found):
                    if at > _LATEST or count > _LATEST or not math.isfinite(value):
                        found.unfit += 1
                        continue
                    found.rows.append(
                        {
                            "at": at,
                            "service": service,
                            "name": metric.name[:_LONGEST_NAME],
                            "unit": metric.unit[:63],
                            "kind": metric.WhichOneof("data") or "",
                            "attributes": _packed(plain(attributes)),
                            "value": value,
                            "count": count,
                            "arrived": arrived,
                        }
                    )
    return found


def _points(metric: Metric, found: Rows) -> Iterable[tuple[int, Iterable[KeyValue], float, int]]:
    match metric.WhichOneof("data"):
        case "gauge" | "sum" as kind:
            for number in (metric.gauge if kind == "gauge" else metric.sum).data_points:
                value = number.as_int if number.WhichOneof("value") == "as_int" else number.as_double
                yield number.time_unix_nano, number.attributes, float(value), 1
        case "histogram":
            for one in metric.histogram.data_points:
                yield one.time_unix_nano, one.attributes, one.sum, one.count
        case _:
            found.unfit += 1


def plain(attributes: Iterable[KeyValue]) -> dict[str, Any]:
    """Attributes as JSON knows them; bytes are given in hexadecimal."""
    return {one.key[:_LONGEST_NAME]: _value(one.value) for one in attributes}


def _value(value: AnyValue) -> Any:
    match value.WhichOneof("value"):
        case None:
            return None
        case "array_value":
            return [_value(one) for one in value.array_value.values]
        case "kvlist_value":
            return plain(value.kvlist_value.values)
        case "bytes_value":
            return value.bytes_value.hex()
        case name:
            return getattr(value, name)


def _packed(attributes: dict[str, Any]) -> str:
    packed = json.dumps(attributes, ensure_ascii=False)
    return packed if len(packed) <= _LONGEST_ATTRIBUTES else json.dumps({"dropped": "attributes were too long"})


def _service(resource: Resource) -> str:
    name = plain(resource.attributes).get("service.name")
    return name[:_LONGEST_NAME] if isinstance(name, str) and name else "?"


def _is_fit(span: Span) -> bool:
    return (
        len(span.trace_id) == 16
        and any(span.trace_id)
        and len(span.span_id) == 8
        and any(span.span_id)
        and 0 < span.start_time_unix_nano <= _LATEST
        and span.end_time_unix_nano <= _LATEST
    )


def _with_base64(value: Any) -> Any:
    """The same with ids in base64, as protobuf's own JSON has bytes. An id that is no hexadecimal becomes none."""
    if isinstance(value, list):
        return [_with_base64(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _id(one, _IDS[name]) if name in _IDS and isinstance(one, str) else _with_base64(one)
        for name, one in value.items()
    }


def _id(text: str, size: int) -> str:
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        raw = b""
    return base64.b64encode(raw if len(raw) == size else b"").decode()
