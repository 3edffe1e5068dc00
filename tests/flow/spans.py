"""Where the services' OTLP goes in a test: every span and metric, as the bytes that were exported."""

from __future__ import annotations

import sys
import zlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass(slots=True)
class Spans:
    """What was exported until now, path and protobuf as it came (a string in it is UTF-8, so it can be looked for).

    ``answers``: the status of the next answers; what is refused is not kept. ``headers``: of what was kept.
    """

    endpoint: str
    exported: list[tuple[str, bytes]] = field(default_factory=list)
    answers: int = 200
    headers: list[Mapping[str, str]] = field(default_factory=list)

    def hold(self, text: bytes) -> bool:
        """Whether anything exported holds these bytes."""
        return any(text in one for _, one in self.exported)

    def of(self, path: str) -> list[bytes]:
        """What was exported to a path: `/v1/traces`, `/v1/metrics` or `/v1/logs`."""
        return [one for where, one in self.exported if where == path]


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A service that was killed in the middle of an export is nothing to print; anything else is."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@asynccontextmanager
async def collected() -> AsyncIterator[Spans]:
    """A receiver of OTLP over HTTP on a free port of the loopback; in threads, so that no test's loop has its tasks."""
    received = Spans("")

    class Receiver(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            packed = self.headers.get("Content-Encoding") == "gzip"
            if received.answers == 200:
                received.exported.append((self.path, zlib.decompress(body, wbits=31) if packed else body))
                received.headers.append(dict(self.headers.items()))
            self.send_response(received.answers)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Say nothing: the name is the standard library's."""

    server = _Server(("127.0.0.1", 0), Receiver)
    Thread(target=server.serve_forever, name="spans", daemon=True).start()
    received.endpoint = f"http://127.0.0.1:{server.server_port}"
    try:
        yield received
    finally:
        server.shutdown()
        server.server_close()
