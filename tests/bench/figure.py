"""What a figure of the bench is: sides that do the same work in turn on one machine, and what is made of them."""

from __future__ import annotations

import statistics
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from rich.table import Table

from deploy.launcher.servers import Servers


@dataclass(frozen=True, slots=True)
class Run:
    """One side, once: things a second, µs of processor time a thing, and whatever else, by its name.

    ``python`` is the side's own process, ``postgres`` all of the database's; None where it was not taken. ``rows`` says
    what was written for a thing.
    """

    rate: float
    python: float | None = None
    postgres: float | None = None
    rows: str = ""
    more: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Side:
    """The medians of a side's runs, how many there were, and between what they lay.

    ``spread``: the least and the most of whatever else was taken, by its name.
    """

    rate: float
    python: float | None
    postgres: float | None
    rows: str
    more: Mapping[str, float]
    runs: int
    least: float
    most: float
    spread: Mapping[str, tuple[float, float]]

    @classmethod
    def of(cls, runs: Sequence[Run]) -> Side:
        """Medians of at least one run."""
        rates = [one.rate for one in runs]
        more = {name: [one.more[name] for one in runs] for name in runs[0].more}
        return cls(
            statistics.median(rates),
            _median([one.python for one in runs]),
            _median([one.postgres for one in runs]),
            runs[-1].rows,
            {name: statistics.median(taken) for name, taken in more.items()},
            len(runs),
            min(rates),
            max(rates),
            {name: (min(taken), max(taken)) for name, taken in more.items()},
        )


Sides: TypeAlias = Mapping[str, Side]


@dataclass(frozen=True, slots=True)
class Aim:
    """What a figure should come to: ``of`` reads it from the medians; ``at_most`` where less is better.

    ``target`` None: what stands beside an aim so that it can be judged, and is no aim itself.
    """

    what: str
    target: float | None
    of: Callable[[Sides], float]
    at_most: bool = False

    def is_reached(self, sides: Sides) -> bool | None:
        """Whether the medians come to it; None when nothing is aimed at."""
        if self.target is None:
            return None
        value = self.of(sides)
        return value <= self.target if self.at_most else value >= self.target


@dataclass(frozen=True, slots=True)
class Figure:
    """``sides``: what each is called in the table, in the order in which they run; ``limit`` and ``alternative`` name two.

    ``run`` takes a side's name and lets it run once, on empty tables. ``runs``: how often, when the reader does not say;
    fewer than of others where one run takes minutes.
    """

    name: str
    title: str
    things: str
    sides: Mapping[str, str]
    run: Callable[[Servers, str], Awaitable[Run]]
    aims: Sequence[Aim]
    limit: str | None = None
    alternative: str | None = None
    runs: int = 5
    begin: Callable[[Servers, Mapping[str, Sides]], Awaitable[None]] | None = None
    """Is awaited once before the first run, with what was found by the figures before it: what they left behind is none
    of this one's work, and what they found may be its measure."""


def _median(figures: Sequence[float | None]) -> float | None:
    known = [one for one in figures if one is not None]
    return statistics.median(known) if known else None


def line_of(figure: Figure, side: str, run: Run) -> str:
    """A run in one line, while it goes on."""
    parts = [f"{figure.name:10} {side:12} {run.rate:10,.0f} {figure.things}/s"]
    parts += [f"{name} {value:,.2f}" for name, value in run.more.items()]
    parts += [
        f"{used:.0f} µs {whose}" for whose, used in (("Python", run.python), ("PostgreSQL", run.postgres)) if used
    ]
    return "  ".join(parts)


def rows_of(figure: Figure, sides: Sides) -> list[list[str]]:
    """The figure's table: a row a side."""
    return [
        [
            words,
            f"{sides[name].rate:,.0f}",
            f"{sides[name].least:,.0f}–{sides[name].most:,.0f}",
            f"{sides[name].runs}",
            f"{sides[name].rate / sides[figure.limit].rate:.2f}" if figure.limit else "",
            f"{sides[name].rate / sides[figure.alternative].rate:.1f}" if figure.alternative else "",
            _micros(sides[name].python),
            _micros(sides[name].postgres),
        ]
        for name, words in figure.sides.items()
    ]


def _micros(used: float | None) -> str:
    return "" if used is None else f"{used:.0f}"


def columns_of(figure: Figure) -> list[str]:
    """The head of the table that `rows_of` fills; µs are for one thing."""
    return [
        "side",
        f"{figure.things}/s",
        "least–most",
        "runs",
        "of the limit",
        "× alternative",
        "µs Python",
        "µs PostgreSQL",
    ]


def besides_of(figure: Figure, sides: Sides) -> list[str]:
    """What does not fit into the table: a line a side, with what else was taken and the rows that were written."""
    lines = []
    for name, words in figure.sides.items():
        more = [f"{what} {value:,.2f}{_between(sides[name], what)}" for what, value in sides[name].more.items()]
        rows = [f"rows for each: {sides[name].rows}"] if sides[name].rows else []
        if more or rows:
            lines.append(f"{words}: {'; '.join([*more, *rows])}")
    return lines


def _between(side: Side, what: str) -> str:
    least, most = side.spread[what]
    return f" ({least:,.2f}–{most:,.2f})" if side.runs > 1 else ""


def aims_of(figure: Figure, sides: Sides) -> list[list[str]]:
    """Each aim with what was reached."""
    return [
        [
            one.what,
            "" if one.target is None else f"{'≤' if one.at_most else '≥'} {one.target:g}",
            f"{one.of(sides):,.2f}",
            _VERDICTS[one.is_reached(sides)],
        ]
        for one in figure.aims
    ]


_VERDICTS: Final = {True: "reached", False: "missed", None: ""}
AIM_COLUMNS = ("aim", "target", "measured", "")


def table_of(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """For the terminal."""
    table = Table(title=title)
    for place, column in enumerate(columns):
        is_figure = place and all(row[place][:1].isdigit() or not row[place] for row in rows)
        table.add_column(column, justify="right" if is_figure else "left")
    for row in rows:
        table.add_row(*row)
    return table


def markdown_of(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """For docs/evidence."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
