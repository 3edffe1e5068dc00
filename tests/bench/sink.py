"""Who stands for the receiver of telemetry: ``python -m tests.bench.sink PORT``.

It takes OTLP over HTTP and keeps nothing: what becomes of spans and figures is done on a machine of its own. To ``GET`` it
says as JSON how many bytes it took, and the processor seconds that it used.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from typing import Final, cast

import uvloop

_END: Final = b"\r\n\r\n"
_LENGTH: Final = b"content-length:"
_TAKEN: Final = b"HTTP/1.1 200 OK\r\ncontent-type: application/x-protobuf\r\ncontent-length: 0\r\n\r\n"
_SAID: Final = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{}"


class _Sink:
    """What was taken from all."""

    def __init__(self) -> None:
        self.taken = 0

    def said(self) -> bytes:
        body = json.dumps({"bytes": self.taken, "used": time.process_time()})
        return _SAID.format(len(body), body).encode()


class _Conversation(asyncio.Protocol):
    """With one that exports: a body is passed over, and answered when all of it came."""

    def __init__(self, sink: _Sink) -> None:
        self._sink = sink
        self._read = b""
        self._left = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while self._read:
            if self._left:
                here = min(self._left, len(self._read))
                self._left -= here
                self._read = self._read[here:]
                if not self._left:
                    self._transport.write(_TAKEN)
                continue
            head, found, rest = self._read.partition(_END)
            if not found:
                return
            self._read = rest
            self._begin(head)

    def _begin(self, head: bytes) -> None:
        if head.startswith(b"GET"):
            self._transport.write(self._sink.said())
            return
        self._left = length_of(head)
        self._sink.taken += self._left
        if not self._left:
            self._transport.write(_TAKEN)


def length_of(head: bytes) -> int:
    """How many bytes follow a request's head."""
    _, _, rest = head.lower().partition(_LENGTH)
    return int(rest.partition(b"\r\n")[0] or 0)


async def main() -> None:
    """Take telemetry until killed."""
    sink = _Sink()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Conversation(sink), "127.0.0.1", int(sys.argv[1]), backlog=512)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
