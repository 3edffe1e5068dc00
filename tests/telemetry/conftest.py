"""A real receiver in its own process, on an empty folder."""

from __future__ import annotations

import time
import uuid
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from tests.processes import free_port, running

OPERATOR: Final = {"X-Dev-Actor": "id=op-7; roles=operator"}
PROTOBUF: Final = {"Content-Type": "application/x-protobuf"}
JSON: Final = {"Content-Type": "application/json"}


@dataclass(frozen=True, slots=True)
class TheReceiver:
    """A receiver's address, folder and process."""

    url: str
    folder: Path
    process: Process
    client: httpx.AsyncClient

    async def take(self, body: bytes, kind: dict[str, str] = PROTOBUF, path: str = "/v1/traces") -> httpx.Response:
        """Send a body as an exporter does."""
        return await self.client.post(f"{self.url}{path}", content=body, headers=kind)

    async def get(self, path: str) -> dict[str, Any]:
        """Ask as an operator; the answer must be a success."""
        answer = await self.client.get(f"{self.url}{path}", headers=OPERATOR)
        answer.raise_for_status()
        told: dict[str, Any] = answer.json()
        return told


@asynccontextmanager
async def a_receiver(folder: Path, **environment: str) -> AsyncIterator[TheReceiver]:
    """A receiver for a test that needs other settings."""
    port = free_port()
    given = {"RECEIVER_FOLDER": str(folder), "RECEIVER_PORT": str(port), "DEV_ACTOR": "true"}
    async with (
        running("deploy.receiver", given | environment, port) as process,
        httpx.AsyncClient(timeout=30, trust_env=False) as client,
    ):
        yield TheReceiver(f"http://127.0.0.1:{port}", folder, process, client)


@pytest.fixture(scope="module")
async def receiver(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TheReceiver]:
    """One for all tests of a module: each uses streams of its own."""
    async with a_receiver(tmp_path_factory.mktemp("receiver") / "telemetry") as one:
        yield one


def a_span(stream: str | None = None, **changed: Any) -> Span:
    """A valid span of 5 ms; root of a trace of its own unless changed."""
    now = time.time_ns()
    given: dict[str, Any] = {
        "trace_id": uuid.uuid4().bytes,
        "span_id": uuid.uuid4().bytes[:8],
        "name": "receive dossier",
        "kind": Span.SPAN_KIND_INTERNAL,
        "start_time_unix_nano": now - 5_000_000,
        "end_time_unix_nano": now,
    }
    span = Span(**{**given, **changed})
    if stream is not None:
        span.attributes.append(KeyValue(key="lienthong.stream", value=AnyValue(string_value=stream)))
    return span


def a_request(*spans: Span, service: str = "intake") -> ExportTraceServiceRequest:
    """An export of spans by one service."""
    resource = Resource(attributes=[KeyValue(key="service.name", value=AnyValue(string_value=service))])
    return ExportTraceServiceRequest(
        resource_spans=[ResourceSpans(resource=resource, scope_spans=[ScopeSpans(spans=spans)])]
    )
