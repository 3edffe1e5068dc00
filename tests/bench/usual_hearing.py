"""The usual way to hear events: a FastStream handler per message, a transaction each, acknowledged after it.

As a good engineer would write it: a pool that keeps what it prepared, one plain INSERT a row, nothing looked up that the rows
themselves say, and units, routes, procedures and calendars in memory since the start. Decoding and rules are routing's own,
and so are the rows that come of them. It records no spans and sends no telemetry: those are to its advantage.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final

import asyncpg
from faststream import AckPolicy
from faststream.kafka import KafkaBroker, KafkaMessage
from faststream.kafka.message import FAKE_CONSUMER, KafkaAckableMessage

from services.routing import store
from services.routing.rules import journey
from services.routing.values import Known
from shared.bus import Decided
from shared.envelope import Heard, Record, decode
from shared.topics import INTAKE, ROUTING

TOPIC: Final = "bench.alternative"
_OFFICE: Final = ("office", 1)


def _insert(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    places = ", ".join(f"${place}" for place in range(1, len(columns) + 1))
    return f"INSERT INTO {table} ({names}) VALUES ({places})"


_HEARD: Final = _insert("heard", ("subject", "source", "version", "event_id")) + " ON CONFLICT DO NOTHING"
_STREAM: Final = _insert("stream", ("subject", "version", "last_time"))
_JOURNEY: Final = _insert("journey", store._JOURNEY_COLUMNS)
_LEDGER: Final = _insert("ledger", store._LEDGER_COLUMNS)
_TIMER: Final = _insert("timer", store._TIMER_COLUMNS)
_JOURNAL: Final = (
    "INSERT INTO journal (aggregateid, version, id, aggregatetype, type, timestamp, cause_source, cause_version, origin, "
    "actor, tracingspancontext, payload) VALUES ($1, 1, gen_random_uuid(), $2, $3, $4, $5, $6, $7, $8, $9, $10)"
)
_OUTBOX: Final = _insert("outbox", ("shard", "aggregateid", "version"))


async def hear_all(
    kafka: str, url: str, count: int, when_first: Callable[[], object], when_last: Callable[[], object]
) -> None:
    """Hear so many events; the others are called when the first of them is committed, and the last."""
    pool = await asyncpg.create_pool(url, min_size=1, max_size=1, reset=_as_it_is)
    known = await _known(pool)
    broker = KafkaBroker(kafka, apply_types=False, logger=None)
    had = 0
    over = asyncio.Event()

    async def read(message: Any) -> KafkaMessage:
        return KafkaAckableMessage(
            raw_message=message, body=message.value, consumer=subscriber.consumer or FAKE_CONSUMER
        )

    subscriber = broker.subscriber(
        TOPIC,
        group_id="bench-alternative",
        auto_offset_reset="earliest",
        ack_policy=AckPolicy.ACK,
        parser=read,
        decoder=_raw,
    )

    @subscriber
    async def hear(message: Any) -> None:
        nonlocal had
        if had == count:
            return
        async with pool.acquire() as tx, tx.transaction():
            await _hear_one(tx, message, known)
        had += 1
        if had == 1:
            when_first()
        if had == count:
            when_last()
            over.set()

    await broker.start()
    await over.wait()
    await broker.stop()
    await pool.close()


async def _as_it_is(_: Any) -> None:
    """No session is changed, so that none has to be set back."""


async def _raw(message: Any) -> Any:
    return message.raw_message


async def _known(pool: asyncpg.Pool[asyncpg.Record]) -> Known:
    async with pool.acquire() as tx:
        codes = [row["code"] for row in await tx.fetch("SELECT code FROM procedure")]
        return Known(
            await store.units(tx),
            await store.calendars(tx, {_OFFICE}),
            await store.routes(tx),
            await store.procedures(tx, codes),
        )


async def _hear_one(tx: Any, message: Any, known: Known) -> None:
    """One event: keep that it was heard, decide, save, journal, outbox: the rows that routing writes.

    Where that it was heard is new, so is all that comes of it: a journey begins with the first event of its dossier.
    """
    heard = decode(
        Record(INTAKE.name, message.partition, message.offset, message.key, tuple(message.headers), message.value)
    )
    assert isinstance(heard, Heard)
    if await tx.execute(_HEARD, heard.subject, "intake", 1, heard.id) == "INSERT 0 0":
        return
    decided = journey.begin(None, heard, known)
    assert isinstance(decided, Decided)
    said = decided.say[0]
    await tx.execute(_STREAM, heard.subject, 1, heard.time)
    for statement, rows in _rows_of(decided.state):
        for row in rows:
            await tx.execute(statement, *row)
    await tx.execute(
        _JOURNAL,
        heard.subject,
        ROUTING.name,
        type(said.event).__name__,
        heard.time,
        "intake",
        1,
        heard.origin,
        heard.actor,
        heard.traceparent,
        said.event.model_dump_json(exclude_defaults=True),
    )
    await tx.execute(_OUTBOX, message.partition, heard.subject, 1)


def _rows_of(new: Any) -> list[tuple[str, list[tuple[Any, ...]]]]:
    entries = [(new.dossier, *store._entry(entry)) for entry in new.unsaved.entries]
    return [
        (_JOURNEY, [store._row(new)]),
        (_LEDGER, entries),
        (_TIMER, [store._timer_row(new.dossier, new.unsaved.timers)]),
    ]
