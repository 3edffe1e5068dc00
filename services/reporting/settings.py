"""Reporting's settings: typed environment variables, read once."""

from pydantic import PostgresDsn

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What reporting needs besides what every service needs."""

    database_url_reporting: PostgresDsn
