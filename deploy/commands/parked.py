"""`lienthong parked list`."""

from __future__ import annotations

import asyncio
from typing import Final

import typer
from rich.console import Console

from deploy.operating import AsJson, Gathered, OneService, Operator, chosen, gather, operator, tell
from deploy.sentences import Url, address, sentences
from deploy.speaking import Actor, speaker

app = typer.Typer(
    name="parked", help="Records that wait for something: a gap to close, a release, a fact.", no_args_is_help=True
)

_COLUMNS: Final = {
    "service": "service",
    "id": "id",
    "age": "age_seconds",
    "where": "place",
    "subject": "subject",
    "from": "source",
    "version": "version",
    "reason": "reason",
    "waits for": "waits_for",
}


@app.callback()
def parked() -> None:
    """Records that wait for something: a gap to close, a release, a fact."""


@app.command("list")
def list_(service: OneService = None, url: Url = None, who: Operator = "operator", *, as_json: AsJson = False) -> None:
    """List what waits and for what, oldest first, at most 1000 of each service."""
    console = Console()
    with sentences():
        gathered = asyncio.run(_listed(address(url), operator(who), chosen(service)))
        tell(console, gathered, _COLUMNS, nothing="Nothing is parked.", as_json=as_json, rows="parked")


async def _listed(url: str, who: Actor, names: tuple[str, ...]) -> Gathered:
    async with speaker(url) as services:
        return await gather(services, who, names, "parked", "parked", {})
