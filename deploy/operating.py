"""What the operators' commands share: as whom they speak, and how rows of several services are gathered and shown."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, TypeAlias

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table
from rich.text import Text

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES
from deploy.sentences import complain, printable
from deploy.speaking import Actor, Refusal, Speaker
from shared.access import Role, parse_dev_actor
from shared.topics import Service

AsJson: TypeAlias = Annotated[bool, typer.Option("--json", help="For programs.")]
Operator: TypeAlias = Annotated[
    str,
    typer.Option(
        "--operator", envvar="LIENTHONG_OPERATOR", help="Your pseudonymous id; it signs what you do and is kept."
    ),
]
OneService: TypeAlias = Annotated[
    Service | None, typer.Option("--service", "-s", help="Only this service. Default: all four.")
]

_PAGE: Final = 1000
_WIDE: Final = 150
_SHORT: Final = ("service", "id", "age")


@dataclass(frozen=True, slots=True)
class Gathered:
    """Rows of services that answered, each with its ``service``; ``complaints`` of those that did not."""

    rows: tuple[dict[str, Any], ...]
    complaints: tuple[str, ...]


def operator(ident: str) -> Actor:
    """The operator under an id. Raises LaunchError when it is none."""
    actor = Actor(ident, Role.OPERATOR)
    if not hasattr(parse_dev_actor(actor.header), "roles"):
        raise LaunchError(f"{ident!r} is no operator id: 1 to 64 letters, digits, dots, dashes; a pseudonym, no name.")
    return actor


async def gather(
    services: Speaker, who: Actor, names: Sequence[str], path: str, rows: str, query: Mapping[str, str | int]
) -> Gathered:
    """What each service lists under ``/<service>/operations/<path>``, page by page, in the river's order."""
    found: list[dict[str, Any]] = []
    complaints = []
    for name in names:
        below: int | None = None
        while True:
            place = {} if below is None else {"below": below}
            asked: dict[str, str | int] = {**query, **place, "count": _PAGE}
            answer = await services.ask(who, "GET", f"/{name}/operations/{path}", query=asked)
            if isinstance(answer, Refusal):
                complaints.append(f"{name}: {answer}")
                break
            page = answer[rows]
            found.extend({"service": name, **row} for row in page)
            if len(page) < _PAGE or path == "parked":
                break
            below = page[-1]["id"]
    return Gathered(tuple(found), tuple(complaints))


def chosen(service: Service | None) -> tuple[str, ...]:
    """One service, or all four."""
    return SERVICES if service is None else (service.value,)


def tell(
    console: Console, gathered: Gathered, columns: Mapping[str, str], *, nothing: str, as_json: bool, rows: str
) -> None:
    """Show the rows as a table, or as JSON; then complain and leave with 1 when a service did not answer.

    ``columns``: heading -> field. ``nothing`` is said when there are no rows.
    """
    if as_json:
        content = {rows: list(gathered.rows), "complaints": list(gathered.complaints)}
        console.file.write(json.dumps(content, indent=2) + "\n")
    elif gathered.rows:
        console.print(_table(gathered.rows, columns) if console.width >= _WIDE else _stacked(gathered.rows, columns))
    elif not gathered.complaints:
        console.print(nothing, highlight=False)
    for each in () if as_json else gathered.complaints:
        complain(f"{each} `lienthong status` shows what runs, `lienthong up` starts it.")
    if gathered.complaints:
        raise typer.Exit(1)


def _table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in columns:
        justify: JustifyMethod = "right" if heading in {"id", "version", "age"} else "left"
        table.add_column(heading, justify=justify, no_wrap=heading in _SHORT, overflow="fold")
    for row in rows:
        table.add_row(*(_cell(field, row) for field in columns.values()))
    return table


def _stacked(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> Table:
    """For a narrow terminal: what is short stands in columns, the rest one below the other, so that ids stay whole."""
    rest = {heading: field for heading, field in columns.items() if heading not in _SHORT}
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in (*_SHORT, "what"):
        table.add_column(heading, justify="right" if heading in {"id", "age"} else "left", no_wrap=heading in _SHORT)
    for row in rows:
        facts = Table(box=None, pad_edge=False, show_header=False)
        facts.add_column(style="dim", no_wrap=True)
        facts.add_column(overflow="fold")
        for heading, field in rest.items():
            if field == "place" or row[field] is not None:
                facts.add_row(heading, _cell(field, row))
        table.add_row(*(_cell(columns[heading], row) for heading in _SHORT), facts)
    return table


def _cell(field: str, row: Mapping[str, Any]) -> Text:
    if field == "place":
        return Text(printable(f"{row['topic']}/{row['partition']}@{row['offset']}"))
    if field == "age_seconds":
        return Text(age(float(row[field])))
    value = row[field]
    return Text("–" if value is None else printable(str(value)))


def age(seconds: float) -> str:
    """How long ago, in the largest unit that says enough."""
    whole = int(seconds)
    for size, unit in ((172_800, 86_400), (7_200, 3_600), (120, 60)):
        if whole >= size:
            return f"{whole // unit} {'d' if unit == 86_400 else 'h' if unit == 3_600 else 'min'}"
    return f"{whole} s"
