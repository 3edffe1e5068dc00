"""What the receiver is told by its environment."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Environment variables of the same names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    receiver_host: str = "127.0.0.1"
    receiver_port: int = Field(default=8090, ge=1, le=65535)
    receiver_folder: Path = Path("var/telemetry")
    receiver_traces_bytes: int = Field(default=512 * 1024 * 1024, ge=1024 * 1024)
    receiver_metrics_bytes: int = Field(default=64 * 1024 * 1024, ge=1024 * 1024)
    receiver_logs_bytes: int = Field(default=128 * 1024 * 1024, ge=1024 * 1024)
    receiver_days: float = Field(default=90, gt=0, description="nothing is kept longer, a statutory term is shorter")
    receiver_keep_free_bytes: int = Field(
        default=64 * 1024 * 1024, ge=0, description="drop what comes while less of the disk is free"
    )
    dev_actor: bool = Field(default=False, description="believe X-Dev-Actor from loopback peers")
