"""A clock that is put under a process is the time of day for it, and nothing else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.faults.clock import Clock, clock_at, compiler

pytestmark = pytest.mark.skipif(compiler() is None, reason="a clock is compiled, and there is no C compiler here")

_TOLD = """
import json, signal, sys, time
from datetime import datetime, timezone

def tell(*_):
    now = datetime.now(timezone.utc).isoformat()
    print(json.dumps({"now": now, "seconds": time.time(), "monotonic": time.monotonic()}), flush=True)

signal.signal(signal.SIGALRM, tell)
for line in sys.stdin:
    if line == "alarm\\n":
        signal.setitimer(signal.ITIMER_REAL, 0.01)
        signal.pause()
    else:
        tell()
"""


@dataclass(slots=True)
class _Asked:
    """A process under a clock, which tells what time it is for it."""

    process: asyncio.subprocess.Process

    async def told(self, what: str = "now") -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n".encode())
        answer: dict[str, Any] = json.loads(await self.process.stdout.readline())
        return answer | {"now": datetime.fromisoformat(answer["now"])}


@asynccontextmanager
async def _under(clock: Clock) -> AsyncIterator[_Asked]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _TOLD, stdin=pipe, stdout=pipe, env=clock.environment()
    )
    try:
        yield _Asked(process)
    finally:
        process.kill()
        await process.communicate()


def _about(instant: datetime) -> tuple[datetime, datetime]:
    return instant - timedelta(minutes=1), instant + timedelta(minutes=10)


async def test_it_is_the_time_that_was_set_and_steps_are_seen_by_whoever_runs_already(tmp_path: Path) -> None:
    began = datetime(2018, 2, 9, 2, tzinfo=UTC)
    clock = clock_at(tmp_path / "clock")
    async with _under(clock) as asked:
        right = await asked.told()
        clock.set(began)
        turned = await asked.told()
        clock.step(timedelta(days=400))
        stepped = await asked.told()

    for told, expected in ((right, datetime.now(UTC)), (turned, began), (stepped, began + timedelta(days=400))):
        low, high = _about(expected)
        assert low < told["now"] < high
        assert low.timestamp() < told["seconds"] < high.timestamp()


async def test_how_long_something_lasts_stays_true(tmp_path: Path) -> None:
    clock = clock_at(tmp_path / "clock")
    async with _under(clock) as asked:
        before = await asked.told()
        clock.step(timedelta(days=-3000))
        after = await asked.told()

    assert 0 <= after["monotonic"] - before["monotonic"] < 600


async def test_it_is_the_same_time_where_a_signal_is_handled(tmp_path: Path) -> None:
    """PostgreSQL looks at the clock there, to see which of its time limits are over."""
    began = datetime(2018, 2, 9, 2, tzinfo=UTC)
    clock = clock_at(tmp_path / "clock")
    clock.set(began)
    async with _under(clock) as asked:
        told = await asked.told("alarm")

    low, high = _about(began)
    assert low < told["now"] < high
