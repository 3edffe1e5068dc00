"""`lienthong catalogue import`."""

from __future__ import annotations

import asyncio
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.table import Table

from deploy.catalogue import Catalogue, Taken, read_catalogue
from deploy.launcher.errors import LaunchError
from deploy.launcher.progress import OnConsole, Progress
from deploy.sentences import Url, address, sentences
from deploy.speaking import Actor, Refusal, speaker
from shared.access import Role

app = typer.Typer(name="catalogue", help="The catalogue of procedures.", no_args_is_help=True)

_CHUNK: Final = 200
_IMPORTER: Final = Actor("catalogue-import", Role.ADMINISTRATOR)
_PLACE: Final = re.compile(r"/procedures/(\d+)(/.*)?")


@app.callback()
def catalogue() -> None:
    """The catalogue of procedures."""


@app.command("import")
def import_(
    path: Annotated[Path, typer.Argument(help="A CSV file of the national procedure catalogue, UTF-8.")],
    url: Url = None,
    *,
    source: Annotated[
        str, typer.Option(help="Where terms and fees come from; kept with each procedure.")
    ] = "national procedure catalogue (imported file)",
    report: Annotated[
        Path | None, typer.Option(help="Write what is not taken to this file: line, code, reason (CSV).")
    ] = None,
) -> None:
    """Take the procedures that have a term one can trust; a second import changes nothing."""
    console = Console()
    with sentences():
        read = read_catalogue(_content(path), path.name, source)
        if report is not None:
            _write(report, read)
        published = asyncio.run(_publish(address(url), path.name, read.taken, OnConsole(console)))
        _show(console, path.name, read, published, report)


@dataclass(frozen=True, slots=True)
class _Published:
    changed: int
    unchanged: int


async def _publish(url: str, name: str, taken: Sequence[Taken], progress: Progress) -> _Published:
    changed = 0
    async with speaker(url) as services:
        with progress.step(f"publishing {len(taken)} procedures at {url}") as shown:
            for begin in range(0, len(taken), _CHUNK):
                chunk = taken[begin : begin + _CHUNK]
                body = {"procedures": [one.procedure for one in chunk]}
                answer = await services.ask(_IMPORTER, "PUT", "/intake/procedures", body=body)
                if isinstance(answer, Refusal):
                    raise LaunchError(_refused(answer, name, chunk, begin))
                changed += int(answer["changed"])
                shown(f"published {begin + len(chunk)} of {len(taken)}")
    return _Published(changed, len(taken) - changed)


def _refused(refusal: Refusal, name: str, chunk: Sequence[Taken], before: int) -> str:
    """The refusal, with the line of the file instead of the place in the body."""
    place = _PLACE.fullmatch(refusal.field or "")
    kept = f" The {before} procedures before are published." if before else ""
    where = f"{name}"
    if place is not None and int(place[1]) < len(chunk):
        one = chunk[int(place[1])]
        where = f"{name}, line {one.line} ({one.code}{place[2] or ''})"
    hint = " `lienthong status` shows what runs, `lienthong up` starts it." if refusal.is_absence else ""
    return f"{where}: {refusal}{kept}{hint}"


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise LaunchError(f"There is no file {path}: look at its name.") from None
    except IsADirectoryError:
        raise LaunchError(f"{path} is a folder: name the CSV file in it.") from None
    except OSError as error:
        raise LaunchError(f"{path} cannot be read ({error.strerror}): set that right, then run this again.") from error


def _write(report: Path, read: Catalogue) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("line", "code", "reason"))
    writer.writerows((one.line, one.code, one.reason.value) for one in read.left)
    try:
        report.write_text(text.getvalue(), encoding="utf-8", newline="")
    except OSError as error:
        raise LaunchError(f"{report} cannot be written ({error.strerror}): name another file.") from error


def _show(console: Console, name: str, read: Catalogue, published: _Published, report: Path | None) -> None:
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column()
    table.add_column(justify="right")
    table.add_row(f"rows in {name}", str(read.rows))
    table.add_row("[green]taken[/]", str(len(read.taken)))
    table.add_row("  changed", str(published.changed))
    table.add_row("  unchanged", str(published.unchanged))
    table.add_row("[yellow]refused[/]", str(len(read.left)))
    for reason, count in Counter(one.reason for one in read.left).most_common():
        table.add_row(f"  {reason.value}", str(count))
    if read.bare_channels:
        table.add_row("channels of those taken left out", str(read.bare_channels))
    console.print(table)
    if published.changed == 0:
        console.print("Nothing changed: the catalogue holds all of this already.")
    console.print("Fees of 0 and blank ones count as unknown, not as free.", highlight=False)
    if report is not None:
        console.print(f"Lines, codes and reasons are in {report}.", highlight=False, markup=False, soft_wrap=True)
    elif read.left:
        console.print("[dim]--report FILE writes the refused ones with line, code and reason.[/]", highlight=False)
