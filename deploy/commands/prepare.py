"""`lienthong prepare`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import typer
from pydantic import PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict
from rich.console import Console

from deploy.launcher.layout import SERVICES
from deploy.launcher.postgres import Databases
from deploy.launcher.preparing import prepare as make_ready
from deploy.launcher.progress import OnConsole
from deploy.sentences import sentences
from shared.settings import read

app = typer.Typer()


class Settings(BaseSettings):
    """Where the servers are, and as whom they are asked; names are those of the environment's variables."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap_servers: str
    seal_keys: Path
    database_superuser_url: PostgresDsn | None = None
    database_owner_url_intake: PostgresDsn
    database_owner_url_routing: PostgresDsn
    database_owner_url_notification: PostgresDsn
    database_owner_url_reporting: PostgresDsn
    database_url_intake: PostgresDsn
    database_url_routing: PostgresDsn
    database_url_notification: PostgresDsn
    database_url_reporting: PostgresDsn


@app.command()
def prepare() -> None:
    """Make what services need before they start: roles, databases, topics, schemas, keys. `lienthong up` does it too.

    For servers that somebody else runs. Running it again changes nothing. Roles and databases are made only when
    DATABASE_SUPERUSER_URL is named; everything that has a password may be a file in /run/secrets instead.
    """
    console = Console()
    with sentences():
        settings = read(Settings)
        databases = Databases(
            login={each: str(getattr(settings, f"database_url_{each}")) for each in SERVICES},
            owner={each: str(getattr(settings, f"database_owner_url_{each}")) for each in SERVICES},
            superuser=str(settings.database_superuser_url or ""),
        )
        asyncio.run(make_ready(settings.kafka_bootstrap_servers, databases, settings.seal_keys, OnConsole(console)))
        console.print("Everything that the services need is there.")
