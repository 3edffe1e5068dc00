"""The folder of messages: one file each, named by arrival, whole or not there at all."""

import fcntl
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

MessageId = str
"""A file's name without its ending: arrival in UTC and a random UUID, so that it sorts by arrival."""

ENDING: Final = ".eml"
_ARRIVING: Final = ".arriving"
_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_HEAD_BYTES: Final = 16 * 1024


class FolderInUseError(Exception):
    """Another mail catcher writes into this folder."""


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of a message's file, with the file's size in bytes."""

    id: MessageId
    data: bytes
    size: int


class Folder:
    """Messages on disk. Its methods wait for the disk: call them in a thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock: int | None = None

    def open(self) -> None:
        """Make the folder ours alone, and throw away what a crash left half written: it was never acknowledged.

        Raises FolderInUseError, OSError.
        """
        self._path.mkdir(parents=True, exist_ok=True)
        self._path.chmod(0o700)
        lock = os.open(self._path / ".lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise FolderInUseError(str(self._path)) from None
        self._lock = lock
        for left in self._path.glob(f"*{_ARRIVING}"):
            left.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def keep(self, data: bytes, arrived: datetime) -> MessageId:
        """Write a message; when this returns, it is on disk under its name. Raises OSError, and leaves nothing then."""
        name = f"{arrived.astimezone(UTC):%Y%m%dT%H%M%S.%fZ}-{uuid4()}"
        final = self._path / (name + ENDING)
        arriving = self._path / (name + _ARRIVING)
        try:
            with arriving.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            arriving.rename(final)
            # The name too is only safe when the folder that holds it is.
            folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError:
            arriving.unlink(missing_ok=True)
            final.unlink(missing_ok=True)
            raise
        return name

    def read(self, name: MessageId) -> bytes:
        """A message as it was kept. Raises FileNotFoundError, also for what is no name of ours."""
        if _NAME.fullmatch(name) is None:
            raise FileNotFoundError(name)
        return (self._path / (name + ENDING)).read_bytes()

    def heads(self) -> Iterator[Head]:
        """The first part of every message, by arrival; the whole of it where its header is longer than usual."""
        with os.scandir(self._path) as entries:
            names = sorted(entry.name for entry in entries if entry.name.endswith(ENDING))
        for name in names:
            if _NAME.fullmatch(name.removesuffix(ENDING)) is None:
                continue
            with (self._path / name).open("rb") as file:
                data = file.read(_HEAD_BYTES)
                size = os.fstat(file.fileno()).st_size
                if b"\n\r\n" not in data and b"\n\n" not in data:
                    data += file.read()
            yield Head(name.removesuffix(ENDING), data, size)

    def free_bytes(self) -> int:
        """How much of its disk is free."""
        return shutil.disk_usage(self._path).free
