"""``python -m deploy.door``: the front door as a process of its own."""

import resource
import sys
from urllib.parse import urlsplit

import uvicorn

from deploy.door.addresses import PREFIXES
from deploy.door.app import Door
from deploy.door.settings import Settings
from deploy.door.upstream import Limits, Upstream
from shared.settings import read
from shared.telemetry import start_logging

GRACE_SECONDS = 3
"""How long open requests may go on after a stop is asked for; a live page's stream never ends by itself."""

FILES = 8192


def main() -> int:
    """Serve until told to stop. Returns the process's exit status."""
    start_logging("door")
    settings = read(Settings)
    _allow_many_connections()
    server = uvicorn.Server(
        uvicorn.Config(
            _door(settings),
            host=settings.door_host,
            port=settings.door_port,
            http="httptools",
            ws="none",
            lifespan="on",
            # The peer is what the socket says: nobody stands before the door whose word for it would be taken.
            proxy_headers=False,
            # Both come from the upstream.
            server_header=False,
            date_header=False,
            # Paths carry printed codes.
            access_log=False,
            log_config=None,
            timeout_graceful_shutdown=GRACE_SECONDS,
            backlog=2048,
            # Longer than clients keep an unused connection, so that theirs, not ours, is the closing that races.
            timeout_keep_alive=75,
        )
    )
    server.run()
    return 0 if server.started else 1


def _allow_many_connections() -> None:
    """Each request in flight takes two file descriptors; the usual soft limit of 1,024 is there for select(2)."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _door(settings: Settings) -> Door:
    limits = Limits(
        connections=settings.door_connections,
        connect_seconds=settings.door_connect_seconds,
        queue_seconds=settings.door_queue_seconds,
        answer_seconds=settings.door_answer_seconds,
    )
    upstreams = {}
    for name in dict.fromkeys(PREFIXES.values()):
        origin: str | None = getattr(settings, f"upstream_{name}")
        if origin is None:
            continue  # not here: letters go to a real provider, traces to somebody else's store
        parts = urlsplit(origin)
        upstreams[name] = Upstream(name, str(parts.hostname), int(parts.port or 80), limits)
    return Door(upstreams, settings.banner, settings.door_started_by)


if __name__ == "__main__":
    sys.exit(main())
