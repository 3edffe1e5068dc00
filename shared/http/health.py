"""Whether the process lives, whether it is ready, and how late its event loop runs."""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from fastapi import APIRouter
from starlette.responses import JSONResponse

TICK = 0.25
"""Seconds between two measurements."""
WINDOW = 10.0
"""Seconds for which a late tick is remembered."""
TOO_LATE = 1.0
"""Seconds. Later than this, somebody waits: work of over 50 ms belongs into a process pool, not into the loop."""


class LoopLag:
    """How late the event loop runs what is due, in seconds: the worst tick of the last ten seconds."""

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._late: deque[tuple[float, float]] = deque()

    @property
    def worst(self) -> float:
        """In seconds; 0.0 before the first tick. Also the value of the metric."""
        since = self._clock() - WINDOW
        return max((late for at, late in self._late if at >= since), default=0.0)

    @asynccontextmanager
    async def measured(self) -> AsyncIterator["LoopLag"]:
        """Measure while the block runs: around the service's life."""
        task = asyncio.create_task(self.measure(), name="loop-lag")
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def measure(self) -> None:
        """Tick until cancelled."""
        while True:
            before = self._clock()
            await self._sleep(TICK)
            now = self._clock()
            self._late.append((now, max(0.0, now - before - TICK)))
            while self._late[0][0] < now - WINDOW:
                self._late.popleft()


def health_router(ready: Callable[[], Awaitable[list[str]]], lag: LoopLag | None = None) -> APIRouter:
    """`/health/live`: the process answers. `/health/ready`: `ready()` gave no reason against it and the loop keeps up.

    `ready` gives reasons as short codes, e.g. `database_away`; they are shown to anybody who asks.
    """
    router = APIRouter(prefix="/health", tags=["health"])

    @router.get("/live")
    async def live() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/ready")
    async def is_ready() -> JSONResponse:
        reasons = await ready()
        if lag is not None and lag.worst > TOO_LATE:
            reasons = [*reasons, "event_loop_late"]
        if reasons:
            return JSONResponse({"status": "not_ready", "reasons": reasons}, 503, headers={"Retry-After": "1"})
        return JSONResponse({"status": "ready", "reasons": []})

    return router
