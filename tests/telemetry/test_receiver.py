"""The receiver over the real wire: what it takes, what it refuses and how, and that nothing of it stops anybody."""

from __future__ import annotations

import asyncio
import base64
import gzip
import json
import sqlite3
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

from deploy.receiver.taking import LARGEST_BODY, LARGEST_UNPACKED
from tests.telemetry.conftest import JSON, OPERATOR, PROTOBUF, TheReceiver, a_receiver, a_request, a_span


def _as_otlp_json(message: Any) -> bytes:
    """Protobuf's JSON with hexadecimal ids, as OTLP wants it."""

    def hexed(value: Any) -> Any:
        if isinstance(value, list):
            return [hexed(one) for one in value]
        if not isinstance(value, dict):
            return value
        ids = {"traceId", "spanId", "parentSpanId"}
        return {key: base64.b64decode(one).hex() if key in ids else hexed(one) for key, one in value.items()}

    return json.dumps(hexed(MessageToDict(message))).encode()


@pytest.mark.parametrize("encoding", ["protobuf", "json", "protobuf gzip", "json gzip"])
async def test_spans_come_in_by_every_encoding_and_are_found_by_their_stream(
    receiver: TheReceiver, encoding: str
) -> None:
    stream = str(uuid.uuid4())
    root = a_span(stream, name="POST /intake/dossiers")
    child = a_span(stream, trace_id=root.trace_id, parent_span_id=root.span_id)
    request = a_request(root, child)
    body, headers = request.SerializeToString(), dict(PROTOBUF)
    if "json" in encoding:
        body, headers = _as_otlp_json(request), dict(JSON)
    if "gzip" in encoding:
        body, headers = gzip.compress(body), {**headers, "Content-Encoding": "gzip"}

    taken = await receiver.take(body, headers)

    assert taken.status_code == 200
    assert taken.headers["content-type"] == headers["Content-Type"]
    found = await receiver.get(f"/telemetry/streams/{stream}")
    (trace,) = found["traces"]
    assert trace["trace"] == root.trace_id.hex()
    spans = {span["id"]: span for span in trace["spans"]}
    assert spans[child.span_id.hex()]["parent"] == root.span_id.hex()
    assert spans[root.span_id.hex()]["parent"] is None
    assert {span["service"] for span in spans.values()} == {"intake"}
    assert spans[child.span_id.hex()]["began"] == child.start_time_unix_nano


async def test_the_same_spans_sent_again_are_kept_once(receiver: TheReceiver) -> None:
    body = a_request(a_span("again")).SerializeToString()

    for _ in range(3):
        assert (await receiver.take(body)).status_code == 200

    (trace,) = (await receiver.get("/telemetry/streams/again"))["traces"]
    assert len(trace["spans"]) == 1


async def test_mere_looks_are_counted_and_shown_when_asked_for(receiver: TheReceiver) -> None:
    look, deed = a_span("s", name="GET /intake/dossiers/{code}"), a_span("s", name="POST /intake/dossiers")
    await receiver.take(a_request(look, deed).SerializeToString())

    found = await receiver.get("/telemetry/streams/s")
    everything = await receiver.get("/telemetry/streams/s?reads=true")
    recent = await receiver.get("/telemetry/traces")

    assert (found["reads"], [one["trace"] for one in found["traces"]]) == (1, [deed.trace_id.hex()])
    assert len(everything["traces"]) == 2
    listed = [one["id"] for one in recent["traces"]]
    assert (deed.trace_id.hex() in listed, look.trace_id.hex() in listed) == (True, False)


async def test_the_slowest_is_the_one_whose_last_effect_was_longest_in_coming(receiver: TheReceiver) -> None:
    slow, quick = a_span("slow"), a_span("quick")
    effect = a_span(
        "slow",
        trace_id=slow.trace_id,
        parent_span_id=slow.span_id,
        start_time_unix_nano=slow.end_time_unix_nano + 10**9,
        end_time_unix_nano=slow.end_time_unix_nano + 2 * 10**9,
    )
    await receiver.take(a_request(quick, slow).SerializeToString())
    await receiver.take(a_request(effect, service="routing").SerializeToString())

    found = (await receiver.get("/telemetry/traces?order=slowest"))["traces"]

    streams = [one["stream"] for one in found]
    assert streams[0] == "slow"
    assert "quick" in streams
    assert found[0]["ended"] - found[0]["began"] > 2 * 10**9


