"""A wire between two processes that can be slow, lead nowhere for a while, or lose its far end: a small TCP proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from deploy.launcher.layout import HOST

_CHUNK: Final = 65_536


@dataclass(slots=True, eq=False)
class _Line:
    """One connection through a wire. ``halved``: its far end is gone, and the near one was not told."""

    near: asyncio.StreamWriter
    far: asyncio.StreamWriter
    halved: bool = False


@dataclass(slots=True)
class Wire:
    """Passes bytes on, in both directions. ``delay``: seconds for every chunk."""

    port: int = 0
    delay: float = 0.0
    _there: asyncio.Event = field(default_factory=asyncio.Event)
    _back: asyncio.Event = field(default_factory=asyncio.Event)
    _passing: set[asyncio.Task[None]] = field(default_factory=set)
    _lines: set[_Line] = field(default_factory=set)

    def cut(self) -> None:
        """From now on nothing arrives, and nobody is told: connections stay open, as when a cable is pulled."""
        self._there.clear()
        self._back.clear()

    def cut_answers(self) -> None:
        """What is asked arrives and is done, and nobody hears of it: one direction leads nowhere."""
        self._back.clear()

    def mend(self) -> None:
        """What was on its way arrives, as TCP would send it again."""
        self._there.set()
        self._back.set()

    def halve(self) -> int:
        """The far ends of all connections are gone, and the near ones are never told; how many there were.

        As when a firewall forgets a connection, or the other machine came up anew: whoever waits for an answer on one
        of these waits until he gives it up himself. New connections pass.
        """
        for line in self._lines:
            line.halved = True
            line.far.close()
        return len(self._lines)

    async def _carry(
        self, line: _Line, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, whole: asyncio.Event
    ) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await asyncio.sleep(self.delay)
                await whole.wait()
                if not line.halved:
                    writer.write(chunk)
                    await writer.drain()
        if not line.halved:
            writer.close()

    async def _pass(self, reader: asyncio.StreamReader, near: asyncio.StreamWriter, port: int) -> None:
        try:
            there, far = await asyncio.open_connection(HOST, port)
        except OSError:
            near.close()
            return
        line = _Line(near, far)
        self._lines.add(line)
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(line, reader, far, self._there))
                both.create_task(self._carry(line, there, near, self._back))
        finally:
            self._lines.discard(line)
            near.close()
            far.close()


@asynccontextmanager
async def wire_to(port: int, *, at: int = 0) -> AsyncIterator[Wire]:
    """A wire to a port of this machine, on a port of its own: ``at``, where others must know it beforehand."""
    wire = Wire()
    wire.mend()

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(wire._pass(reader, writer, port))
        wire._passing.add(task)
        task.add_done_callback(wire._passing.discard)

    server = await asyncio.start_server(accepted, HOST, at)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in wire._passing:
            task.cancel()
        await asyncio.gather(*wire._passing, return_exceptions=True)


def through(url: str, port: int) -> str:
    """The same address, by way of another port of this machine."""
    parts = urlsplit(url)
    who, _, _ = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=f"{who}@{HOST}:{port}"))
