"""`lienthong erasures list`, `replay`."""

from __future__ import annotations

import asyncio
import json
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from deploy.launcher.errors import LaunchError
from deploy.operating import AsJson, Operator, operator
from deploy.sentences import Url, address, printable, sentences
from deploy.speaking import Actor, Answer, speaker

app = typer.Typer(
    name="erasures",
    help="What was erased of citizens' data, and erasing it again after a restore.",
    no_args_is_help=True,
)

_LIST: Final = "/intake/operations/erasures"
_PAGE: Final = 1000
_SECONDS: Final = 600


@app.command("list")
def list_(url: Url = None, who: Operator = "operator", *, as_json: AsJson = False) -> None:
    """List whose data were erased (by stream id), when, why and by whom."""
    console = Console()
    with sentences():
        found = asyncio.run(_listed(address(url), operator(who)))
        if as_json:
            console.file.write(json.dumps({"erasures": found}, indent=2) + "\n")
        elif found:
            console.print(_table(found))
        else:
            console.print("Nothing was erased.", highlight=False)


@app.command()
def replay(url: Url = None, who: Operator = "operator", *, as_json: AsJson = False) -> None:
    """After a database was restored, whichever: erase again what came back, and tell every service once more."""
    console = Console()
    with sentences():
        answer = asyncio.run(_replayed(address(url), operator(who)))
        if as_json:
            console.file.write(json.dumps(answer, indent=2) + "\n")
        else:
            _tell(console, answer)
        if answer["unknown"]:
            raise LaunchError(
                f"{len(answer['unknown'])} erased dossiers are not in intake's store: it was restored from before they "
                "came in. Nothing of them is here; run this again if a newer copy is restored."
            )


async def _listed(url: str, who: Actor) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with speaker(url) as services:
        while True:
            after = found[-1]["dossier"] if found else ""
            answer = await services.must(who, "GET", _LIST, query={"after": after, "count": _PAGE})
            found += answer["erasures"]
            if len(answer["erasures"]) < _PAGE:
                return found


async def _replayed(url: str, who: Actor) -> Answer:
    async with speaker(url, _SECONDS) as services:
        return await services.must(who, "POST", f"{_LIST}/replay")


def _tell(console: Console, answer: Answer) -> None:
    again, written = len(answer["done_again"]), answer["written_down"]
    console.print(f"erasures in the register  {answer['erasures']}", highlight=False)
    console.print(f"done again here           {again}", highlight=False)
    if written:
        console.print(f"written down only now     {written}", highlight=False)
    console.print(
        "All of them are on their way to the other services once more; `lienthong status` shows what is not sent yet.",
        highlight=False,
    )


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("dossier", "version", "time", "reason", "by"):
        # Whole, in a narrow terminal too: it is copied into other commands.
        table.add_column(
            heading,
            justify="right" if heading == "version" else "left",
            overflow="fold",
            no_wrap=heading == "dossier",
        )
    for row in rows:
        cells = (row["dossier"], row["version"], row["time"], row["reason"], row["by"] or "–")
        table.add_row(*(Text(printable(str(cell))) for cell in cells))
    return table
