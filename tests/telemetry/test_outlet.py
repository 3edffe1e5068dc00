"""How spans leave the process: through OpenTelemetry's own queue and exporter, to whoever stands for a receiver."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Told
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult

from shared import telemetry
from shared.telemetry import spans
from shared.telemetry.outlet import Receiver, Spans
from tests.flow.spans import Spans as Taking
from tests.flow.spans import collected

RESOURCE = Resource({"service.name": "routing"})


def _requests(taking: Taking) -> list[ExportTraceServiceRequest]:
    return [ExportTraceServiceRequest.FromString(body) for body in taking.of("/v1/traces")]


def _spans(taking: Taking) -> list[Told]:
    return [
        span
        for request in _requests(taking)
        for of_process in request.resource_spans
        for of_scope in of_process.scope_spans
        for span in of_scope.spans
    ]


@pytest.fixture
async def taking() -> AsyncIterator[Taking]:
    async with collected() as one:
        yield one


@contextmanager
def telling(to: Spans, monkeypatch: pytest.MonkeyPatch) -> Iterator[BatchSpanProcessor]:
    """Spans of this process go there meanwhile."""
    monkeypatch.setattr(spans, "_recorder", None)
    queue = BatchSpanProcessor(to, schedule_delay_millis=60_000)
    spans.record(queue.on_end, 1.0)  # type: ignore[arg-type]  # it asks a span only whether it is recorded
    try:
        yield queue
    finally:
        queue.shutdown()


async def test_what_ends_is_sent_with_what_the_process_says_of_itself(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x")
    with telling(Spans(taking.endpoint, Receiver(), RESOURCE), monkeypatch) as queue:
        with telemetry.span("request"), telemetry.span("step"):
            pass
        queue.force_flush()
    assert {one.name for one in _spans(taking)} == {"request", "step"}
    (of_process,) = _requests(taking)[0].resource_spans
    assert {one.key: one.value.string_value for one in of_process.resource.attributes} == {"service.name": "routing"}
    headers = {name.lower(): value for name, value in taking.headers[0].items()}
    assert headers["authorization"] == "Bearer x"
    assert headers["content-type"] == "application/x-protobuf"


async def test_what_otlp_has_no_room_for_takes_nothing_else_with_it(
    taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd: dict[str, spans.Value] = {"big": 2**63, "half": "\ud800", "fine": 2**63 - 1, telemetry.STREAM: "\udfff"}
    with telling(Spans(taking.endpoint, Receiver(), RESOURCE), monkeypatch) as queue:
        with telemetry.span("odd", attributes=odd):
            pass
        with telemetry.span("plain", attributes={"a": 1}):
            pass
        queue.force_flush()
    found = {one.name: [attribute.key for attribute in one.attributes] for one in _spans(taking)}
    assert found == {"odd": ["fine"], "plain": ["a"]}


async def test_a_receiver_that_refuses_is_told_once_and_once_that_it_is_back(
    taking: Taking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    receiver = Receiver()
    outlet = Spans(taking.endpoint, receiver, RESOURCE)
    with caplog.at_level(logging.INFO, "shared.telemetry"), telling(outlet, monkeypatch) as queue:
        for answer in (400, 400, 200, 200):
            taking.answers = answer
            with telemetry.span(f"while {answer}"):
                pass
            queue.force_flush()
    ours = [one.message for one in caplog.records if one.name.startswith("shared.")]
    assert ours == ["telemetry_away", "telemetry_back"]
    assert [one.name for one in _spans(taking)] == ["while 200", "while 200"]
    assert not receiver.away


async def test_a_fault_of_the_encoder_is_said_and_ends_nothing(
    taking: Taking, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outlet = Spans(taking.endpoint, Receiver(), RESOURCE)
    broken: list[Any] = [object()]
    with caplog.at_level(logging.INFO, "shared.telemetry"):
        assert outlet.export(broken) is SpanExportResult.FAILURE
    (said,) = caplog.records
    assert (said.message, vars(said)["error"], vars(said)["dropped"]) == ("telemetry_broken", "AttributeError", 1)
    with telling(outlet, monkeypatch) as queue:
        with telemetry.span("after"):
            pass
        queue.force_flush()
    assert [one.name for one in _spans(taking)] == ["after"]


async def test_nobody_there_costs_what_was_to_be_told(monkeypatch: pytest.MonkeyPatch, taking: Taking) -> None:
    receiver = Receiver()
    outlet = Spans("http://127.0.0.1:9", receiver, RESOURCE)
    with telling(outlet, monkeypatch) as queue:
        with telemetry.span("lost"):
            pass
        queue.force_flush()
    assert receiver.away
    assert receiver.dropped == 1
    assert taking.exported == []
