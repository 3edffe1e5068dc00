"""Thin spans: whose child each is, what is told of it, and that OTLP's own encoder would have said the same."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, Status, StatusCode, TraceFlags

from shared import telemetry
from shared.telemetry import spans
from shared.telemetry.encoding import attributes_of, request_of
from shared.telemetry.logs import OverOtlp
from shared.telemetry.spans import MOST_LINKS, Span, SpanKind, Value

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"
HEADER = f"00-{TRACE}-{CALLER}-01"
UNSAMPLED = f"00-{TRACE}-{CALLER}-00"
RESOURCE: Mapping[str, Value] = {"service.name": "routing", "process.pid": 7}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Span]:
    """What was told until now; every trace is recorded."""
    monkeypatch.setattr(spans, "_recorder", None)
    ended: list[Span] = []
    spans.record(ended.append, 1.0)
    return ended


def _context(trace_id: str, span_id: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(int(trace_id, 16), int(span_id, 16), is_remote, TraceFlags(TraceFlags.SAMPLED))


def _as_the_library_has_it(span: Span) -> ReadableSpan:
    """The same span, as OpenTelemetry's SDK would have made it."""
    parent = _context(span.trace_id, span.parent_id, is_remote=span.is_remote) if span.parent_id else None
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id, is_remote=False),
        parent=parent,
        resource=Resource(RESOURCE),
        attributes=span.attributes,
        links=[Link(_context(*other, is_remote=False)) for other in span.links],
        kind=span.kind,
        status=Status(StatusCode.ERROR, span.error) if span.error else Status(),
        start_time=span.began,
        end_time=span.ended,
        instrumentation_scope=InstrumentationScope("lienthong"),
    )


def _ours(told: list[Span]) -> ExportTraceServiceRequest:
    resource = resource_pb2.Resource(attributes=attributes_of(RESOURCE.items()))
    return ExportTraceServiceRequest.FromString(request_of(told, resource))


def _plain(request: ExportTraceServiceRequest) -> str:
    """An empty status is the same as none: by OTLP both are "unset"."""
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                if not span.status.code:
                    span.ClearField("status")
    return str(request)


@pytest.mark.parametrize("kind", list(SpanKind))
def test_what_is_sent_is_what_the_library_s_own_encoder_says(told: list[Span], kind: SpanKind) -> None:
    given: dict[str, Value] = {"text": "Hoàng Mai", "count": -7, "yes": True, "no": False, "one": 1, "share": 0.25}
    with (
        pytest.raises(ValueError, match="nobody"),
        telemetry.span("broken", parent=HEADER, kind=kind, attributes=given),
    ):
        raise ValueError("a name that nobody should read")
    with telemetry.span("outer", kind=kind) as outer, telemetry.span("inner", attributes={"one": True}) as inner:
        outer.link([inner, told[0]])
    message = telemetry.open_message_span("send", HEADER, kind=kind, attributes={telemetry.STREAM: "x"}, began=5)
    assert message is not None
    message.end()
    assert [one.name for one in told] == ["broken", "inner", "outer", "send"]
    assert [one.kind for one in told] == [kind, SpanKind.INTERNAL, kind, kind]
    assert [one.is_remote for one in told] == [True, False, False, True]
    assert message.began == 5
    assert all(one.ended is not None and one.began <= one.ended for one in told)
    assert outer.links == [(inner.trace_id, inner.span_id), (TRACE, told[0].span_id)]
    assert _plain(_ours(told)) == _plain(encode_spans([_as_the_library_has_it(one) for one in told]))


def test_more_links_than_a_span_may_have_are_counted(told: list[Span]) -> None:
    with telemetry.span("batch") as batch:
        for _ in range(MOST_LINKS + 3):
            with telemetry.span("message", parent=HEADER):
                pass
        batch.link(told)
    (sent,) = [one for one in _ours(told).resource_spans[0].scope_spans[0].spans if one.name == "batch"]
    assert (len(sent.links), sent.dropped_links_count) == (MOST_LINKS, 3)


def test_a_header_s_span_is_the_parent_and_else_the_one_that_is_open(told: list[Span]) -> None:
    with telemetry.span("request", parent=HEADER) as request:
        assert (request.trace_id, request.parent_id) == (TRACE, CALLER)
        assert telemetry.traceparent() == f"00-{TRACE}-{request.span_id}-01"
        with telemetry.span("step") as step:
            assert (step.trace_id, step.parent_id) == (TRACE, request.span_id)
        with telemetry.together() as work:
            said = work.on("receive dossier", "x", parent=HEADER)
            alone = work.on("fire timer", "y", alone=True)
    assert telemetry.traceparent() is None
    assert said is not None
    assert said.startswith(f"00-{TRACE}-")
    assert CALLER not in said
    assert alone is not None
    assert TRACE not in alone
    assert [one.name for one in told] == ["step", "receive dossier", "fire timer", "request"]


