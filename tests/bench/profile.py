"""Where the time of an event goes: ``python -m tests.bench.profile``, one lane, without a broker.

Records lie in memory and go through routing batch by batch. For each statement it counts the processor time of the
PostgreSQL backend (as the kernel keeps it) and of this process; for the steps of hearing that of this process, without
the statements in them. Medians over the batches, in µs an event. On a machine that does other things the shares say more
than the sums.
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
from services.routing import handlers, store
from services.routing.handlers import Calendars
from shared import journal, telemetry
from shared.bus import hearing
from shared.bus.trying import Trying, Woken
from shared.envelope import Record, decode
from shared.service import spare_the_collector
from shared.store import Database, open_pool
from shared.topics import INTAKE
from tests.bench.alone import by_itself, run
from tests.bench.events import office, record_of
from tests.bench.exported import ENDPOINT, SAMPLED, sink
from tests.bench.hearing import prepare
from tests.bench.machine import described
from tests.layouts import BENCH

_BATCH: Final = 2000
_BATCHES: Final = 20
_STATEMENTS: Final = ("execute", "fetch", "copy_records_to_table")
_PURE: Final = (("fates", hearing, "sort_out"), ("rules", handlers, "decide_all"))
_STEPS: Final = (
    ("streams found, and their rows made", hearing, "_lock"),
    ("subjects found, and their rows made", hearing, "_lock_subjects"),
    ("journeys put into rows", store, "save_journeys"),
    ("sayings put into rows", journal, "announce"),
    ("versions compared", hearing, "_save"),
)


@dataclass(slots=True)
class Clock:
    """Processor seconds of both sides of one batch, by what they were used for."""

    backend: Path
    python: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    postgres: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    within: list[tuple[float, float]] = field(default_factory=list)
    """Of each thing that is being counted, what was used by others inside it."""

    @contextmanager
    def counts(self, what: str) -> Iterator[None]:
        """Counts what happens inside, but for what is counted there under a name of its own.

        The lane is alone, so whatever the process does meanwhile belongs to it.
        """
        self.within.append((0.0, 0.0))
        ran, used = self._ran(), time.process_time()
        try:
            yield
        finally:
            used, ran = time.process_time() - used, self._ran() - ran
            of_others, ran_for_others = self.within.pop()
            self.python[what] += used - of_others
            self.postgres[what] += ran - ran_for_others
            if self.within:
                before, ran_before = self.within[-1]
                self.within[-1] = (before + used, ran_before + ran)

    def _ran(self) -> float:
        return int(self.backend.read_text().split()[0]) / 1e9


def _watched(clock: Clock) -> None:
    """Count the statements, and the steps of hearing."""
    for name in _STATEMENTS:
        setattr(asyncpg.Connection, name, _counted(clock, name, getattr(asyncpg.Connection, name)))
    for what, module, step in _PURE:
        setattr(module, step, _timed(clock, what, getattr(module, step)))
    for what, module, step in _STEPS:
        setattr(module, step, _timed_awaiting(clock, what, getattr(module, step)))


def _counted(clock: Clock, name: str, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def statement(connection: object, text: str, *arguments: Any, **options: Any) -> Any:
        what = f"COPY {text}" if name == "copy_records_to_table" else " ".join(text.split()[:4])
        with clock.counts("SAVEPOINT" if "savepoint" in what.lower() else what):
            return await run(connection, text, *arguments, **options)

    return statement


def _timed(clock: Clock, what: str, run: Callable[..., Any]) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        with clock.counts(what):
            return run(*arguments)

    return timed


def _timed_awaiting(clock: Clock, what: str, run: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    async def timed(*arguments: Any) -> Any:
        with clock.counts(what):
            return await run(*arguments)

    return timed


def _decoded(clock: Clock, batch: list[Record]) -> None:
    """Decoding goes record by record, and looking at the clock takes as long as some of it: so it is timed beside."""
    used = time.process_time()
    for record in batch:
        decode(record)
    clock.python["decoding (taken beside)"] += time.process_time() - used


async def main() -> None:
    """Hear the batches and print the table."""
    async with by_itself():
        try:
            async with sink():
                await _taken_apart()
        finally:
            if "--stay" not in sys.argv:
                await stop_servers(BENCH)


async def _taken_apart() -> None:
    console = Console()
    console.print(described())
    servers = await start_servers(BENCH)
    await migrate_all(servers.databases.owner)
    owner = await asyncpg.connect(servers.databases.owner["routing"])
    telemetry.start("routing", ENDPOINT, sampled=SAMPLED)
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
            _decoded(clock, batch)
            with clock.counts("all"):
                await trying.events(batch)
            runs.append((dict(clock.python), dict(clock.postgres)))
    finally:
        await database.pool.close()
        await owner.close()
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
    decoding = median("decoding (taken beside)", 0)
    rest, idle = median("all", 0) - decoding, median("all", 1)
    table.add_row("the rest", f"{rest:.1f}", f"{idle:.1f}")
    all_python, all_postgres = sum(row[1] for row in rows) + rest, sum(row[2] for row in rows) + idle
    table.add_row("together", f"{all_python:.1f}", f"{all_postgres:.1f}", end_section=True)
    console.print(table)


if __name__ == "__main__":
    run(main, uvloop.run)