async def test_metrics_and_logs_come_in_and_are_asked_for(receiver: TheReceiver) -> None:
    now, trace = time.time_ns(), uuid.uuid4().bytes
    metrics, logs = ExportMetricsServiceRequest(), ExportLogsServiceRequest()
    metric = metrics.resource_metrics.add().scope_metrics.add().metrics.add(name="event.parked", unit="{event}")
    metric.gauge.data_points.add(time_unix_nano=now - 1, as_int=7)
    metric.gauge.data_points.add(time_unix_nano=now, as_int=3)
    timed = metrics.resource_metrics[0].scope_metrics[0].metrics.add(name="batch.heard", unit="s")
    timed.histogram.data_points.add(time_unix_nano=now, count=4, sum=0.5)
    line = (
        logs.resource_logs.add()
        .scope_logs.add()
        .log_records.add(time_unix_nano=now, severity_number=13, event_name="provider_away", trace_id=trace)
    )
    line.attributes.append(KeyValue(key="because", value=AnyValue(string_value="timed_out")))

    assert (await receiver.take(metrics.SerializeToString(), path="/v1/metrics")).status_code == 200
    assert (await receiver.take(_as_otlp_json(logs), JSON, "/v1/logs")).status_code == 200

    points = {one["name"]: one for one in (await receiver.get("/telemetry/metrics"))["points"]}
    assert (points["event.parked"]["value"], points["event.parked"]["unit"]) == (3, "{event}")
    assert (points["batch.heard"]["value"], points["batch.heard"]["count"]) == (0.5, 4)
    course = (await receiver.get("/telemetry/metrics/event.parked"))["points"]
    assert [one["value"] for one in course] == [7, 3]
    (of_trace,) = (await receiver.get(f"/telemetry/logs?trace={trace.hex()}"))["lines"]
    (warning,) = (await receiver.get("/telemetry/logs?level=warning"))["lines"]
    assert of_trace == warning
    assert (warning["event"], warning["attributes"]) == ("provider_away", {"because": "timed_out"})
    assert (await receiver.get("/telemetry/logs?level=error"))["lines"] == []


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"\xff\xff\xffgarbage", PROTOBUF, 400),
        (b"{not json", JSON, 400),
        (b"[" * 100_000, JSON, 400),
        (b'{"resourceSpans": 7}', JSON, 400),
        (b"\xff\xfe", JSON, 400),
        (b"not gzip", {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (gzip.compress(b"x" * 1000)[:-9], {**PROTOBUF, "Content-Encoding": "gzip"}, 400),
        (b"", {**PROTOBUF, "Content-Encoding": "br"}, 415),
        (b"<spans/>", {"Content-Type": "text/xml"}, 415),
        (b"\x00" * (LARGEST_BODY + 1), PROTOBUF, 413),
        (gzip.compress(b"\x00" * (LARGEST_UNPACKED + 1)), {**PROTOBUF, "Content-Encoding": "gzip"}, 413),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, int) else None,
)
async def test_what_is_no_telemetry_is_refused_in_otlp_s_own_words(
    receiver: TheReceiver, body: bytes, headers: dict[str, str], status: int
) -> None:
    refused = await receiver.take(body, headers)

    assert refused.status_code == status
    if headers == JSON:
        assert refused.json()["message"]
    else:
        assert Status.FromString(refused.content).message
    assert (await receiver.take(a_request(a_span()).SerializeToString())).status_code == 200, "it goes on"


