"""Intake's rows without intake: ``python -m tests.bench.raw_doors GIVEN``.

``limit``: COPY of the rows of 32 dossiers a transaction, on one connection. ``several``: a transaction of several
statements for each dossier, on 32 connections. ``single``: the same as one statement with a CTE for each table.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final

import asyncpg
import uvloop

from shared.events import CONTACT
from shared.journal import shard_of

_TOGETHER: Final = 32
_COUNTER: Final = (
    "INSERT INTO counter AS mine (unit, day, last) VALUES ($1, $2, $3) "
    "ON CONFLICT (unit, day) DO UPDATE SET last = mine.last + $3 RETURNING last"
)
WRITTEN: Final = {
    "dossier": "id",
    "citizen": "dossier",
    "stream": "subject",
    "journal": "aggregateid",
    "snapshot": "aggregateid",
    "command": "answer->>'id'",
}
"""The tables in which intake writes a row a dossier, and what names the dossier there."""

_Written = dict[str, tuple[tuple[str, ...], list[tuple[Any, ...]]]]


def _of(written: _Written, number: int) -> Iterator[tuple[str, tuple[str, ...], tuple[Any, ...]]]:
    """Table, columns and values of every row of a dossier."""
    for table, (columns, rows) in written.items():
        each = 2 if table == "outbox" else 1
        for row in rows[number * each : (number + 1) * each]:
            yield table, columns, row


async def _read(url: str) -> _Written:
    """What intake wrote, table by table, in the order of its dossiers; with the pointers that its relay carried away."""
    connection = await asyncpg.connect(url)
    written: _Written = {}
    for table, key in WRITTEN.items():
        rows = await connection.fetch(f"SELECT * FROM bench_{table} ORDER BY {key}")
        written[table] = (tuple(rows[0].keys()), [tuple(row.values()) for row in rows])
    await connection.close()
    ids = [row[0] for row in written["stream"][1]]
    written["outbox"] = (
        ("shard", "topic", "aggregateid", "version"),
        [(shard_of(one), topic, one, 1) for one in ids for topic in (None, CONTACT.name)],
    )
    return written


async def _limit(url: str, written: _Written, count: int) -> None:
    connection = await asyncpg.connect(url)
    units, received = written["dossier"][0].index("unit"), written["dossier"][0].index("received")
    for start in range(0, count, _TOGETHER):
        end = min(start + _TOGETHER, count)
        async with connection.transaction():
            first = written["dossier"][1][start]
            await connection.execute(_COUNTER, first[units], first[received].date(), end - start)
            for table, (columns, rows) in written.items():
                each = 2 if table == "outbox" else 1
                await connection.copy_records_to_table(table, records=rows[start * each : end * each], columns=columns)


async def _several(connection: asyncpg.Connection[asyncpg.Record], written: _Written, number: int) -> None:
    dossier = dict(zip(written["dossier"][0], written["dossier"][1][number], strict=True))
    command = dict(zip(written["command"][0], written["command"][1][number], strict=True))
    async with connection.transaction():
        await connection.fetchrow(
            "SELECT digest, answer FROM command WHERE scope = $1 AND id = $2", command["scope"], command["id"]
        )
        await connection.fetchval(_COUNTER, dossier["unit"], dossier["received"].date(), 1)
        for table, columns, row in _of(written, number):
            places = ", ".join(f"${place}" for place in range(1, len(row) + 1))
            await connection.execute(f"INSERT INTO {table} ({_names(columns)}) VALUES ({places})", *row)


async def _single(connection: asyncpg.Connection[asyncpg.Record], written: _Written, number: int) -> None:
    dossier = dict(zip(written["dossier"][0], written["dossier"][1][number], strict=True))
    values: list[Any] = [dossier["unit"], dossier["received"].date(), 1]
    parts = [f"counted AS ({_COUNTER})"]
    for place, (table, columns, row) in enumerate(_of(written, number)):
        places = ", ".join(f"${len(values) + one}" for one in range(1, len(row) + 1))
        parts.append(f"part{place} AS (INSERT INTO {table} ({_names(columns)}) VALUES ({places}))")
        values += row
    await connection.execute(f"WITH {', '.join(parts)} SELECT last FROM counted", *values)


def _names(columns: tuple[str, ...]) -> str:
    return ", ".join(f'"{column}"' for column in columns)


async def _one_by_one(
    url: str,
    written: _Written,
    count: int,
    write: Callable[[asyncpg.Connection[asyncpg.Record], _Written, int], Awaitable[None]],
) -> None:
    numbers = iter(range(count))

    async def work() -> None:
        connection = await asyncpg.connect(url)
        for number in numbers:
            await write(connection, written, number)

    await asyncio.gather(*(work() for _ in range(_TOGETHER)))


async def main() -> None:
    """Run the side that the command line names, and print its seconds and processor seconds as JSON."""
    given = json.loads(sys.argv[1])
    url, count = os.environ["DATABASE"], given["count"]
    written = await _read(url)
    began, used = time.perf_counter(), time.process_time()
    if given["side"] == "limit":
        await _limit(url, written, count)
    else:
        await _one_by_one(url, written, count, _several if given["side"] == "several" else _single)
    said = {"seconds": time.perf_counter() - began, "python": time.process_time() - used}
    sys.stdout.write(json.dumps(said))


if __name__ == "__main__":
    uvloop.run(main())
