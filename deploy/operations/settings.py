"""What the operators' pages are told by their environment."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from deploy.door.settings import Origin
from shared.settings import BannerSettings


class Settings(BannerSettings):
    """Environment variables of the same names in capitals."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    operations_host: str = "127.0.0.1"
    operations_port: int = Field(default=8091, ge=1, le=65535)

    upstream_intake: Origin = "http://127.0.0.1:8081"
    upstream_routing: Origin = "http://127.0.0.1:8082"
    upstream_notification: Origin = "http://127.0.0.1:8083"
    upstream_reporting: Origin = "http://127.0.0.1:8084"
    upstream_receiver: Origin = "http://127.0.0.1:8090"

    dev_actor: bool = Field(default=False, description="whoever sits at this machine is its operator")
    lienthong_operator: str = Field(default="operator", description="the pseudonym that signs what is done then")