@pytest.mark.parametrize(
    "header",
    [
        "",
        "nothing",
        HEADER[:-1],
        HEADER + "-what-a-later-version-may-append",
        HEADER.upper(),
        f"ff-{TRACE}-{CALLER}-01",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{CALLER}-+1",
        f"00-{TRACE[:-2]}_1-{CALLER}-01",
        f"00 {TRACE} {CALLER} 01",
    ],
)
def test_a_header_that_names_no_span_begins_a_trace(told: list[Span], header: str) -> None:
    with telemetry.span("request", parent=header) as request:
        pass
    assert request.parent_id is None
    assert request.trace_id != TRACE
    assert told == [request]
    assert telemetry.open_message_span("send", header, kind=SpanKind.PRODUCER, attributes={}) is None


def test_who_asks_not_to_be_recorded_is_not_and_what_follows_names_him(told: list[Span]) -> None:
    with telemetry.span("request", parent=UNSAMPLED), telemetry.together() as work:
        assert telemetry.traceparent() == UNSAMPLED
        assert work.on("receive dossier", "x", parent=telemetry.traceparent()) == UNSAMPLED
        assert work.on("receive dossier", "x") == UNSAMPLED
        telemetry.about("x")
    with telemetry.span("request", parent=f"cc-{TRACE}-{CALLER}-02"):
        assert telemetry.traceparent() == UNSAMPLED
    assert telemetry.open_message_span("send", UNSAMPLED, kind=SpanKind.PRODUCER, attributes={}) is None
    assert told == []


def test_of_traces_that_begin_here_a_share_is_recorded_whole(told: list[Span], monkeypatch: pytest.MonkeyPatch) -> None:
    spans.record(told.append, 0.0)
    with telemetry.span("request"):
        header = telemetry.traceparent()
        with telemetry.span("step"):
            assert telemetry.traceparent() == header
    assert header is not None
    assert header.endswith("-00")
    with telemetry.span("request", parent=HEADER):
        pass
    assert [one.trace_id for one in told] == [TRACE]
    told.clear()
    monkeypatch.setattr(spans, "_recorder", None)
    spans.record(told.append, 0.25)
    for _ in range(4000):
        with telemetry.span("request"):
            pass
    assert 800 < len(told) < 1200


def test_before_it_is_known_where_they_go_there_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "_recorder", None)
    with telemetry.span("request"):
        assert telemetry.traceparent() is None
    with telemetry.span("request", parent=HEADER):
        assert telemetry.traceparent() == HEADER


def test_a_span_is_told_once(told: list[Span]) -> None:
    with telemetry.together() as work:
        work.on("receive dossier", "x", alone=True)
    ended = told[0].ended
    told[0].end()
    assert (told[0].ended, len(told)) == (ended, 1)


def test_of_an_exception_its_class_is_told_and_nothing_else(told: list[Span]) -> None:
    def receive() -> None:
        with telemetry.together() as work:
            work.on("receive dossier", "x", parent=HEADER)
            raise LookupError("Nguyễn Văn An")

    with pytest.raises(LookupError):
        receive()
    assert told[0].error == "LookupError"
    assert "Nguy" not in str(_ours(told))


def test_a_log_event_is_in_the_trace_that_is_open(told: list[Span]) -> None:
    kept = InMemoryLogRecordExporter()
    lines = LoggerProvider(shutdown_on_exit=False)
    lines.add_log_record_processor(SimpleLogRecordProcessor(kept))
    log = logging.getLogger("shared.tests.spans")
    handler = OverOtlp(lines.get_logger("lienthong"))
    log.addHandler(handler)
    try:
        with telemetry.span("request", parent=HEADER) as request:
            log.warning("within")
        with telemetry.span("request", parent=UNSAMPLED):
            log.warning("unrecorded")
        log.warning("outside")
    finally:
        log.removeHandler(handler)
    within, unrecorded, outside = (one.log_record for one in kept.get_finished_logs())
    assert (within.trace_id, within.span_id) == (int(TRACE, 16), int(request.span_id, 16))
    assert (unrecorded.trace_id, unrecorded.span_id) == (int(TRACE, 16), int(CALLER, 16))
    assert not outside.trace_id
    assert told == [request]
