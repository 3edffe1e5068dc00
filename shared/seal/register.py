"""The register of erasures: an append-only file outside every database, which no restored backup takes back.

One line of JSON for each erasure, without personal data. Several processes may read it and write to it at once.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Final

import msgspec

_NEW_LINE: Final = b"\n"
_LONGEST_LINE: Final = 4096
"""Bytes. A line has about 300; ids, codes and names of actors have limits."""


class RegisterError(Exception):
    """The register is damaged or cannot be used. The message names the file, and what to do."""


class Erasure(msgspec.Struct, frozen=True, forbid_unknown_fields=False):
    """What was erased: a dossier's data, by which event (id, version, business time), why and by whom.

    ``contact_version``: on the contact topic, no version up to this one is kept any more.
    """

    dossier: str
    event: str
    version: int
    contact_version: int
    time: datetime
    reason: str
    actor: str | None = None


class Register:
    """The file as far as it was read; it is looked at again whenever somebody asks. Absent, it is empty."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self._found: dict[str, Erasure] = {}
        self._read_to = 0
        self._inode = 0

    def holds(self, dossier: str) -> bool:
        """Whether a dossier's data were erased. Raises RegisterError."""
        return dossier in self.erasures()

    def erasures(self) -> Mapping[str, Erasure]:
        """All of them by dossier, in their order. Raises RegisterError when the file is damaged or cannot be read."""
        try:
            seen = self.file.stat()
        except FileNotFoundError:
            self._forget()
            return self._found
        except OSError as error:
            raise self._unusable(error) from error
        if seen.st_ino != self._inode or seen.st_size < self._read_to:  # somebody put another file in its place
            self._forget()
            self._inode = seen.st_ino
        if seen.st_size > self._read_to:
            self._read_on()
        return self._found

    def keep(self, erasures: Iterable[Erasure]) -> int:
        """Write down those that are not there yet; on disk when this returns. How many these were.

        Raises RegisterError when they cannot be: then nothing is certain, and the same call is to be made again.
        """
        try:
            self.file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            out = os.open(self.file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(out, fcntl.LOCK_EX)
                _cut_what_was_torn(out)
                there = self.erasures()
                new = {one.dossier: one for one in erasures if one.dossier not in there}
                if new:
                    _write(out, b"".join(msgspec.json.encode(one) + _NEW_LINE for one in new.values()))
                os.fsync(out)
            finally:
                os.close(out)
            _sync_folder(self.file.parent)
        except OSError as error:
            raise self._unusable(error) from error
        return len(new)

    def _read_on(self) -> None:
        try:
            with self.file.open("rb") as read:
                read.seek(self._read_to)
                lines = read.read()
        except OSError as error:
            raise self._unusable(error) from error
        # What has no end is being written, or its writer was killed: the store has it still.
        whole = lines[: lines.rfind(_NEW_LINE) + 1]
        for line in whole.splitlines():
            try:
                one = msgspec.json.decode(line, type=Erasure)
            except (msgspec.MsgspecError, ValueError):
                self._forget()
                raise RegisterError(
                    f"{self.file} has a line that is none: restore its newest copy, and never one of a database's age"
                ) from None
            self._found.setdefault(one.dossier, one)
        self._read_to += len(whole)

    def _forget(self) -> None:
        self._found = {}
        self._read_to = self._inode = 0

    def _unusable(self, error: OSError) -> RegisterError:
        return RegisterError(
            f"{self.file} cannot be used ({error.strerror}): give it, and its folder, to the user that the services "
            "run as, on a disk with room"
        )


def _cut_what_was_torn(out: int) -> None:
    """Take away a line that was begun by somebody who was killed over it; his erasure is in the store."""
    size = os.fstat(out).st_size
    begin = max(0, size - _LONGEST_LINE)
    whole = begin + os.pread(out, _LONGEST_LINE, begin).rfind(_NEW_LINE) + 1
    if whole < size:
        os.ftruncate(out, whole)


def _write(out: int, lines: bytes) -> None:
    while lines:
        lines = lines[os.write(out, lines) :]


def _sync_folder(folder: Path) -> None:
    """So that a file that was just made is found after a loss of power."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)
