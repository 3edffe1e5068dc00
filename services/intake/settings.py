"""Intake's settings: typed environment variables, read once."""

from pathlib import Path

from pydantic import PostgresDsn

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What intake needs besides what every service needs."""

    database_url_intake: PostgresDsn
    seal_keys: Path
