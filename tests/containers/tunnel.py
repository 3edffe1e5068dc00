"""A way from this machine into the network namespace of a container, for those who may enter it, and nobody else.

A port of this machine's loopback leads to an address as the container sees it: every connection is one `docker exec`
that carries bytes. So a test's request comes from the loopback *there*, as an operator's within the container does.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

_CARRIER = """
import os, socket, sys, threading
there = socket.create_connection((sys.argv[1], int(sys.argv[2])))
def back():
    while data := there.recv(65536):
        os.write(1, data)
    os._exit(0)
threading.Thread(target=back, daemon=True).start()
while data := os.read(0, 65536):
    there.sendall(data)
"""


@asynccontextmanager
async def tunnels(container: str, targets: Mapping[int, tuple[str, int]]) -> AsyncIterator[None]:
    """While the block runs, port -> (host, port) as `container` sees it; all its connections end with the block."""
    carried: set[asyncio.Task[None]] = set()

    def leading_to(host: str, port: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(_carry(container, host, port, reader, writer))
            carried.add(task)
            task.add_done_callback(carried.discard)

        return accept

    async with contextlib.AsyncExitStack() as stack:
        for local, (host, port) in targets.items():
            server = await asyncio.start_server(leading_to(host, port), "127.0.0.1", local)
            stack.callback(server.close)
        try:
            yield
        finally:
            for task in carried:
                task.cancel()
            await asyncio.gather(*carried, return_exceptions=True)


async def _carry(
    container: str, host: str, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    command = ("docker", "exec", "-i", container, "python", "-I", "-c", _CARRIER, host, str(port))
    carrier = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    assert carrier.stdin is not None
    assert carrier.stdout is not None
    try:
        ways = [
            asyncio.ensure_future(_copy(reader, carrier.stdin)),
            asyncio.ensure_future(_copy(carrier.stdout, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
    finally:
        with contextlib.suppress(ProcessLookupError):
            carrier.kill()
        await carrier.wait()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def _copy(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await source.read(65536):
            target.write(data)
            await target.drain()
