"""Disks of a size of their own, that can be filled and emptied: a tmpfs under a folder of the river."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_BALLAST: Final = "ballast"
_STEP: Final = 64 * 1024 * 1024
_PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Disk:
    """A small disk. What fills it is a file that nobody else knows of."""

    folder: Path

    def fill(self, *, leave: int = 0) -> int:
        """Take all the room but ``leave`` bytes; how many bytes were taken.

        Step by step: others write meanwhile, and a step for which there is no room any more takes nothing at all.
        """
        taken, step = 0, _STEP
        with (self.folder / _BALLAST).open("ab") as ballast:
            begins = ballast.tell()
            while (room := self._room() - leave) > 0 and step >= _PAGE:
                wanted = min(step, room)
                try:
                    os.posix_fallocate(ballast.fileno(), begins + taken, wanted)
                except OSError:
                    step //= 2
                else:
                    taken += wanted
        return taken

    def _room(self) -> int:
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def empty(self) -> None:
        """There is room again."""
        (self.folder / _BALLAST).unlink(missing_ok=True)


@contextmanager
def small_disks(sizes: dict[Path, str]) -> Iterator[dict[Path, Disk]]:
    """Each folder on a disk of its own, of such a size (as mount writes it: ``512m``), until the block is left.

    AssertionError where this user may not mount.
    """
    assert os.geteuid() == 0, "full disks need the right to mount one: run this part as root"
    with ExitStack() as stack:
        for folder, size in sizes.items():
            stack.enter_context(_mounted(folder, size))
        yield {folder: Disk(folder) for folder in sizes}


@contextmanager
def _mounted(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    while os.path.ismount(folder):  # of a run that was killed
        _run("umount", "--lazy", str(folder))
    _run("mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "lienthong-faults", str(folder))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(folder))


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True)
