"""A wall clock that can be set while processes run under it: libfaketime, put under them from outside."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

_PACKAGE: Final = "libfaketime"
_LIBRARY: Final = "lib/*/faketime/libfaketimeMT.so.1"


@dataclass(frozen=True, slots=True)
class Clock:
    """What processes under it take for the time of day; how long something lasts (the monotonic clock) stays true."""

    path: Path
    library: Path

    def set(self, now: datetime) -> None:
        """Within a second it is ``now`` for whoever looks, and time passes at its own pace."""
        self._write(round((now - datetime.now(UTC)).total_seconds()))

    def step(self, by: timedelta) -> None:
        """Within a second it is so much later (or earlier) than it would have been."""
        self._write(int(self.path.read_text(encoding="ascii")) + round(by.total_seconds()))

    def environment(self) -> dict[str, str]:
        """What puts a process under this clock."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.path),
            # Seconds: the file is read again so often. Read at every look, a look costs 40 µs, and everything crawls.
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # Its way of mending waits by the monotonic clock takes that clock for faked. Then every such wait is over
            # at once, Python's for its interpreter lock among them: whoever waits spins, and whoever works is always
            # asked to give the lock up (of 729 rounds one was left). A service took 38 s to be ready.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
            "NO_FAKE_STAT": "1",
        }

    def _write(self, seconds: int) -> None:
        draft = self.path.with_suffix(".draft")
        draft.write_text(f"{seconds:+d}\n", encoding="ascii")
        draft.replace(self.path)


def clock_at(path: Path) -> Clock:
    """A clock that goes right so far. Installs libfaketime where that is missing and may be installed.

    AssertionError with what to do where it may not.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = Clock(path, _library(os.environ))
    clock.set(datetime.now(UTC))
    return clock


def _library(environ: Mapping[str, str]) -> Path:
    if not _found() and shutil.which("apt-get") is not None and os.geteuid() == 0:
        environment = {**environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", _PACKAGE]):
            subprocess.run(["apt-get", *command], env=environment, stdin=subprocess.DEVNULL, check=False)
    found = _found()
    assert found, f"stepping clocks needs {_PACKAGE}: sudo apt-get install {_PACKAGE} (or your system's own way)"
    return found[0]


def _found() -> list[Path]:
    return sorted(Path("/usr").glob(_LIBRARY))
