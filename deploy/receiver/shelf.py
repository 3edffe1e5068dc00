"""A shelf: one SQLite file for one signal, bounded by bytes and by age; the oldest go first.

WAL with ``synchronous=NORMAL``: what was answered is there after a kill -9, and after a power cut all but the last
moments. A file that cannot be read any more is put aside and a new one begun: telemetry is worth no standstill.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

from shared.store.queries import Queries

log = logging.getLogger(__name__)

_sql = Queries(Path(__file__).parent / "sql")

_PAGE: Final = 4096
_CHUNK: Final = 200
_BUSY_SECONDS: Final = 5.0
_LARGEST_WAL: Final = 8 * 1024 * 1024
_FULL_ENOUGH: Final = 0.95
"""Down to this share of the limit is made room, so that it is not made for every request."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a shelf holds: its schema, how a row gets in, which are the oldest, and how one of them goes."""

    name: str
    schema: str
    add: Callable[[sqlite3.Connection, Mapping[str, Any]], None]
    oldest: str
    forget: tuple[str, ...]
    held: str


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a shelf may hold: bytes of its file, seconds, and bytes of its disk that stay free."""

    bytes: int
    seconds: float
    keep_free: int


@dataclass(slots=True)
class Shelf:
    """Rows on disk. Its methods wait for the disk: call them in a thread. ``dropped``: items lost since the start."""

    kind: Kind
    path: Path
    bounds: Bounds
    clock: Callable[[], float] = time.time
    dropped: int = 0
    dropping: str | None = None
    _writing: Lock = field(default_factory=Lock)
    _reading: Lock = field(default_factory=Lock)
    _writer: sqlite3.Connection | None = None
    _reader: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file, or begin a new one. Raises sqlite3.Error or OSError when neither can be done."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if self._opens():
            return
        aside = self.path.with_suffix(".broken")
        self.path.replace(aside)
        for rest in ("-wal", "-shm"):
            self.path.with_name(self.path.name + rest).unlink(missing_ok=True)
        log.error("shelf_broken", extra={"shelf": self.kind.name, "kept_as": aside.name})
        self._open()

    def close(self) -> None:
        """Let go of the file."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def keep(self, rows: Sequence[Mapping[str, Any]]) -> str | None:
        """Keep rows, all or none, and make room; None, or why they were dropped (`disk_full`, or the error's kind)."""
        if not rows:
            return None
        with self._writing:
            why = self._keep(rows)
            if why is None:
                if self.dropping is not None:
                    log.info("receiver_keeps_again", extra={"shelf": self.kind.name, "dropped": self.dropped})
            else:
                self.dropped += len(rows)
                if self.dropping != why:
                    log.warning("receiver_drops", extra={"shelf": self.kind.name, "because": why})
            self.dropping = why
            return why

    def ask(self, query: str, **parameters: Any) -> list[dict[str, Any]]:
        """The rows of a named query."""
        with self._reading:
            assert self._reader is not None
            return [dict(row) for row in self._reader.execute(_sql[query], parameters)]

    @property
    def bytes(self) -> int:
        """What the rows take in the file."""
        with self._reading:
            assert self._reader is not None
            return _used(self._reader)

    def status(self) -> dict[str, Any]:
        """How full it is, since when it holds, and what was dropped since the start and why."""
        (held,) = self.ask(self.kind.held)
        age = 0.0 if held["oldest"] is None else max(0.0, self.clock() - held["oldest"])
        return {
            "bytes": self.bytes,
            "limit_bytes": self.bounds.bytes,
            "count": held["count"],
            "oldest_seconds": round(age, 3),
            "dropped": self.dropped,
            "dropping": self.dropping,
        }

    def tidy(self) -> None:
        """Let go what is too old, also when nothing comes any more."""
        with self._writing, contextlib.suppress(sqlite3.Error):
            self._make_room()

    def _opens(self) -> bool:
        """False when the file is none that can be read."""
        try:
            self._open()
        except sqlite3.OperationalError:  # locked, full, not allowed: the file itself may be fine
            raise
        except sqlite3.DatabaseError:
            self.close()
            return False
        return True

    def _open(self) -> None:
        self._writer = self._connected()
        self._writer.execute(f"PRAGMA page_size = {_PAGE}")
        self._writer.execute("PRAGMA auto_vacuum = INCREMENTAL")
        self._writer.execute("PRAGMA journal_mode = WAL")
        self._writer.execute("PRAGMA synchronous = NORMAL")
        self._writer.execute(f"PRAGMA journal_size_limit = {_LARGEST_WAL}")
        # A wall behind the limit, should making room not keep up.
        self._writer.execute(f"PRAGMA max_page_count = {self.bounds.bytes // _PAGE * 5 // 4 + 64}")
        self._writer.executescript(_sql[self.kind.schema])
        self._reader = self._connected()
        self._reader.execute("PRAGMA query_only = ON")
        self._reader.execute("SELECT count(*) FROM sqlite_schema").fetchone()

    def _connected(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        return connection

    def _keep(self, rows: Sequence[Mapping[str, Any]]) -> str | None:
        try:
            if shutil.disk_usage(self.path.parent).free < self.bounds.keep_free:
                return "disk_full"
            self._make_room()
            self._add(rows)
        except sqlite3.Error as error:
            return "disk_full" if error.sqlite_errorcode in _NO_ROOM else type(error).__name__
        except OSError as error:
            return type(error).__name__
        return None

    def _add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        assert self._writer is not None
        with _transaction(self._writer) as writer:
            for row in rows:
                self.kind.add(writer, row)

    def _make_room(self) -> None:
        """Oldest first, in chunks, until what is left is young enough and fits."""
        assert self._writer is not None
        cutoff = self.clock() - self.bounds.seconds
        target = self.bounds.bytes
        while True:
            too_much = _used(self._writer) > target
            if too_much:
                target = int(self.bounds.bytes * _FULL_ENOUGH)
            oldest = self._writer.execute(_sql[self.kind.oldest], {"count": _CHUNK}).fetchall()
            going = [row["id"] for row in oldest if too_much or row["arrived"] < cutoff]
            if not going:
                return
            with _transaction(self._writer) as writer:
                for query in self.kind.forget:
                    writer.executemany(_sql[query], [{"id": ident, "before": int(cutoff * 1e9)} for ident in going])
            self._writer.execute("PRAGMA incremental_vacuum").fetchall()


_NO_ROOM: Final = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_IOERR_FSYNC}
)


