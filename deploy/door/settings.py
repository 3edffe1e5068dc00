"""What the front door is told by its environment."""

from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field
from pydantic_settings import SettingsConfigDict

from deploy.door.addresses import StartedBy
from shared.settings import BannerSettings


def _origin(value: str) -> str:
    """A plain-HTTP origin with host and port, e.g. ``http://127.0.0.1:8081``; anything else is a ValueError."""
    parts = urlsplit(value)
    if parts.scheme != "http" or not parts.hostname or parts.port is None or parts.path.strip("/") or parts.query:
        raise ValueError("an upstream is written http://host:port, without a path")
    return f"http://{parts.netloc}"


Origin = Annotated[str, AfterValidator(_origin)]


class Settings(BannerSettings):
    """Environment variables of the same names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    door_host: str = "127.0.0.1"
    door_port: int = Field(default=8080, ge=1, le=65535)
    door_started_by: StartedBy = Field(default="", description="whose commands the front page shows to operators")

    upstream_intake: Origin = "http://127.0.0.1:8081"
    upstream_routing: Origin = "http://127.0.0.1:8082"
    upstream_notification: Origin = "http://127.0.0.1:8083"
    upstream_reporting: Origin = "http://127.0.0.1:8084"
    upstream_mail: Origin | None = Field(default=None, description="our own mail catcher, where there is one")
    upstream_receiver: Origin | None = Field(default=None, description="our own store of traces, where there is one")
    upstream_operations: Origin | None = Field(default=None, description="the operators' pages, where they are")

    door_connections: int = Field(default=512, ge=1, description="at most so many at once to one upstream")
    door_connect_seconds: float = Field(default=5, gt=0)
    door_queue_seconds: float = Field(default=10, gt=0, description="how long a request waits for a connection")
    door_answer_seconds: float = Field(
        default=120,
        gt=0,
        description="from the end of the request to the first byte of its answer; bodies may take ever",
    )
