"""`lienthong sample`."""

from __future__ import annotations

import asyncio
import os

import typer
from rich.console import Console

from deploy.launcher.programs import digits_of
from deploy.launcher.progress import OnConsole
from deploy.sample.feeding import feed
from deploy.sample.town import Town
from deploy.sentences import Url, address, sentences

app = typer.Typer()


@app.command()
def sample(url: Url = None) -> None:
    """Load the sample town, Hoàng Mai as of 2019, into an empty store; a second time changes nothing."""
    console = Console()
    with sentences():
        base = address(url)
        town = Town(**digits_of(os.environ))
        with OnConsole(console).step(f"loading the sample town at {base}"):
            published = asyncio.run(feed(base, town.digits))
        console.print(
            f"{len(town.units)} units, {len(town.officers)} officers, {len(town.routes)} routes, "
            f"{len(town.procedures)} procedures: {f'{published} of them are new' if published else 'nothing is new'}.",
            highlight=False,
        )
