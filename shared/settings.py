"""What every service reads from its environment, once, in its `main`."""

from __future__ import annotations

from pathlib import Path
from typing import Final, TypeVar

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

SECRETS: Final = Path("/run/secrets")
"""Where container engines put secrets, one file each, named for the setting: what has a password, read from there, is
in no listing of a container's environment."""


class BannerSettings(BaseSettings):
    """What stands above every page of a process."""

    banner_vi: str = Field(default="", max_length=300, description="e.g. that it is a sample")
    banner_en: str = Field(default="", max_length=300, description="the same in English")

    @property
    def banner(self) -> tuple[str, str] | None:
        """What stands above every page, in both languages; None: nothing."""
        return (self.banner_vi, self.banner_en) if self.banner_vi else None


class ServiceSettings(BannerSettings):
    """Environment variables that the four services share; names are those of the fields, in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap_servers: str = "127.0.0.1:8087"
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=1, le=65535)
    slot: int = Field(default=0, ge=0, description="which of several processes of this service: static membership")
    lanes: int = Field(default=2, ge=1, le=4, description="consumer-and-connection loops in this process")
    tally_seconds: float = Field(
        default=30, ge=0.1, le=3600, description="between two tallies: how soon a lost last event is found"
    )
    tally_rotation_seconds: float = Field(
        default=3600, ge=1, description="in which everything that was ever said is tallied once"
    )
    dev_actor: bool = Field(default=False, description="believe X-Dev-Actor from loopback peers")
    otel_exporter_otlp_endpoint: str | None = None
    traces_sampled: float = Field(default=1.0, ge=0, le=1, description="share of new traces that are recorded")
    log_level: str = "INFO"


Settings = TypeVar("Settings", bound=BaseSettings)


def read(kind: type[Settings], secrets: Path = SECRETS) -> Settings:
    """The settings of this process: the environment's, then files of secrets where an engine has put some.

    SystemExit with a sentence for each that is missing or wrong; values are never told.
    """
    try:
        return kind(_secrets_dir=secrets if secrets.is_dir() else None)
    except ValidationError as error:
        faults = [_sentence(str(each["loc"][0]), each["type"], each["msg"], secrets) for each in error.errors()]
        raise SystemExit("\n".join(faults)) from None


def _sentence(name: str, kind: str, said: str, secrets: Path) -> str:
    if kind == "missing":
        return f"✗ {name.upper()} is not set: name it in the environment, or put it into {secrets / name}."
    return f"✗ {name.upper()} is set wrongly ({said}): .env.example shows how it is written."
