"""`lienthong contracts`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.syntax import Syntax

from deploy.contracts import documents
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import REPOSITORY
from deploy.sentences import complain, sentences

app = typer.Typer()


@app.command()
def contracts(
    folder: Annotated[Path, typer.Option("--in", help="The repository whose documents these are.")] = REPOSITORY,
    *,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; show what differs, and exit with 1 if anything does.")
    ] = False,
    shown: Annotated[bool, typer.Option("--print", help="Print the AsyncAPI document instead of writing it.")] = False,
) -> None:
    """Write what the services say to one another: docs/contracts/asyncapi.json and events.md, from shared/events.py."""
    console = Console()
    with sentences():
        if shown:
            console.file.write(documents.documents()[documents.FOLDER / "asyncapi.json"])
        elif check:
            _check(console, folder)
        else:
            _write(console, folder)


def _check(console: Console, folder: Path) -> None:
    differences = documents.differences(folder)
    if not differences:
        console.print("The documents say what the code says.", highlight=False)
        return
    if console.is_terminal:
        console.print(Syntax(differences, "diff", background_color="default"))
    else:
        console.file.write(differences)
    complain("docs/contracts is not what shared/events.py says: run `lienthong contracts` and commit what it writes.")
    raise typer.Exit(1)


def _write(console: Console, folder: Path) -> None:
    if not (folder / "shared" / "events.py").exists():
        raise LaunchError(f"{folder} is no checkout of Lienthong: name one with --in.")
    try:
        written = documents.write(folder)
    except OSError as error:
        raise LaunchError(
            f"{error.filename} cannot be written ({error.strerror}): set that right, run again."
        ) from error
    for path in written:
        console.print(f"wrote {path}", highlight=False)
    if not written:
        console.print("Nothing to write: the documents say what the code says.", highlight=False)
