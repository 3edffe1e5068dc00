"""Notification's settings: typed environment variables, read once."""

from pathlib import Path

from pydantic import AnyHttpUrl, Field, PostgresDsn

from shared.settings import ServiceSettings


class Settings(ServiceSettings):
    """What notification needs besides what every service needs."""

    database_url_notification: PostgresDsn
    seal_keys: Path
    erasure_register: Path = Field(description="intake's; only read here")
    smtp_host: str = "127.0.0.1"
    smtp_port: int = Field(default=8086, ge=1, le=65535)
    smtp_timeout: float = Field(default=20, gt=0, le=300, description="seconds that one sending may take in all")
    smtp_connections: int = Field(default=16, ge=1, le=64, description="letters sent at once, each on its own")
    mail_from: str = Field(default="mot-cua@hoangmai.example", pattern=r"^[^@\s<>]+@[A-Za-z0-9.-]+$")
    public_url: AnyHttpUrl | None = Field(default=None, description="of the front door; stands below every letter")
