"""A wire between two processes that can be slow, or lead nowhere for a while: a small TCP proxy."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from deploy.launcher.layout import HOST

_CHUNK: Final = 65_536


@dataclass(slots=True)
class Wire:
    """Passes bytes on, in both directions. ``delay``: seconds for every chunk."""

    port: int = 0
    delay: float = 0.0
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _passing: set[asyncio.Task[None]] = field(default_factory=set)

    def cut(self) -> None:
        """From now on nothing arrives, and nobody is told: connections stay open, as when a cable is pulled."""
        self._whole.clear()

    def mend(self) -> None:
        """What was on its way arrives, as TCP would send it again."""
        self._whole.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while chunk := await reader.read(_CHUNK):
                await asyncio.sleep(self.delay)
                await self._whole.wait()
                writer.write(chunk)
                await writer.drain()
        writer.close()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[Wire]:
    """A wire to a port of this machine, on a port of its own."""
    wire = Wire()
    wire.mend()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_connection(HOST, port)
        except OSError:
            writer.close()
            return
        async with asyncio.TaskGroup() as both:
            both.create_task(wire._carry(reader, back))
            both.create_task(wire._carry(there, writer))

    def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(connected(reader, writer))
        wire._passing.add(task)
        task.add_done_callback(wire._passing.discard)

    server = await asyncio.start_server(accepted, HOST, 0)
    wire.port = server.sockets[0].getsockname()[1]
    try:
        yield wire
    finally:
        server.close()
        for task in wire._passing:
            task.cancel()
        await asyncio.gather(*wire._passing, return_exceptions=True)
