"""One command's trace is complete: from the HTTP request through four services to the mail handed to the provider."""

from __future__ import annotations

import json
from itertools import pairwise

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from deploy.journey.walks import Step, Walk, walk_of
from deploy.receiver.otlp import Garbage, Row, line_rows, point_rows, read, span_rows
from tests.flow.river import WARD_DESK, WARD_PROCEDURE, River
from tests.processes import until

RECEIVED = [
    ("intake", "POST /intake/dossiers", None),
    ("intake", "receive dossier", "POST /intake/dossiers"),
    ("intake", "send intake.dossier", "receive dossier"),
    ("intake", "send intake.contact", "receive dossier"),
    ("routing", "process intake.dossier", "send intake.dossier"),
    ("notification", "process intake.dossier", "send intake.dossier"),
    ("reporting", "process intake.dossier", "send intake.dossier"),
    ("notification", "process intake.contact", "send intake.contact"),
    ("routing", "send routing.dossier", "process intake.dossier"),
    ("intake", "process routing.dossier", "send routing.dossier"),
    ("reporting", "process routing.dossier", "send routing.dossier"),
    ("notification", "send notice", "process intake.dossier"),
    ("notification", "send mail", "send notice"),
    ("notification", "send notification.dossier", "send notice"),
    ("intake", "process notification.dossier", "send notification.dossier"),
    ("reporting", "process notification.dossier", "send notification.dossier"),
]
"""Service, span, and the span that it is a child of."""


def _exported(river: River) -> list[Row]:
    """Every span until now, as the receiver reads it."""
    found: list[Row] = []
    for body in river.spans.of("/v1/traces"):
        request = read(body, ExportTraceServiceRequest(), as_json=False)
        assert not isinstance(request, Garbage)
        found.extend(_opened(row) for row in span_rows(request, 0).rows)
    return found


def _opened(row: Row) -> Row:
    return {**row, **{name: json.loads(row[name]) for name in ("attributes", "links")}}


def _walk(river: River, stream: str, root: str) -> Walk | None:
    """The walk of the command on a stream whose root has this name."""
    spans = _exported(river)
    for root_span in spans:
        if root_span["name"] == root and root_span["attributes"].get("lienthong.stream") == stream:
            return walk_of(root_span["trace"], [one for one in spans if one["trace"] == root_span["trace"]])
    return None


def _tree(walk: Walk) -> set[tuple[str, str, str | None]]:
    found: set[tuple[str, str, str | None]] = set()

    def look(step: Step, parent: str | None) -> None:
        found.add((step.span.service, step.span.name, parent))
        for one in step.causes:
            look(one, step.span.name)

    for root in walk.steps:
        look(root, None)
    return found


async def test_a_reception_s_trace_has_every_hop_with_its_parent_and_its_stream(river: River) -> None:
    receipt = await river.receive(WARD_PROCEDURE, email="vet@example.vn")
    await river.settled()

    def complete() -> bool:
        walk = _walk(river, receipt["id"], "POST /intake/dossiers")
        return walk is not None and _tree(walk) >= set(RECEIVED)

    await until(complete, "every span of the reception is exported", seconds=60)
    walk = _walk(river, receipt["id"], "POST /intake/dossiers")
    assert walk is not None
    # Routing's day may begin several things; apart from them there is nothing that is not in the table.
    assert _tree(walk) == set(RECEIVED)
    assert walk.whole
    assert {step.span.stream for step in walk.all()} == {receipt["id"]}
    assert {step.span.error for step in walk.all()} == {None}
    assert walk.name == "receive dossier"
    assert set(walk.events) >= {"DossierReceived", "StageStarted", "NoticeSent"}
    assert receipt["code"] not in json.dumps([dict(step.span.attributes) for step in walk.all()])


