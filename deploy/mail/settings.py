"""What the mail catcher is told by its environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import BannerSettings


class Settings(BannerSettings):
    """Environment variables of the same names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    mail_host: str = "127.0.0.1"
    mail_smtp_port: int = Field(default=8086, ge=1, le=65535)
    mail_web_port: int = Field(default=8085, ge=1, le=65535)
    mail_folder: Path = Path("var/mail")
    mail_keep_free_bytes: int = Field(
        default=64 * 1024 * 1024, ge=0, description="refuse mail for the time being when less of the disk is free"
    )
