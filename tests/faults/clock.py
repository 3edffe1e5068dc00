"""A wall clock that can be set while processes run under it, put under them from outside.

Not libfaketime: see docs/decisions/0094.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

_SOURCE: Final = Path(__file__).parent / "process" / "clock.c"
_COMPILERS: Final = ("cc", "gcc", "clang")
_SHIFT_BYTES: Final = 8


@dataclass(frozen=True, slots=True)
class Clock:
    """What processes under it take for the time of day; how long something lasts (the monotonic clock) stays true.

    ``path``: a file that holds by how many seconds it is wrong; every process looks there whenever it asks.
    """

    path: Path
    library: Path

    def now(self) -> datetime:
        """What it is for whoever looks."""
        return datetime.now(UTC) + timedelta(seconds=self._shift())

    def set(self, now: datetime) -> None:
        """From now on it is ``now`` for whoever looks, and time passes at its own pace."""
        self._write(round((now - datetime.now(UTC)).total_seconds()))

    def step(self, by: timedelta) -> None:
        """From now on it is so much later (or earlier) than it would have been."""
        self._write(self._shift() + round(by.total_seconds()))

    def environment(self) -> dict[str, str]:
        """What puts a process under this clock."""
        return {"LD_PRELOAD": str(self.library), "SHIFTED_CLOCK": str(self.path)}

    def _shift(self) -> int:
        return int.from_bytes(self.path.read_bytes(), _order(), signed=True)

    def _write(self, seconds: int) -> None:
        # In place, eight bytes at once: whoever has the file in his memory sees the one or the other.
        with self.path.open("r+b", buffering=0) as file:
            file.write(seconds.to_bytes(_SHIFT_BYTES, _order(), signed=True))


def clock_at(path: Path) -> Clock:
    """A clock that goes right so far. AssertionError with what to do where there is no C compiler."""
    path.parent.mkdir(parents=True, exist_ok=True)
    library = path.with_suffix(".so")
    path.unlink(missing_ok=True)  # what still runs under an older one of this name keeps that
    path.write_bytes(bytes(_SHIFT_BYTES))
    path.chmod(0o644)
    _compile(library)
    return Clock(path, library)


def compiler() -> str | None:
    """The name of a C compiler, where there is one."""
    return next((each for each in _COMPILERS if shutil.which(each) is not None), None)


def _compile(library: Path) -> None:
    found = compiler()
    assert found is not None, "setting clocks needs a C compiler: sudo apt-get install gcc libc6-dev (or your own way)"
    draft = library.with_suffix(".draft")
    command = [found, "-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(draft), str(_SOURCE)]
    subprocess.run(command, stdin=subprocess.DEVNULL, check=True)
    draft.replace(library)


def _order() -> Literal["little", "big"]:
    return sys.byteorder
