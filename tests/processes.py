"""For tests of whole processes: ports nobody uses, processes that are ended again, and waiting for something."""

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final

REPOSITORY = Path(__file__).resolve().parents[1]


# Below what kernels give to connections that go out, so that none of those takes it before it is listened on; and each
# only once: asked for three at a time, the kernel has given one number twice.
_PORTS: Final = range(24_000, 32_000)
_next: Final = itertools.count(os.getpid())


def free_port() -> int:
    """A port of the loopback that nobody listens on now, and that was not given before."""
    for nth in itertools.islice(_next, len(_PORTS)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port := _PORTS[nth % len(_PORTS)]))
            return port
    raise AssertionError("no port of the loopback is free")


async def until(holds: Callable[[], bool | Awaitable[bool]], what: str, *, seconds: float = 20) -> None:
    """Ask again and again until it holds; after `seconds` fail with `what` was waited for."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + seconds
    while True:
        answer = holds()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        if loop.time() > deadline:
            raise AssertionError(f"waited {seconds} s in vain: {what}")
        await asyncio.sleep(0.02)


async def listens(port: int) -> bool:
    """Whether somebody accepts connections on a port of the loopback."""
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@asynccontextmanager
async def running(
    module: str, environment: Mapping[str, str], *ports: int, before: tuple[str, ...] = ()
) -> AsyncIterator[asyncio.subprocess.Process]:
    """`python -m module`, yielded when it listens on all `ports`, ended at the end. `before` is put before the command.

    The process gets `environment` and of ours only what an interpreter needs.
    """
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        *before, sys.executable, "-m", module, env={**inherited, **environment}, cwd=REPOSITORY
    )
    try:
        for port in ports:
            await until(partial(_up, process, port), f"{module} listens on {port}", seconds=90)
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 15)
            except TimeoutError:
                process.kill()
                await process.wait()


async def _up(process: asyncio.subprocess.Process, port: int) -> bool:
    if process.returncode is not None:
        raise AssertionError(f"the process ended with status {process.returncode} before it listened on {port}")
    return await listens(port)
