"""One child process: how it is started, watched, stopped, and what it leaves behind."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import psutil

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from pathlib import Path

    from deploy.launcher.layout import Layout
    from deploy.launcher.state import Entry

LOGS_KEPT = 3
# A service gives its batch, its requests and its letters some ten seconds each, one after the other; so does compose.
STOP_PATIENCE = 30
LOG_BYTES_BEFORE_ROTATION = 1_000_000
SIGNATURE = "LIENTHONG_PROCESS"
_LOOK_EVERY = 0.1
_NOTHING_LEFT = 20_000_000


class _Child(subprocess.Popen[bytes]):
    """A child that may outlive us: a test session leaves its servers running for the next one."""

    def __del__(self) -> None:
        """Without the warning that the child still runs."""


@dataclass(frozen=True, slots=True)
class Program:
    """How to start a process and how to know that it is ready.

    `patience`: seconds within which it must be ready. `stop_patience`: seconds between the stop signal and SIGKILL.
    `user`: uid to run as (root only), None for our own.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    is_ready: Callable[[], Awaitable[bool]]
    port: int | None = None
    patience: float = 180
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience: float = STOP_PATIENCE
    user: int | None = None


@dataclass(slots=True)
class Running:
    """A process that was started here or found running; all its methods may be called when it is already dead."""

    entry: Entry
    layout: Layout = field(repr=False)
    stop_signal: signal.Signals = signal.SIGTERM
    stop_patience: float = STOP_PATIENCE
    popen: _Child | None = field(default=None, repr=False)
    log_from: int = 0

    def last_words(self) -> str:
        """The last lines that it wrote since this start."""
        return tail(self.log, since=self.log_from)

    @property
    def name(self) -> str:
        return self.entry.name

    @property
    def log(self) -> Path:
        return self.layout.log(self.name)

    @property
    def pid(self) -> int:
        return self.entry.pid

    def is_alive(self) -> bool:
        """Whether it runs (stopped by SIGSTOP counts as running)."""
        if self.popen is not None and self.popen.poll() is not None:
            return False
        return state.is_alive(self.entry)

    def exit_code(self) -> int | None:
        """How it ended (negative: the signal that ended it); None while it runs or when it was no child of ours."""
        return None if self.popen is None else self.popen.poll()

    def send(self, number: signal.Signals) -> None:
        """Send a signal to this very process; nothing happens when it is gone."""
        if self.is_alive():
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def suspend(self) -> None:
        """SIGSTOP: it keeps its connections and locks and does nothing."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT after `suspend`."""
        self.send(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL, and wait until it is gone; children of its own (worker pools) go too."""
        self.send(signal.SIGKILL)
        await self.gone(10)
        end_group(self.entry, self.layout)

    async def gone(self, seconds: float) -> bool:
        """Wait until it is dead, at most so long; whether it is."""
        until = time.monotonic() + seconds
        while self.is_alive():
            if time.monotonic() > until:
                return False
            await asyncio.sleep(_LOOK_EVERY)
        return True

    async def stop(self) -> None:
        """Ask it to stop, wait, and kill it when it does not."""
        self.send(self.stop_signal)
        self.resume()
        if not await self.gone(self.stop_patience):
            await self.kill()
        end_group(self.entry, self.layout)


def start(program: Program, layout: Layout) -> Running:
    """Start a program in a session of its own (a Ctrl-C at the terminal reaches only the supervisor).

    Output goes to var/log/<name>.log. Raises LaunchError when it cannot be started or is dead at once.
    """
    log = layout.log(program.name)
    rotate(log)
    log_from = log.stat().st_size if log.exists() else 0
    signature = f"{layout.var}:{program.name}"
    with log.open("ab") as output:
        try:
            popen = _Child(
                program.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**program.environment, SIGNATURE: signature},
                cwd=REPOSITORY,
                start_new_session=True,
                user=program.user,
                group=program.user,
                extra_groups=None if program.user is None else [],
            )
        except OSError as error:
            raise LaunchError(f"{program.name} cannot be started: {error.strerror} ({program.command[0]}).") from error
    entry = state.entry_of(program.name, popen.pid)
    if entry is None:
        popen.wait()
        raise LaunchError(died_at_start(program.name, log, tail(log, since=log_from)))
    return Running(entry, layout, program.stop_signal, program.stop_patience, popen, log_from)


async def wait_ready(program: Program, running: Running) -> None:
    """Return when the program answers. Raises LaunchError when it dies first or takes too long."""
    until = time.monotonic() + program.patience
    while True:
        if not running.is_alive():
            raise LaunchError(died_at_start(program.name, running.log, running.last_words()))
        if await program.is_ready():
            return
        if time.monotonic() > until:
            raise LaunchError(
                f"{program.name} is not ready after {program.patience:.0f} s; its log is {running.log}:\n"
                f"{running.last_words()}"
            )
        await asyncio.sleep(_LOOK_EVERY)


def found(
    entry: Entry, layout: Layout, stop_signal: signal.Signals = signal.SIGTERM, stop_patience: float = STOP_PATIENCE
) -> Running:
    """A process of an earlier session, known by its entry."""
    return Running(entry, layout, stop_signal, stop_patience)


def rotate(log: Path) -> None:
    """Bound what logs take: at a start, a log over 1 MB becomes .1, .1 becomes .2, and so on; three are kept."""
    log.parent.mkdir(parents=True, exist_ok=True)
    if not log.exists() or log.stat().st_size < LOG_BYTES_BEFORE_ROTATION:
        return
    for number in range(LOGS_KEPT - 1, 0, -1):
        older = log.with_suffix(f".log.{number}")
        if older.exists():
            older.replace(log.with_suffix(f".log.{number + 1}"))
    log.replace(log.with_suffix(".log.1"))


def tail(log: Path, lines: int = 12, since: int = 0) -> str:
    """The last lines of a log, from byte `since` on, indented; says so when there are none."""
    try:
        text = log.read_bytes()[since:][-20_000:].decode(errors="replace").rstrip()
    except OSError:
        text = ""
    return "\n".join(f"  {line}" for line in text.splitlines()[-lines:]) or "  (it wrote nothing)"


def died_at_start(name: str, log: Path, text: str) -> str:
    """The sentence for a process that ended before it was ready, and what it last wrote."""
    if "No space left on device" in text or shutil.disk_usage(log.parent).free < _NOTHING_LEFT:
        return f"{name} stopped because the disk is full: free about 1.5 GB, then start again."
    return f"{name} stopped before it was ready. Set right what its last lines say ({log}), then start again:\n{text}"


def end_group(entry: Entry, layout: Layout) -> None:
    """SIGKILL what a dead process left in its process group (a pool's workers), if it carries our signature."""
    signature = f"{layout.var}:{entry.name}"
    for each in psutil.process_iter(["pid"]):
        with contextlib.suppress(psutil.Error, OSError):
            if os.getpgid(each.pid) == entry.pid and each.environ().get(SIGNATURE) == signature:
                each.kill()
