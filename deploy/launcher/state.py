"""What runs: var/run/state.json, and how a process in it is told from a stranger that got its pid.

A pid alone proves nothing: after a crash or a reboot it may belong to somebody else. Every entry therefore holds the
process's birth (kernel start ticks and boot id on Linux, creation time elsewhere), which no later process shares.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import psutil

from deploy.launcher.layout import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class Entry:
    """One process: its name, pid, birth and when we started it (seconds since the epoch)."""

    name: str
    pid: int
    birth: str
    started: float


@dataclass(frozen=True, slots=True)
class State:
    """The supervisor (none in a test session), its children in the order of their start, and how far it has come.

    `port` is the first of the ten that it was started on; 0 when nothing was.
    """

    supervisor: Entry | None = None
    children: tuple[Entry, ...] = ()
    stage: str = ""
    ready: bool = False
    failure: str = ""
    external: tuple[str, ...] = ()
    port: int = 0

    def child(self, name: str) -> Entry | None:
        """The entry of a child by its name."""
        return next((entry for entry in self.children if entry.name == name), None)

    @property
    def alive(self) -> tuple[Entry, ...]:
        """The children that still run."""
        return tuple(entry for entry in self.children if is_alive(entry))

    def with_child(self, entry: Entry) -> State:
        """This state with a child added, or put in the place of the former one of its name."""
        if self.child(entry.name) is None:
            return replace(self, children=(*self.children, entry))
        return replace(self, children=tuple(entry if old.name == entry.name else old for old in self.children))

    def without_child(self, name: str) -> State:
        """This state without the child of that name."""
        return replace(self, children=tuple(entry for entry in self.children if entry.name != name))


def birth(pid: int) -> str | None:
    """What tells this process from any other that ever had or will have its pid; None when there is none (a zombie
    counts as none)."""
    boot = Path("/proc/sys/kernel/random/boot_id")
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        if boot.exists():
            # Creation *time* is derived from the wall clock on Linux and moves when that is set; ticks do not.
            ticks = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
            return f"{boot.read_text().strip()}:{ticks}"
        return f"{process.create_time():.2f}"
    except (psutil.NoSuchProcess, psutil.AccessDenied, OSError, IndexError):
        return None


def entry_of(name: str, pid: int) -> Entry | None:
    """An entry for a process that was just started; None when it is gone already."""
    mark = birth(pid)
    return None if mark is None else Entry(name, pid, mark, time.time())


def is_alive(entry: Entry) -> bool:
    """Whether the very process of this entry still runs."""
    return birth(entry.pid) == entry.birth


def read(layout: Layout) -> State:
    """The state as last written; an empty one when there is none or it cannot be read (a half-written disk)."""
    try:
        raw = json.loads((layout.run / "state.json").read_text())
        return State(
            supervisor=Entry(**raw["supervisor"]) if raw["supervisor"] else None,
            children=tuple(Entry(**child) for child in raw["children"]),
            stage=raw["stage"],
            ready=raw["ready"],
            failure=raw["failure"],
            external=tuple(raw["external"]),
            port=raw.get("port", 0),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return State()


def where_it_runs(environ: Mapping[str, str]) -> Layout:
    """The layout of what runs in this folder, on the ports that it was started on; LIENTHONG_PORT wins."""
    layout = Layout.of(environ)
    running = read(layout)
    if environ.get("LIENTHONG_PORT") or not running.port or running.supervisor is None:
        return layout
    return replace(layout, port=running.port) if is_alive(running.supervisor) else layout


def write(layout: Layout, state: State) -> None:
    """Put the state in place of the former one, whole or not at all."""
    layout.run.mkdir(parents=True, exist_ok=True)
    draft = layout.run / f"state.{os.getpid()}.draft"
    draft.write_text(json.dumps(asdict(state), indent=1))
    draft.replace(layout.run / "state.json")


@contextlib.contextmanager
def held(layout: Layout, name: str, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock `name` of this layout; yields False (only without `wait`) when somebody else holds it.

    The kernel lets go of it when its holder dies, however it dies.
    """
    layout.run.mkdir(parents=True, exist_ok=True)
    with (layout.run / f"{name}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
