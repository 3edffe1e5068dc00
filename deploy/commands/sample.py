"""`lienthong sample`."""

from __future__ import annotations

import asyncio
from importlib import import_module

import httpx
import typer
from rich.console import Console

from deploy.launcher.errors import LaunchError
from deploy.sentences import Url, address, sentences

app = typer.Typer()


@app.command()
def sample(url: Url = None) -> None:
    """Hand in the sample town and its nine dossiers, as `lienthong up` does the first time. Twice changes nothing."""
    console = Console()
    with sentences():
        try:
            asyncio.run(import_module("deploy.sample").feed(address(url)))
        except httpx.HTTPError as error:
            raise LaunchError(f"The sample dossiers cannot be handed in: {error!r}.") from error
        console.print("The sample is there.")
