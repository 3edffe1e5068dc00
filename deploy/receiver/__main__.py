"""``python -m deploy.receiver``: the receiver as a process of its own."""

import fcntl
import logging
import os
import sqlite3
import sys
from contextlib import ExitStack
from pathlib import Path

import uvicorn

from deploy.receiver.settings import Settings
from deploy.receiver.shelf import LOGS, METRICS, TRACES, Bounds, Kind, Shelf
from deploy.receiver.web import make_app
from shared.telemetry import start_logging

log = logging.getLogger("deploy.receiver")

GRACE_SECONDS = 3


class FolderInUseError(Exception):
    """Another receiver keeps its rows in this folder."""


def main() -> int:
    """Serve until told to stop. Returns the process's exit status."""
    start_logging("receiver")
    settings = Settings()
    with ExitStack() as stack:
        try:
            stack.callback(os.close, _locked(settings.receiver_folder))
            shelves = [
                _opened(stack, settings, TRACES, settings.receiver_traces_bytes),
                _opened(stack, settings, METRICS, settings.receiver_metrics_bytes),
                _opened(stack, settings, LOGS, settings.receiver_logs_bytes),
            ]
        except (FolderInUseError, OSError, sqlite3.Error) as error:
            log.critical("receiver_cannot_start", extra={"reason": type(error).__name__})
            return 1
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(*shelves, dev_actor=settings.dev_actor),
                host=settings.receiver_host,
                port=settings.receiver_port,
                lifespan="on",
                ws="none",
                access_log=False,
                log_config=None,
                timeout_graceful_shutdown=GRACE_SECONDS,
                timeout_keep_alive=75,
            )
        )
        server.run()
        return 0 if server.started else 1


def _locked(folder: Path) -> int:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise FolderInUseError(str(folder)) from None
    return lock


def _opened(stack: ExitStack, settings: Settings, kind: Kind, limit: int) -> Shelf:
    bounds = Bounds(limit, settings.receiver_days * 86_400, settings.receiver_keep_free_bytes)
    shelf = Shelf(kind, settings.receiver_folder / f"{kind.name}.db", bounds)
    shelf.open()
    stack.callback(shelf.close)
    return shelf


if __name__ == "__main__":
    sys.exit(main())
