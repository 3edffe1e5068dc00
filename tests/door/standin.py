"""A service's stand-in on a real socket: each test says, byte by byte if need be, how it behaves."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Asked:
    """A request's head as the stand-in read it."""

    line: str
    fields: tuple[tuple[str, str], ...]

    def values(self, name: str) -> list[str]:
        return [value for known, value in self.fields if known == name]


Behaviour = Callable[[Asked, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def read_head(reader: asyncio.StreamReader) -> Asked:
    """The next request's line and fields; raises asyncio.IncompleteReadError when the peer is gone."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *rest = head.rstrip("\r\n").split("\r\n")
    fields = [entry.partition(":") for entry in rest]
    return Asked(line, tuple((name.lower(), value.strip()) for name, _, value in fields))


async def read_body(reader: asyncio.StreamReader, asked: Asked) -> bytes:
    """The body that the head announces, of either framing."""
    if asked.values("transfer-encoding") == ["chunked"]:
        body = b""
        while size := int((await reader.readuntil(b"\r\n")).strip(), 16):
            body += await reader.readexactly(size)
            await reader.readexactly(2)
        await reader.readexactly(2)
        return body
    return await reader.readexactly(int((asked.values("content-length") or ["0"])[0]))


def answer(body: bytes, status: str = "200 OK", fields: str = "") -> bytes:
    """A whole answer."""
    return f"HTTP/1.1 {status}\r\ncontent-length: {len(body)}\r\n{fields}\r\n".encode("latin-1") + body


@dataclass
class StandIn:
    """Listens on its own port and does what `behaviour` says for each request; by default it answers "well"."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    open_connections: int = 0
    behaviour: Behaviour | None = None
    _server: asyncio.Server | None = None
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """No longer listen, and drop every connection."""
        if self._server is not None:
            self._server.close()
        for task in list(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def forget(self) -> None:
        """Be as new, except that open connections stay open."""
        self.asked.clear()
        self.connections = 0
        self.behaviour = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open_connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                while not writer.is_closing():
                    asked = await read_head(reader)
                    self.asked.append(asked)
                    await (self.behaviour or well)(asked, reader, writer)
        finally:
            self.open_connections -= 1
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError, asyncio.CancelledError):
                await writer.wait_closed()


async def well(asked: Asked, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Read the body and answer 200."""
    await read_body(reader, asked)
    writer.write(answer(b"well"))
    await writer.drain()
