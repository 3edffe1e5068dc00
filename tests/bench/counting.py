"""Rows that a side wrote. Those of the outbox are told by the numbers that it drew: a relay deletes what it has sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import asyncpg

_DRAWN: Final = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM outbox_id_seq"
_ALL: Final = (
    "SELECT relname FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace "
    "AND relname NOT LIKE 'bench%' ORDER BY relname"
)
_TOO_FEW: Final = 0.01


async def counted(store: asyncpg.Connection[asyncpg.Record], tables: Iterable[str] | None = None) -> dict[str, int]:
    """Rows by table; of the outbox all that were ever written. ``tables`` None: whatever there is."""
    names = [row["relname"] for row in await store.fetch(_ALL)] if tables is None else list(tables)
    return {
        table: await store.fetchval(_DRAWN if table == "outbox" else f'SELECT count(*) FROM "{table}"')
        for table in names
    }


async def unsent(store: asyncpg.Connection[asyncpg.Record]) -> int:
    """How many pointers no relay has carried away yet."""
    left: int = await store.fetchval("SELECT count(*) FROM outbox")
    return left


def rows_each(before: Mapping[str, int], after: Mapping[str, int], count: int) -> dict[str, float]:
    """Rows for each of ``count`` things, by table; tables with less than one for a hundred things are left out."""
    each = {table: (rows - before.get(table, 0)) / count for table, rows in after.items()}
    return {table: rows for table, rows in each.items() if rows >= _TOO_FEW}


def told(each: Mapping[str, float]) -> str:
    """Rows in words: whole numbers as such, others to three places, so that none is rounded to what it should be."""
    return ", ".join(f"{table} {round(rows, 3):g}" for table, rows in each.items())


def whole(each: Mapping[str, float]) -> dict[str, int]:
    """What two sides that write the same rows have in common; a counter's row is shared by as many as there happen to be."""
    return {table: round(rows) for table, rows in each.items() if round(rows) and table != "counter"}
