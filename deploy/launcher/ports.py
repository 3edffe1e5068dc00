"""Ports and disk: what must be free before anything starts."""

from __future__ import annotations

import contextlib
import shutil
import socket
from typing import TYPE_CHECKING

import psutil

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, PORTS_IN_RANGE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from deploy.launcher.layout import Layout

FIRST_START_BYTES = 1_500_000_000
LATER_START_BYTES = 300_000_000


def refuse_busy(layout: Layout, names: Iterable[str]) -> None:
    """Raises LaunchError when somebody listens on one of these ports, and says who, as far as that may be known."""
    for name in names:
        port = layout.ports[name]
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError as error:
                raise LaunchError(
                    f"Port {port}, meant for {name}, is in use by {_listener(port)}: stop that, or choose another "
                    f"range of {PORTS_IN_RANGE} ports, for example {layout.moved_by}={_other(layout.port)}."
                ) from error


def refuse_full_disk(folder: Path, needed: int) -> None:
    """Raises LaunchError when the disk of a folder has less than so many bytes free."""
    existing = next(each for each in (folder, *folder.parents) if each.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise LaunchError(
            f"The disk of {folder} has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed: free some, or "
            "name a folder on another disk in LIENTHONG_VAR."
        )


def _listener(port: int) -> str:
    with contextlib.suppress(psutil.Error, OSError):
        for each in psutil.net_connections("tcp"):
            if each.status == psutil.CONN_LISTEN and each.laddr and each.laddr[1] == port and each.pid:
                return f"{psutil.Process(each.pid).name()} (pid {each.pid})"
    return "another program"


def _other(port: int) -> int:
    return port + 1000 if port + 1000 <= 65535 - PORTS_IN_RANGE else 18080
