"""`lienthong migrate`."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from importlib import import_module

import asyncpg
import typer
from rich.console import Console

from deploy.launcher import postgres, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES
from deploy.operating import AsJson
from deploy.sentences import sentences
from shared.store.migrations import MigrationChangedError

app = typer.Typer()

_OWNERS = {service: f"DATABASE_OWNER_URL_{service.upper()}" for service in SERVICES}


@app.command()
def migrate(*, as_json: AsJson = False) -> None:
    """Bring the four schemas up to date, each by its owner. `lienthong up` does it too.

    Databases: those that DATABASE_OWNER_URL_* name, else those that `lienthong up` runs.
    """
    console = Console()
    with sentences():
        applied = asyncio.run(_migrated(os.environ))
        if as_json:
            console.file.write(json.dumps({"applied": applied}, indent=2) + "\n")
            return
        for service, count in applied.items():
            console.print(f"{service:13} {f'{count} applied' if count else 'up to date'}", highlight=False)


async def _migrated(environ: Mapping[str, str]) -> dict[str, int]:
    urls = await _owner_urls(environ)
    # The services are imported only now: whoever asks for another command need not wait for that.
    migrate_all = import_module("deploy.migrate").migrate_all
    try:
        applied: dict[str, int] = await migrate_all(urls)
    except MigrationChangedError as error:
        raise LaunchError(f"{error}: take that file back as it was, and write a new one.") from error
    except asyncpg.PostgresError as error:
        raise LaunchError(f"The schemas cannot be brought up to date: {error}.") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise LaunchError("A database does not answer: start its server, or set DATABASE_OWNER_URL_* right.") from error
    return applied


async def _owner_urls(environ: Mapping[str, str]) -> Mapping[str, str]:
    named = {service: environ[name] for service, name in _OWNERS.items() if environ.get(name)}
    if len(named) == len(SERVICES):
        return named
    if named:
        missing = ", ".join(name for service, name in _OWNERS.items() if service not in named)
        raise LaunchError(f"Name the owners of all four databases or of none: {missing} is missing.")
    layout = state.where_it_runs(environ)
    # Asked only where there are databases: for a folder without any, passwords would be made up.
    if (layout.postgres / "data").exists():
        urls = postgres.databases(layout).owner
        if await postgres.answers(urls[SERVICES[0]]):
            return urls
    raise LaunchError(
        f"No databases run in {layout.var}: `lienthong up` starts them and migrates; for others, name "
        "DATABASE_OWNER_URL_INTAKE and so on."
    )
