"""What notification says to the outside world: letters, over SMTP."""

from services.notification.gateway.letters import Letters
from services.notification.gateway.smtp import Mail

__all__ = ["Letters", "Mail"]