@contextlib.contextmanager
def _transaction(writer: sqlite3.Connection) -> Any:
    writer.execute("BEGIN IMMEDIATE")
    try:
        yield writer
        writer.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            writer.execute("ROLLBACK")
        raise


def _used(connection: sqlite3.Connection) -> int:
    pages = connection.execute("PRAGMA page_count").fetchone()[0]
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return int(pages - free) * _PAGE


def _add_span(writer: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    writer.execute(_sql["add_span"], row)
    writer.execute(_sql["add_trace"], row)
    if row["stream"] is not None:
        writer.execute(_sql["add_stream"], row)


def _add_line(writer: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    writer.execute(_sql["add_line"], row)


def _add_point(writer: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    writer.execute(_sql["add_point"], row)
    writer.execute(_sql["add_newest"], row)


TRACES: Final = Kind(
    "traces", "traces_schema", _add_span, "oldest_traces", ("forget_spans", "forget_streams", "forget_trace"),
    "traces_held",
)  # fmt: skip
METRICS: Final = Kind(
    "metrics", "metrics_schema", _add_point, "oldest_points", ("forget_point", "forget_newest"), "points_held"
)
LOGS: Final = Kind("logs", "logs_schema", _add_line, "oldest_lines", ("forget_line",), "lines_held")
