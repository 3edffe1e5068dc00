"""What commands that speak to services share: where the front door is, and a sentence when something is in the way."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Annotated, TypeAlias

import typer
from rich.console import Console
from rich.markup import escape

from deploy.launcher import state
from deploy.launcher.errors import LaunchError

Url: TypeAlias = Annotated[
    str | None, typer.Option("--url", help="The front door's address. Default: this machine's, by LIENTHONG_PORT.")
]


def address(url: str | None) -> str:
    """The front door's address: as given, else that of the layout that the environment names. Raises LaunchError."""
    return url or state.where_it_runs(os.environ).url("door")


@contextlib.contextmanager
def sentences() -> Iterator[None]:
    """Turn what stands in the way into a sentence on standard error and exit code 1 (130 after Ctrl-C)."""
    try:
        yield
    except LaunchError as error:
        complain(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        complain("Interrupted. Running it again is safe.")
        raise typer.Exit(130) from error


def complain(text: str) -> None:
    """A sentence on standard error."""
    Console(stderr=True).print(f"[red]✗[/] {escape(printable(text))}", highlight=False, soft_wrap=True)


def printable(text: str) -> str:
    """Without what could steer a terminal: records and answers may hold anything."""
    return "".join(each if each.isprintable() or each == "\n" else "·" for each in text)
