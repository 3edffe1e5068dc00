"""Intake's rows without intake: ``python -m tests.bench.raw_doors GIVEN``.

``limit``: COPY of the rows of 32 dossiers a transaction, on two connections that take turns, as intake carries out two
batches at once. ``several``: a transaction of several statements for each dossier, on 32 connections. ``single``: the same as
one statement with a CTE for each table. As at a door, connections are open and some dossiers written before the clock starts.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import asyncpg
import uvloop

from shared.journal import shard_of
from shared.topics import CONTACT
from tests.bench.machine import seconds_of

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


async def _batch(connection: asyncpg.Connection[asyncpg.Record], written: _Written, numbers: range) -> None:
    start, end = numbers.start, numbers.stop
    first = dict(zip(written["dossier"][0], written["dossier"][1][start], strict=True))
    async with connection.transaction():
        await connection.execute(_COUNTER, first["unit"], first["received"].date(), len(numbers))
        for table, (columns, rows) in written.items():
            each = 2 if table == "outbox" else 1
            await connection.copy_records_to_table(table, records=rows[start * each : end * each], columns=columns)


async def _several(connection: asyncpg.Connection[asyncpg.Record], written: _Written, numbers: range) -> None:
    number = numbers.start
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


async def _single(connection: asyncpg.Connection[asyncpg.Record], written: _Written, numbers: range) -> None:
    number = numbers.start
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


class _Side(NamedTuple):
    """How many connections a side has, how many dossiers share a transaction, and what is done with them."""

    connections: int
    together: int
    write: Callable[[asyncpg.Connection[asyncpg.Record], _Written, range], Awaitable[None]]


_SIDES: Final = {
    "limit": _Side(2, _TOGETHER, _batch),
    "several": _Side(_TOGETHER, 1, _several),
    "single": _Side(_TOGETHER, 1, _single),
}


def pieces(numbers: range, together: int) -> Iterator[range]:
    """Dossiers that share a transaction, in their order."""
    return (numbers[start : start + together] for start in range(0, len(numbers), together))


async def _write(
    side: _Side, connections: Sequence[asyncpg.Connection[asyncpg.Record]], written: _Written, numbers: range
) -> None:
    """Each connection takes the next piece as soon as it has written one."""
    left = pieces(numbers, side.together)

    async def work(connection: asyncpg.Connection[asyncpg.Record]) -> None:
        for piece in left:
            await side.write(connection, written, piece)

    await asyncio.gather(*(work(connection) for connection in connections))


async def main() -> None:
    """Run the side that the command line names, and print its seconds and processor seconds, and PostgreSQL's, as JSON."""
    given = json.loads(sys.argv[1])
    url, postgres, count, warm = os.environ["DATABASE"], int(os.environ["POSTGRES"]), given["count"], given["warm"]
    side, written = _SIDES[given["side"]], await _read(url)
    connections = [await asyncpg.connect(url) for _ in range(side.connections)]
    await _write(side, connections, written, range(warm))
    worked = seconds_of(postgres)
    began, used = time.perf_counter(), time.process_time()
    await _write(side, connections, written, range(warm, warm + count))
    said = {"seconds": time.perf_counter() - began, "python": time.process_time() - used}
    sys.stdout.write(json.dumps({**said, "postgres": seconds_of(postgres) - worked}))


if __name__ == "__main__":
    uvloop.run(main())
