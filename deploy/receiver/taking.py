"""OTLP over HTTP: what comes to `/v1/traces`, `/v1/metrics` and `/v1/logs`, and what is answered.

Answers are OTLP's: a response of the request's own encoding with ``partial_success`` where something was dropped (which
is not to be sent again), and ``google.rpc.Status`` for a request that was refused.
"""

from __future__ import annotations

import asyncio
import logging
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from deploy.receiver import otlp
from deploy.receiver.otlp import Garbage, Rows
from deploy.receiver.shelf import Shelf

log = logging.getLogger(__name__)

LARGEST_BODY: Final = 16 * 1024 * 1024
"""Bytes on the wire."""
LARGEST_UNPACKED: Final = 64 * 1024 * 1024
"""Bytes after gzip: a small body must not become a large memory."""

_AT_ONCE: Final = 4
_PROTOBUF: Final = "application/x-protobuf"
_JSON: Final = "application/json"

Taken: TypeAlias = tuple[int, str]
"""How many items were dropped, and why."""


class NotTakenError(Exception):
    """A request that is not taken at all: HTTP status, gRPC code, and a sentence."""

    def __init__(self, status: int, code: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status
        self.code = code
        self.sentence = sentence


@dataclass(slots=True)
class Taking:
    """Takes requests onto three shelves; at most four are parsed at once, the others wait with their bodies unread."""

    traces: Shelf
    metrics: Shelf
    logs: Shelf
    _turns: asyncio.Semaphore

    @classmethod
    def onto(cls, traces: Shelf, metrics: Shelf, logs: Shelf) -> Taking:
        """Taking onto these shelves."""
        return cls(traces, metrics, logs, asyncio.Semaphore(_AT_ONCE))

    async def spans(self, request: Request) -> Response:
        """`POST /v1/traces`."""

        def kept(body: bytes, as_json: bool) -> Message:
            read = _read(otlp.read(body, ExportTraceServiceRequest(), as_json=as_json))
            count, why = _kept(self.traces, otlp.span_rows(read, time.time()))
            response = ExportTraceServiceResponse()
            if count:
                response.partial_success.rejected_spans = count
                response.partial_success.error_message = why
            return response

        return await self._taken(request, kept)

    async def points(self, request: Request) -> Response:
        """`POST /v1/metrics`."""

        def kept(body: bytes, as_json: bool) -> Message:
            read = _read(otlp.read(body, ExportMetricsServiceRequest(), as_json=as_json))
            count, why = _kept(self.metrics, otlp.point_rows(read, time.time()))
            response = ExportMetricsServiceResponse()
            if count:
                response.partial_success.rejected_data_points = count
                response.partial_success.error_message = why
            return response

        return await self._taken(request, kept)

    async def lines(self, request: Request) -> Response:
        """`POST /v1/logs`."""

        def kept(body: bytes, as_json: bool) -> Message:
            read = _read(otlp.read(body, ExportLogsServiceRequest(), as_json=as_json))
            count, why = _kept(self.logs, otlp.line_rows(read, time.time()))
            response = ExportLogsServiceResponse()
            if count:
                response.partial_success.rejected_log_records = count
                response.partial_success.error_message = why
            return response

        return await self._taken(request, kept)

    async def _taken(self, request: Request, kept: Callable[[bytes, bool], Message]) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        as_json = kind == _JSON
        try:
            _check_kind(kind)
            async with self._turns:
                body = await _body(request)
                encoding = request.headers.get("content-encoding", "").strip().lower()
                answer = await asyncio.to_thread(lambda: kept(_unpacked(body, encoding), as_json))
        except NotTakenError as refused:
            log.warning("telemetry_refused", extra={"path": request.url.path, "because": refused.sentence})
            return _encoded(Status(code=refused.code, message=refused.sentence), as_json=as_json, status=refused.status)
        except ClientDisconnect:
            return Response(status_code=400)
        return _encoded(answer, as_json=as_json, status=200)


def _check_kind(kind: str) -> None:
    if kind not in {_JSON, _PROTOBUF}:
        raise NotTakenError(415, 3, f"send Content-Type: {_PROTOBUF} or {_JSON}")


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > LARGEST_BODY:
        raise _too_large()
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > LARGEST_BODY:
            raise _too_large()
        chunks.append(chunk)
    return b"".join(chunks)


def _unpacked(body: bytes, encoding: str) -> bytes:
    if encoding in {"", "identity"}:
        return body
    if encoding != "gzip":
        raise NotTakenError(415, 3, "send Content-Encoding: gzip, or none")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(body, LARGEST_UNPACKED)
    except zlib.error as error:
        raise NotTakenError(400, 3, "the body is not gzip") from error
    if unpacker.unconsumed_tail:
        raise _too_large()
    if not unpacker.eof:
        raise NotTakenError(400, 3, "the gzip body ends in its middle")
    return unpacked


def _too_large() -> NotTakenError:
    return NotTakenError(
        413, 8, f"a body has at most {LARGEST_BODY} bytes, {LARGEST_UNPACKED} when unpacked: export less at once"
    )


def _read(read: otlp.R | Garbage) -> otlp.R:
    if isinstance(read, Garbage):
        raise NotTakenError(400, 3, read.reason)
    return read


def _kept(shelf: Shelf, found: Rows) -> Taken:
    why = shelf.keep(found.rows)
    if why is not None:
        return len(found.rows) + found.unfit, f"dropped: {why}"
    return found.unfit, "not fit to be kept: ids, times or kind"


def _encoded(message: Message, *, as_json: bool, status: int) -> Response:
    if as_json:
        return Response(MessageToJson(message, indent=None), status, media_type=_JSON)
    return Response(message.SerializeToString(), status, media_type=_PROTOBUF)
