"""Everything that can be known after a run, read once: four stores, every topic, the mail catcher, the history.

Also what processes wrote into their logs, and what they exported.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Final, Protocol

from deploy.launcher.layout import SERVICES
from shared.envelope import Heard, Record, decode
from shared.seal import DataKey, Erasure, Keyring, Register
from shared.topics import CONTACT, CONTROL, TOPIC_OF, TOPICS, Service, Topic
from tests.faults.ground import Ground, Tally
from tests.faults.history import Operation, read
from tests.faults.load import Came, ClockSet
from tests.flow.rough import everything

HEARS: Final = {
    "intake": ("routing", "notification"),
    "routing": ("intake",),
    "notification": ("intake", "routing"),
    "reporting": ("intake", "routing", "notification"),
}
"""Who hears whom, as docs/delivery.md says; not read from the services, whose word is what is examined."""

EVERY_TOPIC: Final[tuple[Topic, ...]] = (*TOPICS, CONTROL)
EXPORTED: Final = {"span": "/v1/traces", "metric": "/v1/metrics", "log event": "/v1/logs"}
"""What services export, and the path to which it is sent."""

WITNESSES: Final = "ever_"
"""How tables begin that are none of a service's: what witnesses remember there (`tests.faults.ground.prepared`)."""

_READERS: Final = ("intake", "notification")
"""Who has keys."""

_ALL_TABLES: Final = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"


class Row(Protocol):
    """A row of a table, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:
        """A column's value."""

    def keys(self) -> Iterable[str]:
        """The names of its columns."""

    def values(self) -> Iterable[Any]:
        """The values of all of them."""


@dataclass(frozen=True, slots=True)
class Said:
    """An entry of a journal."""

    source: str
    subject: str
    version: int
    id: str
    type: str
    time: datetime
    recorded: datetime
    cause: tuple[str, int] | None
    actor: str | None
    trace: str | None
    payload: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Delivered:
    """A record as it lies on a topic; ``heard`` is None where it cannot be read."""

    topic: str
    partition: int
    offset: int
    body: bytes
    heard: Heard | None


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact as it lies on its compacted topic; without a key it is a tombstone."""

    dossier: str
    version: int
    wrapped_key: str | None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was found. ``tables[service][table]`` are rows; journals come in the order of subject and version.

    ``records`` is what lies on every topic, as it lies there, and ``topics`` what services say on three of them, read;
    ``contacts`` come in the order in which they lie on theirs. ``exported`` is by the path to which it went.
    ``statuses`` is what each service says of itself. ``came`` is who came, and what became of clients besides what the
    history has. ``keyrings`` are those of the services that have keys, as they use them, and ``keys`` the same keys in
    the hands of somebody who knows no register of erasures.
    """

    operations: list[Operation]
    came: Came
    tally: Tally
    tables: dict[str, dict[str, list[Row]]]
    journals: dict[str, list[Said]]
    records: dict[str, list[Record]]
    topics: dict[str, list[Delivered]]
    mails: list[EmailMessage]
    logs: dict[str, bytes]
    exported: dict[str, list[bytes]]
    statuses: dict[str, dict[str, Any]]
    contacts: list[Contact]
    register: Mapping[str, Erasure]
    keyrings: dict[str, Keyring]
    keys: dict[str, Keyring]

    @property
    def clocks_set(self) -> list[ClockSet]:
        """The clocks that were brought forward."""
        return self.came.clocks_set

    def opens(self, subject: str, wrapped: str) -> bool:
        """Whether a program of ours, with any service's keys and the register of erasures, opens what was wrapped."""
        return any(isinstance(ring.unwrap(subject, wrapped), DataKey) for ring in self.keyrings.values())

    def opens_by_itself(self, subject: str, wrapped: str) -> bool:
        """Whether any service's keys open what was wrapped, whatever the register says."""
        return any(isinstance(ring.unwrap(subject, wrapped), DataKey) for ring in self.keys.values())

    def said_of(self, source: str) -> dict[str, list[Said]]:
        """A journal by subject."""
        found: dict[str, list[Said]] = {}
        for one in self.journals[source]:
            found.setdefault(one.subject, []).append(one)
        return found


async def gathered(ground: Ground) -> Evidence:
    """Read everything. The river is quiet, and nobody writes meanwhile."""
    tables = {service: await _tables(ground, service) for service in SERVICES}
    layout = ground.river.layout
    register = Register(layout.erasures)
    records = {topic.name: await _records(ground.river.servers.kafka, topic) for topic in EVERY_TOPIC}
    return Evidence(
        operations=read(ground.history.path),
        came=ground.came,
        tally=ground.tally,
        tables=tables,
        journals={service: _journal(service, tables[service]["journal"]) for service in SERVICES},
        records=records,
        topics={topic.name: [_delivered(one) for one in records[topic.name]] for topic in TOPIC_OF.values()},
        mails=await asyncio.to_thread(_mails, layout.mail),
        logs={path.name: path.read_bytes() for path in sorted((layout.var / "log").glob("*.log*"))},
        exported={path: ground.river.spans.of(path) for path in EXPORTED.values()},
        statuses={service: await ground.river.status(service) for service in SERVICES},
        contacts=[_contact(one) for one in records[CONTACT.name] if one.key],
        register=dict(register.erasures()),
        keyrings={reader: Keyring.load(layout.keys, reader, register) for reader in _READERS},
        keys={reader: Keyring.load(layout.keys, reader) for reader in _READERS},
    )


def _contact(record: Record) -> Contact:
    version = int(dict(record.headers)["ce_streamversion"] or b"")
    wrapped = json.loads(record.body)["wrapped_key"] if record.body else None
    return Contact((record.key or b"").decode(), version, wrapped)


async def _tables(ground: Ground, service: str) -> dict[str, list[Row]]:
    async with ground.river.store(service) as store:
        tables = [row["tablename"] for row in await store.fetch(_ALL_TABLES)]
        return {table: list(await store.fetch(f"TABLE {table}")) for table in tables}


def _journal(service: str, rows: Iterable[Row]) -> list[Said]:
    return [
        Said(
            service,
            row["aggregateid"],
            row["version"],
            str(row["id"]),
            row["type"],
            row["timestamp"],
            row["recorded"],
            (row["cause_source"], row["cause_version"]) if row["cause_source"] else None,
            row["actor"],
            row["tracingspancontext"],
            json.loads(row["payload"]),
        )
        for row in sorted(rows, key=lambda row: (row["aggregateid"], row["version"]))
    ]


async def _records(kafka: str, topic: Topic) -> list[Record]:
    return [
        Record(one.topic, one.partition, one.offset, one.key, tuple(one.headers), one.value)
        for one in await everything(kafka, topic.name, topic.partitions)
    ]


def _delivered(record: Record) -> Delivered:
    told = decode(record)
    heard = told if isinstance(told, Heard) else None
    return Delivered(record.topic, record.partition, record.offset, record.body or b"", heard)


def _mails(folder: Path) -> list[EmailMessage]:
    return [
        message_from_bytes(path.read_bytes(), _class=EmailMessage, policy=policy.default)
        for path in sorted(folder.rglob("*.eml"))
    ]


def speakers() -> list[str]:
    """Who says anything at all."""
    return [source.value for source in TOPIC_OF]


def topic_of(source: str) -> str:
    """The topic of a speaker."""
    return TOPIC_OF[Service(source)].name
