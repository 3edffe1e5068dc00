"""What every service reads from its environment, once, in its `main`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class ServiceSettings(BaseSettings):
    """Environment variables that the four services share; names are those of the fields, in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    kafka_bootstrap_servers: str = "127.0.0.1:8087"
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=1, le=65535)
    slot: int = Field(default=0, ge=0, description="which of several processes of this service: static membership")
    lanes: int = Field(default=2, ge=1, le=4, description="consumer-and-connection loops in this process")
    dev_actor: bool = Field(default=False, description="believe X-Dev-Actor from loopback peers")
    otel_exporter_otlp_endpoint: str | None = None
    traces_sampled: float = Field(default=1.0, ge=0, le=1, description="share of new traces that are recorded")
    log_level: str = "INFO"
    banner: str | None = Field(default=None, description="above every page, 'Vietnamese | English': this is a sample")
