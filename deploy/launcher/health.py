"""What runs, how it is, and what each service says of itself: the content of `lienthong status`."""

from __future__ import annotations

import asyncio
import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import httpx

from deploy.launcher import state
from deploy.launcher.layout import SERVICES
from deploy.launcher.programs import is_healthy

if TYPE_CHECKING:
    from deploy.launcher.layout import Layout

HTTP_PROCESSES = ("mail", "receiver", *SERVICES, "operations", "door")
_SECONDS = 3


@dataclass(frozen=True, slots=True)
class ProcessHealth:
    """One process. `up_seconds` and `pid` are None when it does not run; `address` is how to reach it."""

    name: str
    pid: int | None
    up_seconds: int | None
    ready: bool
    address: str


@dataclass(frozen=True, slots=True)
class ServiceHealth:
    """What a service answers at /<service>/operations/status; None when it does not answer."""

    name: str
    answer: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Health:
    """All of it. `running` tells whether a supervisor watches; `stage` what it is doing.

    `receiver` is what the receiver of traces says of its shelves; None when it does not answer.
    """

    running: bool
    stage: str
    external: tuple[str, ...]
    processes: tuple[ProcessHealth, ...]
    services: tuple[ServiceHealth, ...]
    receiver: dict[str, Any] | None = None

    @property
    def is_well(self) -> bool:
        """Everything runs, is ready and answers."""
        return (
            self.running
            and all(process.ready for process in self.processes)
            and all(service.answer is not None for service in self.services)
        )

    def as_json(self) -> dict[str, Any]:
        """For `--json`: the same, with `well` said."""
        return {"well": self.is_well, **asdict(self)}


async def look(layout: Layout) -> Health:
    """Ask every process and every service, each within three seconds."""
    known = state.read(layout)
    running = known.supervisor is not None and state.is_alive(known.supervisor)
    names = [name for name in ("postgres", "kafka", *HTTP_PROCESSES) if name not in known.external]
    processes = await asyncio.gather(*(_process(layout, known, name) for name in names))
    async with httpx.AsyncClient(timeout=_SECONDS, trust_env=False) as client:
        services = await asyncio.gather(*(_service(layout, client, name) for name in SERVICES)) if running else []
        receiver = await _answer(client, f"{layout.url('receiver')}/telemetry/status") if running else None
    stage = known.stage if running else ""
    return Health(running, stage, known.external, tuple(processes), tuple(services), receiver)


async def _process(layout: Layout, known: state.State, name: str) -> ProcessHealth:
    entry = known.child(name)
    port = layout.ports[name]
    if entry is None or not state.is_alive(entry):
        return ProcessHealth(name, None, None, ready=False, address=f"127.0.0.1:{port}")
    ready = await is_healthy(port) if name in HTTP_PROCESSES else await _listens(port)
    address = layout.url(name) if name in HTTP_PROCESSES else f"127.0.0.1:{port}"
    return ProcessHealth(name, entry.pid, int(time.time() - entry.started), ready, address)


async def _service(layout: Layout, client: httpx.AsyncClient, name: str) -> ServiceHealth:
    return ServiceHealth(name, await _answer(client, f"{layout.url(name)}/{name}/operations/status"))


async def _answer(client: httpx.AsyncClient, url: str) -> dict[str, Any] | None:
    try:
        response = await client.get(url)
        answer = response.json() if response.status_code == httpx.codes.OK else None
    except (httpx.HTTPError, ValueError):
        return None
    return answer if isinstance(answer, dict) else None


async def _listens(port: int) -> bool:
    try:
        async with asyncio.timeout(_SECONDS):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.close()
    except (OSError, TimeoutError):
        return False
    return True
