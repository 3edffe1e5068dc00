"""Records that nobody said: what a broken client, a torn disk or somebody curious might write onto our topics.

All of them are about subjects of which no service ever speaks, so that whatever effect one has is seen as one. Parsing
vectors are made here, after the grammar of RFC 8259: for each rule of it bodies that break it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, Final

from aiokafka import AIOKafkaProducer

from shared.events import DossierWithdrawn, NoticeSent
from shared.journal import shard_of
from shared.topics import TOPIC_OF, Service
from tests.faults.ground import Ground
from tests.faults.strikes import Strike
from tests.telling import Story, record_of

_AT_ONCE: Final = 500
_LARGE: Final = 10_000_000
_LARGE_ONES: Final = 3

Headers = dict[str, bytes]
Forged = tuple[bytes | None, Headers, bytes | None]
"""Key, headers and body of a record."""

_GRAMMAR: Final = (
    b"",
    b" ",
    b"\x00",
    b"null",
    b"true",
    b"0",
    b"-",
    b"+1",
    b"01",
    b"1.",
    b".5",
    b"1e",
    b"1e+",
    b"0x10",
    b"NaN",
    b"-Infinity",
    b"1e999999",
    b'"',
    b'"\\"',
    b'"\\x41"',
    b'"\\u12"',
    b'"\\ud800"',
    b'"\\u0000"',
    b'"\x01"',
    b'"\xff"',
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b"'single'",
    b"[",
    b"]",
    b"[,]",
    b"[1,]",
    b"[1 2]",
    b"[1,,2]",
    b"[1}",
    b"{",
    b"}",
    b"{,}",
    b"{]",
    b'{"a"}',
    b'{"a":}',
    b'{"a":1,}',
    b'{"a" 1}',
    b"{a:1}",
    b"{1:1}",
    b"{'a':1}",
    b'{"a":1}x',
    b'{"a":1}{"a":1}',
    b'{"a":1}//',
    b'{"a":1/**/}',
    b"#",
    b"<x/>",
    b"tru",
    b"TRUE",
    b"nul",
    b'\xef\xbb\xbf{"a":1}',
    '{"a":1}'.encode("utf-16"),
    b"{}",
    b"[]",
    b'{"code":{}}',
    b'{"code":null}',
    b'{"code":[["x"]]}',
)
_NAUGHTY: Final = (
    "'; DROP TABLE heard; --",
    "${jndi:ldap://x}",
    "{{7*7}}",
    "../../etc/passwd",
    "%00",
    "NULL",
    "-0",
    "1e309",
    "Ａ",
    "ﷺ",
    "Đặng Thị Ngọc",
    "👩‍👩‍👧‍👦",
    "\u202eevil",
    "\ufeff",
    "\u200b",
    "\x7f",
    "a\nb",
    "a\x00b",
    "x" * 250,
)


def _truncated(chance: Random, valid: Forged) -> Forged:
    key, headers, body = valid
    return key, headers, (body or b"")[: chance.randrange(1, len(body or b"") - 1)]


def _flipped(chance: Random, valid: Forged) -> Forged:
    """Bits turned over until it is no JSON any more."""
    key, headers, body = valid
    torn = bytearray(body or b"")
    while True:
        torn[chance.randrange(len(torn))] ^= 1 << chance.randrange(8)
        try:
            json.loads(bytes(torn))
        except ValueError:  # UnicodeDecodeError is one, too
            return key, headers, bytes(torn)


def _against_the_grammar(chance: Random, valid: Forged) -> Forged:
    return valid[0], valid[1], chance.choice(_GRAMMAR)


def _deep(chance: Random, valid: Forged) -> Forged:
    depth = chance.choice((200, 5_000, 100_000))
    opened, closed = chance.choice(((b"[", b"]"), (b'{"a":', b"}")))
    return valid[0], valid[1], opened * depth + b"1" + closed * depth * chance.randrange(2)


def _with_wrong_version(chance: Random, valid: Forged) -> Forged:
    wrong = chance.choice((b"", b"0", b"-1", b"2.5", b"1e3", b"9" * 40, b"\xff", b"one", b"2147483648", b" ", b"0x1"))
    return valid[0], {**valid[1], "ce_streamversion": wrong}, valid[2]


def _without_a_key(_: Random, valid: Forged) -> Forged:
    return None, valid[1], valid[2]


def _without_a_header(chance: Random, valid: Forged) -> Forged:
    needed = [name for name in valid[1] if name != "content-type"]
    gone = chance.choice(needed)
    return valid[0], {name: value for name, value in valid[1].items() if name != gone}, valid[2]


def _with_a_wrong_header(chance: Random, valid: Forged) -> Forged:
    name = chance.choice(("ce_source", "ce_time", "ce_recordedtime", "ce_id", "ce_type", "ce_specversion"))
    value = chance.choice((b"", b"\xff\xfe", b"/nobody", b"2019-13-45", b"0" * 5000, b"lienthong.", b"\x00"))
    return valid[0], {**valid[1], name: value}, valid[2]


def _naughty(chance: Random, valid: Forged) -> Forged:
    """About a subject that quotes, joins, reverses or breaks whatever it is written into."""
    subject = (valid[0] or b"") + chance.choice(_NAUGHTY).encode()
    return subject, {**valid[1], "ce_subject": subject}, b'{"code":'


def _of_another_key(_: Random, valid: Forged) -> Forged:
    return (valid[0] or b"") + b"x", valid[1], valid[2]


def _empty(chance: Random, valid: Forged) -> Forged:
    return valid[0], valid[1], chance.choice((None, b""))


_KINDS: Final[dict[str, Callable[[Random, Forged], Forged]]] = {
    "truncated": _truncated,
    "flipped": _flipped,
    "against the grammar": _against_the_grammar,
    "deep": _deep,
    "wrong version": _with_wrong_version,
    "no key": _without_a_key,
    "a header missing": _without_a_header,
    "a header wrong": _with_a_wrong_header,
    "naughty subject": _naughty,
    "another key": _of_another_key,
    "empty": _empty,
}
_HEAVY: Final = frozenset({"deep"})


async def forge(ground: Ground, count: int) -> None:
    """So many malformed records onto the three topics of events, among them a few of ten million bytes."""
    producer: Any = AIOKafkaProducer(
        bootstrap_servers=ground.river.servers.kafka, acks="all", max_request_size=_LARGE + 1_000_000
    )
    await producer.start()
    ground.tally.done["forged"] += count
    try:
        pending: list[asyncio.Task[None]] = []
        for kind, topic, partition, record in _records(ground, count):
            pending.append(asyncio.create_task(_put(ground, producer, kind, topic, partition, record)))
            if len(pending) >= _AT_ONCE:
                await asyncio.gather(*pending)
                pending = []
        await asyncio.gather(*pending)
    finally:
        await producer.stop()


async def _put(ground: Ground, producer: Any, kind: str, topic: str, partition: int, record: Forged) -> None:
    key, headers, body = record
    sent = await producer.send(topic, body, key=key, partition=partition, headers=list(headers.items()))
    where = await sent
    ground.tally.forged[where.topic, where.partition, where.offset] = kind


def _records(ground: Ground, count: int) -> Iterator[tuple[str, str, int, Forged]]:
    chance = ground.chance
    light = [kind for kind in _KINDS if kind not in _HEAVY]
    for number in range(count):
        source = chance.choice(list(TOPIC_OF))
        subject = ground.forged_subject()
        partition = shard_of(subject)
        valid = _valid(source, subject)
        if number < _LARGE_ONES:
            large = b'{"code":"' + b"x" * _LARGE + b'"}'
            yield "ten million bytes", TOPIC_OF[source].name, partition, (valid[0], valid[1], large)
            continue
        kind = chance.choice(light) if number % 100 else "deep"
        yield kind, TOPIC_OF[source].name, partition, _KINDS[kind](chance, valid)


def _valid(source: Service, subject: str) -> Forged:
    """A record of this speaker about a dossier that does not exist; no field of its event may be left out."""
    story = Story(subject)
    match source:
        case Service.INTAKE:
            said = story.received()
        case Service.ROUTING:
            said = story.say(DossierWithdrawn(run=1))
        case _:
            said = story.say(NoticeSent(notice="forged", template="received", channel="email", attempts=1))
    record = record_of(said)
    return record.key, {name: value or b"" for name, value in record.headers}, record.body


STRIKES: Final = (Strike("forgery", "malformed records are written onto the topics", forge),)
