"""Where the time of an event goes: ``python -m tests.bench.profile``, one lane, without a broker.

Records lie in memory and go through routing batch by batch. For each statement it counts the processor time of the
PostgreSQL backend (as the kernel keeps it) and of this process; for the pure steps that of this process. Medians over
the batches, in µs an event. On a machine that does other things the shares say more than the sums.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import asyncpg
import uvloop
from rich.console import Console
from rich.table import Table

from deploy.launcher.servers import start_servers, stop_servers
from deploy.migrate import migrate_all
from services.routing import handlers
from services.routing.handlers import Calendars
from shared import telemetry
from shared.bus import hearing
from shared.bus.trying import Trying, Woken
from shared.envelope import Record
from shared.events import INTAKE
from shared.service import spare_the_collector
from shared.store import Database, open_pool
from tests.bench.events import office, record_of
from tests.bench.hearing import prepare
from tests.bench.machine import described
from tests.layouts import BENCH

_BATCH: Final = 2000
_BATCHES: Final = 20
_STATEMENTS: Final = ("execute", "fetch", "copy_records_to_table")


@dataclass(slots=True)
class Clock:
    """Processor seconds of both sides of one batch, by what they were used for."""

    backend: Path
    python: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    postgres: dict[str, float] = field(default_factory=lambda: defaultdict(float))

    @contextmanager
    def counts(self, what: str) -> Iterator[None]:
        """Counts what happens inside; the lane is alone, so whatever the process does meanwhile belongs to it."""
        ran, used = self._ran(), time.process_time()
        try:
            yield
        finally:
            self.python[what] += time.process_time() - used
            self.postgres[what] += self._ran() - ran

    def _ran(self) -> float:
        return int(self.backend.read_text().split()[0]) / 1e9


def _watched(clock: Clock) -> None:
    """Count the statements, and the pure steps of hearing."""
    for name in _STATEMENTS:
        setattr(asyncpg.Connection, name, _counted(clock, name, getattr(asyncpg.Connection, name)))
    for step, module, name in (
        ("fates", hearing, "sort_out"),
        ("rules", handlers, "decide_all"),
        ("decoding", hearing, "decode"),
    ):
        setattr(module, name, _timed(clock, step, getattr(module, name)))


def _counted(clock: Clock, name: str, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def statement(connection: object, text: str, *arguments: Any, **options: Any) -> Any:
        what = f"COPY {text}" if name == "copy_records_to_table" else " ".join(text.split()[:4])
        with clock.counts("SAVEPOINT" if "savepoint" in what.lower() else what):
            return await run(connection, text, *arguments, **options)

    return statement


def _timed(clock: Clock, step: str, run: Callable[..., Any]) -> Callable[..., Any]:
    # Looking at the clock costs half a microsecond, which the decoding of each record is charged with.
    def timed(*arguments: Any) -> Any:
        used = time.process_time()
        result = run(*arguments)
        clock.python[step] += time.process_time() - used
        return result

    return timed


async def main() -> None:
    """Hear the batches and print the table."""
    console = Console()
    console.print(described())
    servers = await start_servers(BENCH)
    await migrate_all(servers.databases.owner)
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    telemetry.start("routing", None, sampled=0.01)
    database = Database(await open_pool(servers.databases.login["routing"], name="profile", smallest=1, largest=1))
    try:
        await prepare(owner)
        batches = _batches()
        spare_the_collector()
        trying = Trying(handlers.hearer(Calendars()), database, Woken())
        await trying.events(batches.pop())  # plans are made, calendars parsed, caches warm
        pid = await database.pool.fetchval("SELECT pg_backend_pid()")
        clock = Clock(Path(f"/proc/{pid}/schedstat"))
        _watched(clock)
        runs: list[tuple[dict[str, float], dict[str, float]]] = []
        for batch in batches:
            clock.python.clear()
            clock.postgres.clear()
            with clock.counts("all"):
                await trying.events(batch)
            runs.append((dict(clock.python), dict(clock.postgres)))
    finally:
        await database.pool.close()
        await owner.close()
        if "--stay" not in sys.argv:
            await stop_servers(BENCH)
    _print(console, runs)


def _batches() -> list[list[Record]]:
    calendar = office()
    made = [record_of(number, calendar) for number in range(_BATCH * (_BATCHES + 1))]
    made.sort(key=lambda one: one[0])  # a poll brings long runs of a partition
    records = [
        Record(INTAKE.name, partition, offset, key, tuple(headers), body)
        for offset, (partition, key, body, headers) in enumerate(made)
    ]
    batches = [records[start : start + _BATCH] for start in range(0, len(records), _BATCH)]
    random.Random(0).shuffle(batches)
    return batches


def _print(console: Console, runs: list[tuple[dict[str, float], dict[str, float]]]) -> None:
    table = Table(title=f"µs an event; medians of {len(runs)} batches of {_BATCH:,}")
    for column in ("what", "Python", "PostgreSQL"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def median(what: str, side: int) -> float:
        return statistics.median(run[side].get(what, 0.0) for run in runs) / _BATCH * 1e6

    parts = {what for run in runs for what in run[0]} - {"all"}
    rows = [(what, median(what, 0), median(what, 1)) for what in parts]
    rows.sort(key=lambda row: -(row[1] + row[2]))
    for what, python, postgres in rows:
        table.add_row(what, f"{python:.1f}", f"{postgres:.1f}")
    every = ("all", median("all", 0), median("all", 1))
    table.add_row("the rest", f"{every[1] - sum(row[1] for row in rows):.1f}", "")
    table.add_row("together", f"{every[1]:.1f}", f"{every[2]:.1f}", end_section=True)
    console.print(table)


if __name__ == "__main__":
    uvloop.run(main())