async def test_waiting_and_working_make_up_the_whole_and_never_overlap(river: River) -> None:
    receipt = await river.receive(WARD_PROCEDURE, email="cho@example.vn")
    await river.settled()

    def there() -> bool:
        walk = _walk(river, receipt["id"], "POST /intake/dossiers")
        return walk is not None and _tree(walk) >= set(RECEIVED)

    await until(there, "every span of the reception is exported", seconds=60)
    walk = _walk(river, receipt["id"], "POST /intake/dossiers")
    assert walk is not None
    assert walk.working + walk.waiting == walk.ns
    assert walk.working > 0
    for step in walk.all():
        places = [(one.began, one.ended) for one in step.waits]
        assert all(began < ended <= step.span.began for began, ended in places), step.span.name
        assert all(one[1] <= other[0] for one, other in pairwise(places)), step.span.name


async def test_a_batch_has_a_span_of_its_own_that_links_its_messages(river: River) -> None:
    receipt = await river.receive(WARD_PROCEDURE)
    await river.settled()

    def linked() -> bool:
        spans = _exported(river)
        links = {tuple(link) for one in spans if one["name"].startswith(("process ", "send ")) for link in one["links"]}
        mine = [
            one
            for one in spans
            if one["attributes"].get("lienthong.stream") == receipt["id"]
            and one["kind"] in {"producer", "consumer"}
            and not one["name"].endswith(".contact")
        ]
        return len(mine) >= 4 and all((one["trace"], one["id"]) in links for one in mine)

    await until(linked, "every message's span is linked by a batch", seconds=60)
    batches = [one for one in _exported(river) if one["links"]]
    assert all(one["attributes"].get("lienthong.stream") is None for one in batches)
    assert all(one["parent"] is None for one in batches)


async def test_an_officer_s_command_has_a_trace_of_its_own_to_its_last_effect(river: River) -> None:
    receipt = await river.receive()
    await river.settled()
    await river.act(receipt["id"], {"kind": "hand_over"}, WARD_DESK)
    await river.settled()
    root = "POST /routing/dossiers/{dossier}/commands"
    hops = {
        ("routing", "carry out hand over", root),
        ("routing", "send routing.dossier", "carry out hand over"),
        ("intake", "process routing.dossier", "send routing.dossier"),
        ("reporting", "process routing.dossier", "send routing.dossier"),
    }

    def complete() -> bool:
        walk = _walk(river, receipt["id"], root)
        return walk is not None and _tree(walk) >= hops

    await until(complete, "every span of the hand-over is exported", seconds=60)
    walk = _walk(river, receipt["id"], root)
    assert walk is not None
    assert "HandedOver" in walk.events
    reception = _walk(river, receipt["id"], "POST /intake/dossiers")
    assert reception is not None
    assert walk.trace != reception.trace


async def test_services_tell_figures_and_log_events(river: River) -> None:
    await river.receive(WARD_PROCEDURE, email="so@example.vn")
    await river.settled()

    def figures() -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for body in river.spans.of("/v1/metrics"):
            request = read(body, ExportMetricsServiceRequest(), as_json=False)
            assert not isinstance(request, Garbage)
            found |= {(one["service"], one["name"]) for one in point_rows(request, 0).rows}
        return found

    def events() -> set[tuple[str, str]]:
        found: set[tuple[str, str]] = set()
        for body in river.spans.of("/v1/logs"):
            request = read(body, ExportLogsServiceRequest(), as_json=False)
            assert not isinstance(request, Garbage)
            found |= {(one["service"], one["event"]) for one in line_rows(request, 0).rows}
        return found

    everywhere = {"event.unheard", "event.heard", "event.parked", "letter.buried", "loop.delayed", "batch.heard"}
    wanted = {(service, name) for service in ("intake", "routing", "notification", "reporting") for name in everywhere}
    wanted |= {("routing", "timer.awaited"), ("notification", "attempt.made"), ("intake", "event.sent")}
    await until(lambda: wanted <= figures(), "the services tell their figures", seconds=60)
    await until(lambda: ("notification", "notice_sent") in events(), "log events come, too", seconds=60)
