"""Migrations: numbered files, forward only, each in its own transaction, run by the owner role under one lock."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncpg

log = logging.getLogger(__name__)

_LOCK = 0x6C69656E  # "lien"

_TABLE = """
CREATE TABLE IF NOT EXISTS migration (
    origin text NOT NULL, number int NOT NULL, name text NOT NULL, digest text NOT NULL,
    applied timestamptz NOT NULL DEFAULT clock_timestamp(), PRIMARY KEY (origin, number))
"""


class MigrationChangedError(Exception):
    """A migration that was applied is not the file that is here now."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """A folder of files ``0001_what_it_does.sql``; ``origin`` keeps the numbers of several folders apart."""

    origin: str
    folder: Path

    def files(self) -> list[tuple[int, str, str]]:
        """(number, name, SQL) ascending. ValueError when a number is missing or said twice."""
        found = sorted((int(path.stem[:4]), path.stem[5:], path) for path in self.folder.glob("*.sql"))
        if [number for number, _, _ in found] != list(range(1, len(found) + 1)):
            raise ValueError(f"the migrations of {self.origin} are not numbered 1..n without gaps")
        return [(number, name, path.read_text(encoding="utf-8")) for number, name, path in found]


async def migrate(connection: asyncpg.Connection[asyncpg.Record], origins: Sequence[Migrations]) -> int:
    """Apply what is missing, in the order of ``origins``; returns how many were applied.

    MigrationChangedError when an applied file was edited afterwards: write a new one instead.
    """
    await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
    try:
        await connection.execute(_TABLE)
        applied = {
            (row["origin"], row["number"]): row["digest"]
            for row in await connection.fetch("SELECT origin, number, digest FROM migration")
        }
        count = 0
        for origin in origins:
            for number, name, sql in origin.files():
                digest = hashlib.sha256(sql.encode()).hexdigest()
                known = applied.get((origin.origin, number))
                if known == digest:
                    continue
                if known is not None:
                    raise MigrationChangedError(
                        f"migration {origin.origin}/{number:04}_{name} was edited after it was applied; "
                        "restore it and write a new one"
                    )
                async with connection.transaction():
                    await connection.execute(sql)
                    await connection.execute(
                        "INSERT INTO migration (origin, number, name, digest) VALUES ($1, $2, $3, $4)",
                        origin.origin,
                        number,
                        name,
                        digest,
                    )
                log.info("migration_applied", extra={"origin": origin.origin, "number": number, "migration": name})
                count += 1
        return count
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1)", _LOCK)
