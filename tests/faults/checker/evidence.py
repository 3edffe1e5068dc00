"""Everything that can be known after a run, read once: four stores, every topic, the mail catcher, the history."""

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

from aiokafka import ConsumerRecord

from deploy.launcher.layout import SERVICES
from shared.envelope import Heard, Record, decode
from shared.seal import DataKey, Erasure, Keyring, Register
from shared.topics import CONTACT, TOPIC_OF, Service
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

_TABLES: Final = {
    "intake": ("dossier", "command", "counter", "citizen", "ever_sealed", "erasure", "snapshot"),
    "routing": ("journey", "command", "ledger"),
    "notification": ("dossier", "notice", "attempt", "contact"),
    "reporting": ("dossier_now", "timeline", "cell"),
}
_READERS: Final = ("intake", "notification")
"""Who has keys."""

_EVERYWHERE: Final = ("journal", "stream", "heard", "parked", "ever_parked", "ever_pointed", "dead_letter", "outbox")


class Row(Protocol):
    """A row of a table, by the names of its columns."""

    def __getitem__(self, name: str, /) -> Any:
        """A column's value."""


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
    headers: bytes
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

    ``statuses`` is what each service says of itself; ``contacts`` come in the order in which they lie there. ``came``
    is who came, and what became of clients besides what the history has.
    """

    operations: list[Operation]
    came: Came
    tally: Tally
    tables: dict[str, dict[str, list[Row]]]
    journals: dict[str, list[Said]]
    topics: dict[str, list[Delivered]]
    mails: list[EmailMessage]
    logs: dict[str, bytes]
    exported: list[bytes]
    statuses: dict[str, dict[str, Any]]
    contacts: list[Contact]
    register: Mapping[str, Erasure]
    keyrings: dict[str, Keyring]

    @property
    def clocks_set(self) -> list[ClockSet]:
        """The clocks that were brought forward."""
        return self.came.clocks_set

    def opens(self, subject: str, wrapped: str) -> bool:
        """Whether a program of ours, with any service's keys and the register of erasures, opens what was wrapped."""
        return any(isinstance(ring.unwrap(subject, wrapped), DataKey) for ring in self.keyrings.values())

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
    return Evidence(
        operations=read(ground.history.path),
        came=ground.came,
        tally=ground.tally,
        tables=tables,
        journals={service: _journal(service, tables[service]["journal"]) for service in SERVICES},
        topics={
            TOPIC_OF[source].name: await _delivered(ground.river.servers.kafka, TOPIC_OF[source].name)
            for source in TOPIC_OF
        },
        mails=await asyncio.to_thread(_mails, layout.mail),
        logs={path.name: path.read_bytes() for path in sorted((layout.var / "log").glob("*.log*"))},
        exported=[body for _, body in ground.river.spans.exported],
        statuses={service: await ground.river.status(service) for service in SERVICES},
        contacts=[_contact(one) for one in await everything(ground.river.servers.kafka, CONTACT.name) if one.key],
        register=dict(register.erasures()),
        keyrings={reader: Keyring.load(layout.keys, reader, register) for reader in _READERS},
    )


def _contact(record: ConsumerRecord[bytes, bytes]) -> Contact:
    version = int(dict(record.headers)["ce_streamversion"])
    wrapped = json.loads(record.value)["wrapped_key"] if record.value else None
    return Contact((record.key or b"").decode(), version, wrapped)


async def _tables(ground: Ground, service: str) -> dict[str, list[Row]]:
    async with ground.river.store(service) as store:
        return {table: list(await store.fetch(f"TABLE {table}")) for table in (*_TABLES[service], *_EVERYWHERE)}


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


async def _delivered(kafka: str, topic: str) -> list[Delivered]:
    found = []
    for one in await everything(kafka, topic):
        headers = tuple(one.headers)
        told = decode(Record(one.topic, one.partition, one.offset, one.key, headers, one.value))
        found.append(
            Delivered(
                one.topic,
                one.partition,
                one.offset,
                one.value or b"",
                b"\n".join(value or b"" for _, value in headers),
                told if isinstance(told, Heard) else None,
            )
        )
    return found


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
