"""Operators' commands against a running intake: look at what it could not hear, decide, and say things again."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from deploy.cli import build
from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from services.intake import handlers
from shared.bus import hear_batch
from shared.envelope import Envelope, Record, headers_of
from shared.seal import make_keys
from shared.store import Database
from shared.topics import ROUTING, Service
from tests.processes import free_port, running
from tests.stores import databases, store

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)


@dataclass(slots=True)
class Intake:
    """Intake's process without a broker, its store, and records put before it as if they came from Kafka."""

    url: str
    database: Database
    offset: int = 0

    async def hears(self, *records: Record) -> None:
        async with self.database.transaction() as tx:
            await hear_batch(tx, handlers.hearer(), list(records))

    async def lienthong(self, *arguments: str) -> Result:
        """The command as somebody types it; in a thread, because it has a loop of its own."""
        environment = {"COLUMNS": "200", "LIENTHONG_OPERATOR": "op-7"}
        command = [*arguments, "--url", self.url]
        return await asyncio.to_thread(CliRunner().invoke, build(), command, env=environment)

    async def listed(self, group: str, rows: str, *more: str) -> list[dict[str, Any]]:
        told = await self.lienthong(group, "list", "--service", "intake", "--json", *more)
        assert told.exit_code == 0, told.output
        found: list[dict[str, Any]] = json.loads(told.stdout)[rows]
        return found

    def a_record(
        self, body: bytes, *, kind: str = "ResultReady", subject: str | None = None, version: int = 1
    ) -> Record:
        self.offset += 1
        subject = subject or str(uuid.uuid4())
        envelope = Envelope(
            str(uuid.uuid4()), Service.ROUTING, subject, version, kind, NOW, NOW, None, None, None, None
        )
        return Record(ROUTING.name, 0, self.offset, subject.encode(), tuple(headers_of(envelope)), body)


@pytest.fixture(scope="module")
async def process(
    servers: Servers, layout: Layout, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[str, Any]]:
    assert servers.kafka
    keys: Path = tmp_path_factory.mktemp("operating") / "keys"
    make_keys(keys)
    async with databases(layout, "_operating") as made:
        port = free_port()
        environment = {
            "DATABASE_URL_INTAKE": made.login["intake"],
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
            "HTTP_PORT": str(port),
            "SEAL_KEYS": str(keys),
            "ERASURE_REGISTER": str(keys.parent / "erasures" / "register.jsonl"),
            "DEV_ACTOR": "true",
        }
        async with running("services.intake", environment, port):
            yield f"http://127.0.0.1:{port}", made


@pytest.fixture
async def intake(process: tuple[str, Any]) -> AsyncIterator[Intake]:
    url, made = process
    async with store(made, "intake") as database:
        yield Intake(url, database)


async def test_what_cannot_be_read_is_listed_and_shown_without_steering_the_terminal(intake: Intake) -> None:
    await intake.hears(intake.a_record(b"\x1b[2J not json"))

    (letter,) = await intake.listed("dead-letters", "dead_letters")
    table = await intake.lienthong("dead-letters", "list", "-s", "intake")
    shown = await intake.lienthong("dead-letters", "show", "intake", str(letter["id"]))

    assert letter["subject"] in table.stdout
    assert "·[2J not json" in shown.stdout
    assert "\x1b[2J" not in shown.stdout


async def test_voiding_lets_what_waits_behind_go_on_and_is_signed(intake: Intake) -> None:
    subject = str(uuid.uuid4())
    await intake.hears(
        intake.a_record(b"{", subject=subject),
        intake.a_record(b'{"run": 1}', kind="DossierWithdrawn", subject=subject, version=2),
    )
    (letter,) = await intake.listed("dead-letters", "dead_letters")
    assert [one["version"] for one in await intake.listed("parked", "parked")] == [2]

    voided = await intake.lienthong("dead-letters", "void", "intake", str(letter["id"]), "--reason", "made by hand")

    assert voided.exit_code == 0, voided.output
    assert await intake.listed("dead-letters", "dead_letters") == []
    (closed,) = await intake.listed("dead-letters", "dead_letters", "--closed")
    assert (closed["fate"], closed["fated_by"], closed["fate_reason"]) == ("voided", "op-7", "made by hand")


async def test_voiding_twice_is_refused_with_a_sentence(intake: Intake) -> None:
    await intake.hears(intake.a_record(b"{"))
    (letter,) = await intake.listed("dead-letters", "dead_letters")
    await intake.lienthong("dead-letters", "void", "intake", str(letter["id"]), "--reason", "first")

    again = await intake.lienthong("dead-letters", "void", "intake", str(letter["id"]), "--reason", "second")

    assert again.exit_code == 1
    assert "its fate was decided before" in again.stderr


async def test_redriving_what_still_cannot_be_read_leaves_it_there(intake: Intake) -> None:
    await intake.hears(intake.a_record(b"{"))
    (letter,) = await intake.listed("dead-letters", "dead_letters")

    redriven = await intake.lienthong("dead-letters", "redrive", "intake", str(letter["id"]))

    assert redriven.exit_code == 1
    assert "void it" in redriven.stderr
    assert len(await intake.listed("dead-letters", "dead_letters")) == 1


async def test_a_type_that_nobody_knows_is_parked_until_a_release(intake: Intake) -> None:
    await intake.hears(intake.a_record(b"{}", kind="DossierTeleported"))

    (waiting,) = await intake.listed("parked", "parked")

    assert (waiting["reason"], waiting["waits_for"]) == ("unknown type DossierTeleported", "release")


async def test_there_is_nothing_to_list_and_that_is_said(intake: Intake) -> None:
    assert (await intake.lienthong("dead-letters", "list", "-s", "intake")).stdout == "No dead letters.\n"
    assert (await intake.lienthong("parked", "list", "-s", "intake")).stdout == "Nothing is parked.\n"


async def test_a_subject_of_which_nothing_was_said_cannot_be_republished(intake: Intake) -> None:
    told = await intake.lienthong("republish", "intake", "--subject", "unit:nowhere")

    assert told.exit_code == 1
    assert "has said nothing of 1 of 1 subject" in told.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("republish", "intake"),
        ("republish", "intake", "--all", "--subject", "x"),
        ("republish", "reporting", "--all"),
        ("republish", "intake", "--all", "--topic", "routing.dossier"),
        ("republish", "nobody", "--all"),
        ("dead-letters", "void", "intake", "1"),
    ],
)
async def test_a_command_that_makes_no_sense_is_a_matter_of_usage(intake: Intake, arguments: tuple[str, ...]) -> None:
    assert (await intake.lienthong(*arguments)).exit_code == 2


async def test_an_operator_is_a_pseudonym(intake: Intake) -> None:
    told = await intake.lienthong("parked", "list", "--operator", "Nguyễn Văn A")

    assert told.exit_code == 1
    assert "a pseudonym, no name" in told.stderr


async def test_a_service_that_is_away_is_named_and_the_others_are_listed(intake: Intake) -> None:
    await intake.hears(intake.a_record(b"{"))

    told = await intake.lienthong("dead-letters", "list", "--json")

    assert told.exit_code == 1
    answer = json.loads(told.stdout)
    assert [one["service"] for one in answer["dead_letters"]] == ["intake"]
    assert [each.partition(":")[0] for each in answer["complaints"]] == ["routing", "notification", "reporting"]
