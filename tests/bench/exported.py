"""Telemetry as it is shipped: every trace recorded, and spans, figures and log events sent over HTTP to a sink."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Final

import httpx

from deploy.launcher import process, programs
from tests.layouts import BENCH

ENDPOINT: Final = BENCH.url("receiver")
SAMPLED: Final = 1.0
TOLD: Final = {"OTEL_EXPORTER_OTLP_ENDPOINT": ENDPOINT, "TRACES_SAMPLED": str(SAMPLED), "LOG_LEVEL": "INFO"}
"""For the environment of a service: what it is given by default, whatever the shell says."""
_ON_ITS_WAY: Final = 2.0
"""Seconds after which what was told of the work is with the sink: spans are gathered for one."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the sink had taken at a moment, in bytes, and the processor seconds that it had used."""

    bytes: int
    used: float


@asynccontextmanager
async def sink() -> AsyncIterator[None]:
    """Whoever exports finds somebody who takes it, in a process of its own that is in no side's time."""
    command = (sys.executable, "-m", "tests.bench.sink", str(BENCH.ports["receiver"]))
    program = replace(programs.receiver(BENCH), command=command)
    running = process.start(program, BENCH)
    try:
        await process.wait_ready(program, running)
        yield
    finally:
        await running.stop()


async def taken() -> Taken:
    """What the sink says of itself now."""
    async with httpx.AsyncClient(trust_env=False) as client:
        return Taken(**(await client.get(ENDPOINT)).raise_for_status().json())


async def exported_since(before: Taken, count: int) -> dict[str, float]:
    """For each of ``count`` things, what was sent, and what taking it took. SystemExit when nothing was sent: a side that
    says nothing of its work is not the one that is shipped."""
    await asyncio.sleep(_ON_ITS_WAY)
    now = await taken()
    if now.bytes == before.bytes:
        raise SystemExit("No telemetry left the side that was measured: there is no figure.")
    return {
        "telemetry, bytes": (now.bytes - before.bytes) / count,
        "who takes it, µs": (now.used - before.used) / count * 1e6,
    }