async def test_a_body_without_a_length_is_counted_while_it_comes(receiver: TheReceiver) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(receiver.url.rpartition(":")[2]))
    writer.write(
        b"POST /v1/traces HTTP/1.1\r\nHost: receiver\r\nContent-Type: application/x-protobuf\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    chunk = b"%x\r\n" % 1_000_000 + b"\x00" * 1_000_000 + b"\r\n"
    for _ in range(LARGEST_BODY // 1_000_000 + 1):
        writer.write(chunk)

    answered = await reader.readline()

    writer.close()
    assert answered.split()[1] == b"413"
    assert (await receiver.take(a_request(a_span()).SerializeToString())).status_code == 200, "it goes on"


async def test_spans_that_are_not_fit_are_counted_and_the_others_kept(receiver: TheReceiver) -> None:
    bad = [a_span(trace_id=b"\x00" * 16), a_span(span_id=b"short"), a_span(start_time_unix_nano=2**64 - 1)]

    taken = await receiver.take(a_request(a_span("good"), *bad).SerializeToString())

    answer = ExportTraceServiceResponse.FromString(taken.content)
    assert (taken.status_code, answer.partial_success.rejected_spans) == (200, 3)
    assert len((await receiver.get("/telemetry/streams/good"))["traces"]) == 1


async def test_what_was_answered_survives_a_kill(tmp_path: Path) -> None:
    async with a_receiver(tmp_path) as first:
        await first.take(a_request(a_span("kept")).SerializeToString())
        first.process.kill()
        await first.process.wait()

    async with a_receiver(tmp_path) as second:
        assert len((await second.get("/telemetry/streams/kept"))["traces"]) == 1


async def test_a_broken_file_is_put_aside_and_a_new_one_begun(tmp_path: Path) -> None:
    (tmp_path / "traces.db").write_bytes(b"no database " * 1000)

    async with a_receiver(tmp_path) as receiver:
        await receiver.take(a_request(a_span("new")).SerializeToString())
        assert len((await receiver.get("/telemetry/streams/new"))["traces"]) == 1

    assert (tmp_path / "traces.broken").read_bytes().startswith(b"no database")


async def test_without_room_on_the_disk_spans_are_dropped_and_that_is_said(tmp_path: Path) -> None:
    async with a_receiver(tmp_path, RECEIVER_KEEP_FREE_BYTES=str(2**60)) as receiver:
        taken = await receiver.take(a_request(a_span("lost"), a_span("lost")).SerializeToString())

        answer = ExportTraceServiceResponse.FromString(taken.content)
        assert taken.status_code == 200, "an exporter must not send it again and again"
        assert answer.partial_success.rejected_spans == 2
        assert "disk_full" in answer.partial_success.error_message
        shelf = (await receiver.get("/telemetry/status"))["traces"]
        assert (shelf["dropped"], shelf["dropping"]) == (2, "disk_full")
        assert (await receiver.client.get(f"{receiver.url}/health/ready")).status_code == 200


async def test_a_file_that_may_grow_no_more_drops_spans_and_keeps_what_it_has(tmp_path: Path) -> None:
    """The kernel's own refusal (a file size limit stands for a full disk), not a setting of ours."""
    async with a_receiver(tmp_path) as receiver:
        await receiver.take(a_request(a_span("before")).SerializeToString())
    limited = "import resource,runpy;resource.setrlimit(resource.RLIMIT_FSIZE,(400000,400000));"
    runner = tmp_path / "limited"
    runner.mkdir()
    (runner / "sitecustomize.py").write_text(limited.replace(";", "\n"), encoding="utf-8")

    async with a_receiver(tmp_path, PYTHONPATH=str(runner)) as receiver:
        rejected = 0
        for _ in range(30):
            spans = [a_span("much", name="x" * 300) for _ in range(100)]
            taken = await receiver.take(a_request(*spans).SerializeToString())
            assert taken.status_code == 200
            rejected += ExportTraceServiceResponse.FromString(taken.content).partial_success.rejected_spans

        assert rejected > 0
        assert (await receiver.get("/telemetry/status"))["traces"]["dropped"] == rejected
        assert len((await receiver.get("/telemetry/streams/before"))["traces"]) == 1


async def test_two_receivers_do_not_write_into_one_folder(receiver: TheReceiver) -> None:
    with pytest.raises(AssertionError, match="ended with status 1"):
        async with a_receiver(receiver.folder):
            raise RuntimeError("the second one started")


async def test_only_operators_may_ask(receiver: TheReceiver) -> None:
    for path in ("/telemetry/traces", "/telemetry/streams/s", "/telemetry/logs", "/telemetry/metrics"):
        nobody = await receiver.client.get(f"{receiver.url}{path}")
        other = await receiver.client.get(
            f"{receiver.url}{path}", headers={"X-Dev-Actor": "id=desk-1; unit=H41; roles=desk"}
        )

        assert (nobody.status_code, other.status_code) == (401, 403), path
    unknown = await receiver.client.get(f"{receiver.url}/telemetry/traces/{'0' * 31}1", headers=OPERATOR)
    assert unknown.status_code == 404
    assert unknown.headers["content-type"] == "application/problem+json"


async def test_the_folder_is_nobody_else_s(receiver: TheReceiver) -> None:
    assert receiver.folder.stat().st_mode & 0o077 == 0
    with sqlite3.connect(receiver.folder / "traces.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
