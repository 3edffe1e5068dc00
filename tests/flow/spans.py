"""Where the services' OTLP goes in a test: every span and metric, as the bytes that were exported."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class Spans:
    """What was exported until now, protobuf as it came (a string in it is UTF-8, so it can be looked for)."""

    endpoint: str
    exported: list[bytes] = field(default_factory=list)

    def hold(self, text: bytes) -> bool:
        """Whether anything exported holds these bytes."""
        return any(text in one for one in self.exported)


@asynccontextmanager
async def collected() -> AsyncIterator[Spans]:
    """A receiver of OTLP over HTTP on a free port of the loopback."""
    received: list[bytes] = []

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while request := await reader.readuntil(b"\r\n\r\n"):
                headers = dict(line.lower().split(b": ", 1) for line in request.split(b"\r\n")[1:] if b": " in line)
                body = await reader.readexactly(int(headers.get(b"content-length", b"0")))
                packed = headers.get(b"content-encoding") == b"gzip"
                received.append(zlib.decompress(body, wbits=31) if packed else body)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    try:
        yield Spans(f"http://127.0.0.1:{port}", received)
    finally:
        server.close()
