"""``make bench``: every figure with its limit and its alternative, sides interleaved, medians, ratios, aims.

    make bench                                  # all of them
    make bench ARGS="hearing --runs 3"          # some of them
    make bench ARGS="--record"                  # all, and kept in docs/evidence

A figure is a file of its own here, named in `FIGURES`. A record never takes the place of another.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

from rich.console import Console

from deploy.launcher import topics
from deploy.launcher.layout import REPOSITORY
from deploy.launcher.servers import Servers, start_servers, stop_servers
from deploy.migrate import migrate_all
from shared.topics import CONTROL, TOPICS
from tests.bench import accepting, doubled, exported, growing, hearing, latency, river
from tests.bench.alone import by_itself, run
from tests.bench.figure import (
    AIM_COLUMNS,
    Figure,
    Run,
    Side,
    Sides,
    aims_of,
    besides_of,
    columns_of,
    line_of,
    markdown_of,
    rows_of,
    table_of,
)
from tests.bench.machine import commit, described
from tests.layouts import BENCH

_TAKEN: Final = (accepting, hearing, doubled, growing, river, latency)
FIGURES: Final = {one.FIGURE.name: one.FIGURE for one in _TAKEN}
_EVIDENCE: Final = REPOSITORY / "docs" / "evidence"


async def main() -> None:
    """Take the figures that the command line names, print them, and keep them when asked to."""
    asked = _arguments()
    console = Console(width=None if sys.stdout.isatty() else 140)
    machine = described()
    console.print(machine)
    found: dict[str, Sides] = {}
    async with by_itself():
        try:
            servers = await start_servers(BENCH)
            async with exported.sink():
                await topics.create(servers.kafka, (*TOPICS, CONTROL, *hearing.TOPICS))
                await migrate_all(servers.databases.owner)
                for name in dict.fromkeys(asked.figures or FIGURES):
                    found[name] = await _take(console, servers, FIGURES[name], asked.runs, found)
                    _print(console, FIGURES[name], found[name])
        finally:
            await stop_servers(BENCH)
    if asked.record:
        console.print(f"kept in {_keep(machine, found)}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description="How close to the limit the river runs.")
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="FIGURE",
        choices=[[], *FIGURES],
        help=f"of {', '.join(FIGURES)}; all when none is named",
    )
    usual = ", ".join(f"{one.name} {one.runs}" for one in FIGURES.values())
    parser.add_argument("--runs", type=_positive, help=f"interleaved runs of each side; when nothing is said: {usual}")
    parser.add_argument("--record", action="store_true", help="keep the tables in docs/evidence")
    return parser.parse_args()


def _positive(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text} is no number of runs")
    return int(text)


async def _take(
    console: Console, servers: Servers, figure: Figure, wanted: int | None, found: Mapping[str, Sides]
) -> Sides:
    runs: dict[str, list[Run]] = defaultdict(list)
    if figure.begin is not None:
        await figure.begin(servers, found)
    for number in range(wanted or figure.runs):
        for side in figure.sides:
            run = await figure.run(servers, side)
            runs[side].append(run)
            console.print(f"run {number + 1}  {line_of(figure, side, run)}", highlight=False)
    return {side: Side.of(taken) for side, taken in runs.items()}


def _print(console: Console, figure: Figure, sides: Sides) -> None:
    console.print(table_of(figure.title, columns_of(figure), rows_of(figure, sides)))
    for line in besides_of(figure, sides):
        console.print(line, highlight=False)
    console.print(table_of("", AIM_COLUMNS, aims_of(figure, sides)))


def _keep(machine: str, found: dict[str, Sides]) -> Path:
    day = datetime.now(UTC)
    _EVIDENCE.mkdir(parents=True, exist_ok=True)
    path = path_for(_EVIDENCE, day, commit(), found)
    parts = [f"# Bench of {day:%Y-%m-%d}\n\n{machine}.\n\nKafka and PostgreSQL with durable settings for all sides.\n"]
    for name, sides in found.items():
        figure = FIGURES[name]
        parts.append(f"## {figure.title}\n\n{markdown_of(columns_of(figure), rows_of(figure, sides))}")
        parts += [f"* {line}" for line in besides_of(figure, sides)]
        parts.append("")
        parts.append(markdown_of(AIM_COLUMNS, aims_of(figure, sides)))
    path.write_text("\n".join(parts), encoding="utf-8")
    return path


def path_for(folder: Path, day: date, version: str, figures: Iterable[str]) -> Path:
    """Where a record goes: it says which figures it has when it has not all, and takes no other's place."""
    named = [] if set(figures) == set(FIGURES) else list(figures)
    name = "-".join(("bench", f"{day:%Y-%m-%d}", version, *named))
    numbers = ("", *(f"-{number}" for number in range(2, 1000)))
    return next(path for number in numbers if not (path := folder / f"{name}{number}.md").exists())


if __name__ == "__main__":
    run(main)
