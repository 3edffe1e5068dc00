"""``python -m deploy.operations``: the operators' pages as a process of their own."""

import sys

import uvicorn

from deploy.launcher.layout import SERVICES
from deploy.operations.guard import Guard
from deploy.operations.settings import Settings
from deploy.operations.web import make_app
from shared.telemetry import start_logging

GRACE_SECONDS = 3


def main() -> int:
    """Serve until told to stop. Returns the process's exit status."""
    start_logging("operations")
    settings = Settings()
    addresses = {name: str(getattr(settings, f"upstream_{name}")) for name in (*SERVICES, "receiver")}
    server = uvicorn.Server(
        uvicorn.Config(
            make_app(addresses, Guard(settings.dev_actor, settings.lienthong_operator), settings.banner),
            host=settings.operations_host,
            port=settings.operations_port,
            lifespan="on",
            ws="none",
            # Addresses of searches hold printed codes.
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=GRACE_SECONDS,
            timeout_keep_alive=75,
        )
    )
    server.run()
    return 0 if server.started else 1


if __name__ == "__main__":
    sys.exit(main())
