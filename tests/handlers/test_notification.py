"""Notification on real PostgreSQL, with a real SMTP conversation."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uuid_utils
from fastapi import FastAPI

from deploy.launcher.postgres import Databases
from services.notification import api, handlers
from services.notification import store as rows
from services.notification.gateway import Letters, Mail
from services.notification.loops import Sender
from services.notification.values import Accepted, Attempted, Claimed, Notice, Postponed, Refused
from shared.bus import Hearer, hear_batch
from shared.bus.rows import subjects_waiting_for
from shared.calendar import Term, TermUnit
from shared.envelope import Cause, Envelope, Record, headers_of
from shared.events import (
    Channel,
    ContactGiven,
    DossierReceived,
    DossierWithdrawn,
    Event,
    ProcedurePublished,
    ResultReady,
    SupplementRequested,
    UnitPublished,
)
from shared.http.actor import believe_dev_actors
from shared.http.problems import say_problems
from shared.seal import Keyring, make_keys, new_data_key, seal
from shared.store import Database
from shared.topics import CONTACT, TOPIC_OF
from tests.handlers.provider import HANG_UP, OK, Provider, a_provider
from tests.processes import until
from tests.stores import store

WHEN = datetime(2019, 6, 3, 1, 30, tzinfo=UTC)
SENDER = "mot-cua@hoangmai.example"
TEMPLATES = Path(rows.__file__).parent / "templates"
CANARY = "canary-7f3a@citizen.example"


def an_id() -> str:
    return str(uuid_utils.uuid7())


def a_record(
    event: Event, subject: str, version: int = 1, *, origin: str | None = None, cause: Cause | None = None
) -> Record:
    said_by = event.said_by
    envelope = Envelope(an_id(), said_by, subject, version, type(event).__name__, WHEN, WHEN, cause, origin, None, None)
    body = event.model_dump_json(exclude_defaults=True).encode()
    return Record(TOPIC_OF[said_by].name, 0, _offset(), subject.encode(), tuple(headers_of(envelope)), body)


def _offset() -> int:
    return uuid_utils.uuid7().int % 2**62


UNIT = a_record(
    UnitPublished(code="ward", name="Phường mẫu", level="commune", calendar="office", valid_from=date(2013, 6, 3)),
    "unit:ward",
)
PROCEDURE = a_record(
    ProcedurePublished(
        code="1.001193",
        name="Đăng ký khai sinh",
        sector="Hộ tịch",
        term=Term(3, TermUnit.WORKING_DAY),
        level="commune",
    ),
    "procedure:1.001193",
)


def a_reception(subject: str, *, contact_version: int = 1, origin: str | None = None) -> Record:
    return a_record(
        DossierReceived(
            code="000.01.99.H41-190603-0001",
            procedure="1.001193",
            procedure_version=1,
            unit="ward",
            unit_version=1,
            channel=Channel.DESK,
            term=Term(3, TermUnit.WORKING_DAY),
            promise=datetime(2019, 6, 6, 9, 30, tzinfo=UTC),
            calendar="office",
            calendar_version=1,
            contact_version=contact_version,
        ),
        subject,
        origin=origin,
    )


def a_request(subject: str, version: int = 1) -> Record:
    return a_record(SupplementRequested(run=1, nth=1, reason="missing"), subject, version)


def a_contact_record(subject: str, version: int, body: bytes | None) -> Record:
    headers = (("ce_streamversion", str(version).encode()),)
    return Record(CONTACT.name, 0, _offset(), subject.encode(), headers, body)


@dataclass(slots=True)
class Notification:
    """Notification's handlers and its sender on a store of its own, and intake's half of the keys."""

    database: Database
    intake_keys: Keyring
    sender: Sender
    provider: Provider
    hearer: Hearer = field(default_factory=handlers.hearer)

    async def hears(self, *records: Record) -> None:
        """One batch."""
        async with self.database.transaction() as tx:
            await hear_batch(tx, self.hearer, records)

    async def hears_contacts(self, *records: Record) -> list[str]:
        async with self.database.transaction() as tx:
            return await handlers.hear_contacts(tx, records)

    def a_contact(
        self, subject: str, given: dict[str, str] | None = None, *, version: int = 1, sealed_for: str | None = None
    ) -> Record:
        """A contact as intake publishes it."""
        key = new_data_key(sealed_for or subject)
        text = json.dumps({"email": CANARY} if given is None else given).encode()
        body = ContactGiven(
            version=version,
            wrapped_key=self.intake_keys.wrap(key, ("intake", "notification")),
            sealed=seal(key, "contact", text),
            given=WHEN,
        )
        return a_contact_record(subject, version, body.model_dump_json().encode())

    async def a_dossier(self, given: dict[str, str] | None = None) -> str:
        """Received, with a contact; its first notice waits."""
        subject = an_id()
        await self.hears_contacts(self.a_contact(subject, given))
        await self.hears(UNIT, PROCEDURE, a_reception(subject))
        return subject

    async def notices(self, subject: str) -> list[Notice]:
        async with self.database.pool.acquire() as connection:
            return await rows.notices_of(connection, subject)

    async def announced(self, subject: str) -> list[tuple[str, dict[str, Any], tuple[str, int]]]:
        """Type, body without the notice's id, cause."""
        said = await self.database.pool.fetch(
            "SELECT type, payload, cause_source, cause_version FROM journal WHERE aggregateid = $1 ORDER BY version",
            subject,
        )
        return [
            (
                row["type"],
                {name: value for name, value in json.loads(row["payload"]).items() if name != "notice"},
                (row["cause_source"], row["cause_version"]),
            )
            for row in said
        ]

    async def claims(self, lease: timedelta = timedelta(0)) -> Claimed:
        """What a sender does before it is killed: the lease has run out when this returns."""
        async with self.database.transaction() as tx:
            (claimed,) = await rows.take_due_notices(tx, 1, lease)
        return claimed

    async def backlog(self, count: int) -> None:
        """So many dossiers with a notice that is due."""
        await self.database.pool.execute(
            "INSERT INTO notice (id, dossier, source, version, template, channel, parameters, state) "
            "SELECT 'notice ' || one, 'dossier ' || one, 'intake', 1, 'received', 'email', '{}', 'waiting' "
            "FROM generate_series(1, $1::int) AS one",
            count,
        )

    async def the_pause_is_over(self) -> None:
        await self.database.pool.execute("UPDATE notice SET due_at = clock_timestamp() WHERE state = 'waiting'")


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("keys")
    folder.chmod(0o700)
    make_keys(folder, ("intake", "notification"))
    return folder


@pytest.fixture
async def notification(made: Databases, keys: Path) -> AsyncIterator[Notification]:
    async with store(made, "notification") as database, a_provider() as provider:
        sender = Sender(
            database,
            Keyring.load(keys, "notification"),
            Letters(TEMPLATES, SENDER, None),
            Mail("127.0.0.1", provider.port, SENDER, 10),
            lease=timedelta(minutes=1),
        )
        try:
            yield Notification(database, Keyring.load(keys, "intake"), sender, provider)
        finally:
            await sender.mail.close()


_READ_OF_NOTICES = """
SELECT seq_tup_read + coalesce(idx_tup_fetch, 0) FROM pg_stat_xact_user_tables WHERE relname = 'notice'
"""


def states(notices: Sequence[Notice]) -> list[tuple[str, str, str | None]]:
    return [(one.template.value, one.state, one.reason) for one in notices]


def attempts(notice: Notice) -> list[tuple[int, str | None, int | None, str | None]]:
    return [(one.number, one.outcome, one.provider_code, one.reason) for one in notice.attempts]


# --- hearing ---------------------------------------------------------------------------------------------------------


async def test_a_citizen_is_told_of_the_reception_and_the_telling_is_announced(notification: Notification) -> None:
    subject = await notification.a_dossier()

    await notification.sender.send_due()

    (letter,) = notification.provider.letters
    (notice,) = await notification.notices(subject)
    assert notification.provider.recipients == [CANARY]
    assert letter["Subject"] == "[000.01.99.H41-190603-0001] Đã tiếp nhận hồ sơ / Your dossier was received"
    assert letter["Message-ID"] == f"<{notice.id}@lienthong.hoangmai.example>"
    assert letter["X-Lienthong-Maybe-Repeated"] is None
    assert "Hẹn trả kết quả: 16:30 ngày 06/06/2019" in letter.get_content()
    assert states([notice]) == [("received", "sent", None)]
    assert attempts(notice) == [(1, "accepted", 250, None)]
    assert await notification.announced(subject) == [
        ("NoticeSent", {"template": "received", "channel": "email", "attempts": 1}, ("intake", 1))
    ]


async def test_a_repeated_delivery_changes_nothing(notification: Notification) -> None:
    subject = an_id()
    reception = a_reception(subject)
    await notification.hears_contacts(notification.a_contact(subject))

    await notification.hears(UNIT, PROCEDURE, reception)
    await notification.hears(UNIT, PROCEDURE, reception, reception)
    await notification.sender.send_due()
    await notification.sender.send_due()

    assert len(notification.provider.letters) == 1


async def test_a_reception_waits_for_its_contact_which_wakes_it(notification: Notification) -> None:
    subject = an_id()
    await notification.hears(UNIT, PROCEDURE, a_reception(subject))

    keys = await notification.hears_contacts(notification.a_contact(subject))
    async with notification.database.transaction() as tx:
        woken = await subjects_waiting_for(tx, keys)
        heeded = await hear_batch(tx, notification.hearer, [], again=woken)

    assert woken == [subject]
    assert heeded.heard == 1
    assert states(await notification.notices(subject)) == [("received", "waiting", None)]


async def test_a_reception_waits_for_the_names_that_it_mentions(notification: Notification) -> None:
    subject = an_id()
    await notification.hears_contacts(notification.a_contact(subject))
    await notification.hears(a_reception(subject))
    assert await notification.notices(subject) == []

    await notification.hears(UNIT, PROCEDURE)
    async with notification.database.transaction() as tx:
        await hear_batch(tx, notification.hearer, [], again=[subject])

    assert states(await notification.notices(subject)) == [("received", "waiting", None)]


async def test_an_officer_s_request_heard_before_the_reception_is_told_as_soon_as_that_arrives(
    notification: Notification,
) -> None:
    subject = an_id()
    await notification.hears_contacts(notification.a_contact(subject))
    await notification.hears(UNIT, PROCEDURE, a_request(subject))
    assert await notification.notices(subject) == []

    await notification.hears(a_reception(subject))

    assert states(await notification.notices(subject)) == [
        ("received", "waiting", None),
        ("supplement_requested", "waiting", None),
    ]


async def test_in_one_batch_the_reception_goes_before_what_an_officer_did(notification: Notification) -> None:
    subject = an_id()
    await notification.hears_contacts(notification.a_contact(subject))

    await notification.hears(UNIT, PROCEDURE, a_request(subject), a_reception(subject))

    assert [template for template, _, _ in states(await notification.notices(subject))] == [
        "received",
        "supplement_requested",
    ]


async def test_nobody_is_told_about_a_replayed_record(notification: Notification) -> None:
    subject = an_id()
    ready = a_record(ResultReady(run=1, unit="ward"), subject, origin="replay")

    await notification.hears(a_reception(subject, contact_version=0, origin="replay"), ready)

    assert await notification.notices(subject) == []
    assert await notification.sender.send_due() == 0


async def test_who_gave_no_contact_is_written_down_as_unreachable(notification: Notification) -> None:
    subject = an_id()

    await notification.hears(UNIT, PROCEDURE, a_reception(subject, contact_version=0))

    assert states(await notification.notices(subject)) == [("received", "unreachable", None)]
    assert await notification.sender.send_due() == 0


# --- contacts --------------------------------------------------------------------------------------------------------


async def _contact_here(notification: Notification, subject: str) -> tuple[int, bool, str | None]:
    row = await notification.database.pool.fetchrow(
        "SELECT version, erased, sealed FROM contact WHERE dossier = $1", subject
    )
    assert row is not None
    return row["version"], row["erased"], row["sealed"]


async def test_an_erased_contact_does_not_come_back(notification: Notification) -> None:
    subject = an_id()
    first = notification.a_contact(subject, version=1)
    await notification.hears_contacts(first, notification.a_contact(subject, version=2))
    await notification.hears_contacts(a_contact_record(subject, 3, None))

    await notification.hears_contacts(first)
    await notification.hears_contacts(notification.a_contact(subject, version=3))

    assert await _contact_here(notification, subject) == (3, True, None)


async def test_the_highest_version_of_a_contact_wins_in_whatever_order_they_come(notification: Notification) -> None:
    subject = an_id()
    newer = notification.a_contact(subject, version=5)

    await notification.hears_contacts(newer, notification.a_contact(subject, version=2))
    await notification.hears_contacts(notification.a_contact(subject, version=4))

    assert (await _contact_here(notification, subject))[0] == 5


async def test_a_malformed_contact_becomes_a_dead_letter_without_its_body_and_the_next_is_kept(
    notification: Notification,
) -> None:
    subject = an_id()
    whole = notification.a_contact(subject)
    bad = [
        a_contact_record(an_id(), 1, b'{"version": 1, "wrapped_key": "k"}'),
        a_contact_record(an_id(), 1, b"\xff\xfe"),
        a_contact_record(an_id(), 2, whole.body),
        a_contact_record(
            an_id(), 1, b'{"version":1,"wrapped_key":"a\\u0000","sealed":"b","given":"2019-06-03T01:00:00Z"}'
        ),
        Record(CONTACT.name, 0, _offset(), an_id().encode(), (), whole.body),
        Record(CONTACT.name, 0, _offset(), None, (("ce_streamversion", b"1"),), whole.body),
    ]

    known = await notification.hears_contacts(*bad, whole)

    dead = await notification.database.pool.fetch("SELECT reason, body FROM dead_letter ORDER BY id")
    assert known == [f"contact:{subject}"]
    assert [row["reason"] for row in dead] == [
        "sealed: missing",
        "body: json_invalid",
        "version of the body is not that of the header",
        "nothing that could be opened",
        "key or version that cannot be read",
        "key or version out of range",
    ]
    assert {row["body"] for row in dead} == {None}


# --- sending ---------------------------------------------------------------------------------------------------------


async def test_a_citizen_gets_the_letters_about_a_dossier_in_order(notification: Notification) -> None:
    subject = await notification.a_dossier()
    await notification.hears(a_request(subject), a_record(DossierWithdrawn(run=1), subject, 2))

    looks = [await notification.sender.send_due() for _ in range(4)]

    assert looks == [1, 1, 1, 0]
    assert [letter["Subject"].split("] ")[1] for letter in notification.provider.letters] == [
        "Đã tiếp nhận hồ sơ / Your dossier was received",
        "Cần bổ sung hồ sơ / Papers are missing",
        "Hồ sơ đã được rút / Your dossier was withdrawn",
    ]


async def test_a_letter_that_is_put_off_holds_back_the_later_ones_of_its_dossier_only(
    notification: Notification,
) -> None:
    subject, other = await notification.a_dossier(), await notification.a_dossier()
    await notification.hears(a_request(subject))
    notification.provider.replies.append("451 4.3.0 try later")
    notification.sender.at_once = 1
    await notification.sender.send_due()

    notification.sender.at_once = 8
    await notification.sender.send_due()

    assert states(await notification.notices(subject)) == [
        ("received", "waiting", None),
        ("supplement_requested", "waiting", None),
    ]
    assert states(await notification.notices(other)) == [("received", "sent", None)]


async def test_a_refusal_for_now_is_tried_again_later(notification: Notification) -> None:
    subject = await notification.a_dossier()
    notification.provider.replies.append("451 4.3.0 try later")

    await notification.sender.send_due()
    (put_off,) = await notification.notices(subject)
    at_once = await notification.sender.send_due()
    await notification.the_pause_is_over()
    await notification.sender.send_due()

    (sent,) = await notification.notices(subject)
    assert (put_off.state, put_off.due_at > put_off.written, at_once) == ("waiting", True, 0)
    assert attempts(sent) == [(1, "postponed", 451, None), (2, "accepted", 250, None)]
    assert notification.provider.letters[0]["X-Lienthong-Maybe-Repeated"] is None
    assert (await notification.announced(subject))[0][1]["attempts"] == 2


@pytest.mark.parametrize("where", ["recipient", "text"])
async def test_a_refusal_for_good_is_an_event_and_an_alarm(
    notification: Notification, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    subject = await notification.a_dossier()
    if where == "recipient":
        notification.provider.rcpt_reply = f"550 5.1.1 <{CANARY}> unknown"
    else:
        notification.provider.replies.append(f"554 5.6.0 <{CANARY}> not readable")

    await notification.sender.send_due()

    assert states(await notification.notices(subject)) == [("received", "failed", "refused_by_provider")]
    assert await notification.announced(subject) == [
        (
            "NoticeFailed",
            {"template": "received", "channel": "email", "attempts": 1, "reason": "refused_by_provider"},
            ("intake", 1),
        )
    ]
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["notice_failed"]


async def test_a_letter_of_which_nobody_knows_whether_it_arrived_is_repeated_under_the_same_id_and_flagged(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    notification.provider.replies.append(HANG_UP)

    await notification.sender.send_due()
    await notification.the_pause_is_over()
    await notification.sender.send_due()

    first, second = notification.provider.letters
    (notice,) = await notification.notices(subject)
    assert attempts(notice) == [(1, "unknown", None, "connection_lost"), (2, "accepted", 250, None)]
    assert first["Message-ID"] == second["Message-ID"]
    assert (first["X-Lienthong-Maybe-Repeated"], second["X-Lienthong-Maybe-Repeated"]) == (None, "yes")
    assert (await notification.announced(subject))[0][1]["maybe_repeated"] is True


async def test_what_a_killed_sender_had_in_hand_is_sent_again_under_the_same_id_and_flagged(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    in_hand = await notification.claims()

    await notification.sender.send_due()

    (letter,) = notification.provider.letters
    (notice,) = await notification.notices(subject)
    assert letter["Message-ID"] == f"<{in_hand.id}@lienthong.hoangmai.example>"
    assert letter["X-Lienthong-Maybe-Repeated"] == "yes"
    assert attempts(notice) == [(1, "unknown", None, "lease_ran_out"), (2, "accepted", 250, None)]
    assert (await notification.announced(subject))[0][1] == {
        "template": "received",
        "channel": "email",
        "attempts": 2,
        "maybe_repeated": True,
    }


async def test_each_time_that_a_sender_dies_its_notice_is_kept_for_twice_as_long(notification: Notification) -> None:
    """Eight ends within a minute must not use up what is meant for half a day, nor send a letter eight times."""
    await notification.a_dossier()
    kept: list[int] = []
    for _ in range(4):
        await notification.claims(lease=timedelta(minutes=1))
        kept.append(
            await notification.database.pool.fetchval(
                "SELECT round(extract(epoch FROM claimed_until - (SELECT max(started) FROM attempt)) / 60) FROM notice"
            )
        )
        await notification.database.pool.execute("UPDATE notice SET claimed_until = clock_timestamp()")

    assert kept == [1, 2, 4, 8]


async def test_a_notice_in_hand_is_not_taken_by_somebody_else(notification: Notification) -> None:
    await notification.a_dossier()
    await notification.claims(lease=timedelta(minutes=1))

    assert await notification.sender.send_due() == 0


async def test_a_sender_that_stood_still_and_comes_back_late_closes_its_notice_once(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    late = await notification.claims()
    other = await notification.claims(lease=timedelta(minutes=1))

    await handlers.record_outcomes(notification.database, [Attempted(late, Accepted(250), None)])
    await handlers.record_outcomes(notification.database, [Attempted(other, Postponed(451), None)])

    (notice,) = await notification.notices(subject)
    assert notice.state == "sent"
    assert attempts(notice) == [(1, "accepted", 250, None), (2, "postponed", 451, None)]
    assert [(kind, body["maybe_repeated"]) for kind, body, _ in await notification.announced(subject)] == [
        ("NoticeSent", True)
    ]


async def test_what_came_of_several_attempts_is_written_down_together(notification: Notification) -> None:
    first, second = await notification.a_dossier(), await notification.a_dossier()
    taken, refused = [await notification.claims(lease=timedelta(minutes=1)) for _ in range(2)]

    came = [Attempted(taken, Accepted(250), None), Attempted(refused, Refused(550), None)]
    await handlers.record_outcomes(notification.database, came)

    assert {taken.dossier, refused.dossier} == {first, second}
    assert [kind for kind, _, _ in await notification.announced(taken.dossier)] == ["NoticeSent"]
    assert [kind for kind, _, _ in await notification.announced(refused.dossier)] == ["NoticeFailed"]


async def test_an_attempt_that_comes_back_with_the_one_that_took_its_place_closes_the_notice_once(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    late, other = await notification.claims(), await notification.claims(lease=timedelta(minutes=1))

    came = [Attempted(other, Accepted(250), None), Attempted(late, Accepted(250), None)]
    await handlers.record_outcomes(notification.database, came)

    (notice,) = await notification.notices(subject)
    assert attempts(notice) == [(1, "accepted", 250, None), (2, "accepted", 250, None)]
    assert [(kind, body["maybe_repeated"]) for kind, body, _ in await notification.announced(subject)] == [
        ("NoticeSent", True)
    ]


async def test_a_few_letters_are_taken_without_going_through_all_that_wait(notification: Notification) -> None:
    """Nobody has counted yet how many wait: a plan that trusts old figures gathers all of them for every few."""
    await notification.backlog(5000)

    async with notification.database.transaction() as tx:
        taken = await rows.take_due_notices(tx, 8, timedelta(minutes=1))
        gone_through = await tx.fetchval(_READ_OF_NOTICES)

    assert len(taken) == 8
    assert gone_through < 100


async def test_a_late_refusal_does_not_end_what_another_attempt_has_in_hand(notification: Notification) -> None:
    subject = await notification.a_dossier()
    late = await notification.claims()
    await notification.claims(lease=timedelta(minutes=1))

    await handlers.record_outcomes(notification.database, [Attempted(late, Postponed(451), None)])

    (notice,) = await notification.notices(subject)
    assert notice.state == "sending"
    assert await notification.announced(subject) == []


async def test_while_the_provider_is_away_notices_wait_unharmed_and_hearing_goes_on(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    await notification.provider.close()

    await notification.sender.send_due()
    await notification.hears(a_request(subject))
    back_too_early = await notification.sender.probe()
    (notice, _) = await notification.notices(subject)
    while_away = notification.sender.away_because
    await notification.provider.open()
    back = await notification.sender.probe()
    await notification.sender.send_due()

    assert (back_too_early, while_away, back) == (False, "no_connection", True)
    assert (notice.state, notice.attempts) == ("waiting", ())
    assert (await notification.announced(subject))[0][1]["attempts"] == 1


async def test_a_provider_that_refuses_us_altogether_fails_no_notice(notification: Notification) -> None:
    subject = await notification.a_dossier()
    notification.provider.mail_reply = "530 5.7.0 authentication required"

    await notification.sender.send_due()

    assert notification.sender.away_because == "refuses_us"
    assert states(await notification.notices(subject)) == [("received", "waiting", None)]


@pytest.mark.parametrize("reply", ["554 5.7.1 Relay access denied", "530 authentication required"])
@pytest.mark.parametrize("where", ["recipient", "text"])
async def test_a_provider_that_keeps_its_refusal_of_us_back_fails_no_notice_either(
    notification: Notification, reply: str, where: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Postfix does by default: smtpd_delay_reject."""
    subject = await notification.a_dossier()
    if where == "recipient":
        notification.provider.rcpt_reply = reply
    else:
        notification.provider.replies.append(reply)

    await notification.sender.send_due()
    (put_off,) = await notification.notices(subject)
    notification.provider.rcpt_reply = OK
    await notification.the_pause_is_over()
    await notification.sender.send_due()

    (sent,) = await notification.notices(subject)
    assert (put_off.state, sent.state) == ("waiting", "sent")
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == ["sender_refused"]


async def test_what_a_sender_has_under_way_it_does_not_take_again_when_its_lease_has_run_out(
    notification: Notification,
) -> None:
    """The database was away for longer than a lease; what came of the letter is about to be written down."""
    subject = await notification.a_dossier()
    notification.provider.hold = asyncio.Event()
    first = asyncio.create_task(notification.sender.send_due())
    await notification.provider.arrived.wait()
    await notification.database.pool.execute("UPDATE notice SET claimed_until = clock_timestamp() - interval '1 s'")

    again = await notification.sender._begin(8)
    notification.provider.hold.set()
    await first

    (sent,) = await notification.notices(subject)
    assert (again, len(notification.provider.letters)) == (0, 1)
    assert attempts(sent) == [(1, "accepted", 250, None)]


async def test_a_connection_that_the_provider_dropped_meanwhile_is_replaced(notification: Notification) -> None:
    await notification.a_dossier()
    await notification.sender.send_due()
    await notification.provider.close()
    await notification.provider.open()

    subject = await notification.a_dossier()
    await notification.sender.send_due()

    assert states(await notification.notices(subject)) == [("received", "sent", None)]


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"phone": "0381234567"}, "no_email_address"),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, "bad_address"),
        ({"email": "nobody"}, "bad_address"),
    ],
)
async def test_a_contact_without_a_usable_address_fails_with_its_reason(
    notification: Notification, given: dict[str, str], reason: str
) -> None:
    subject = await notification.a_dossier(given)

    await notification.sender.send_due()

    assert states(await notification.notices(subject)) == [("received", "failed", reason)]
    assert notification.provider.letters == []


async def test_a_contact_sealed_for_another_dossier_cannot_be_opened(notification: Notification) -> None:
    subject = an_id()
    await notification.hears_contacts(notification.a_contact(subject, sealed_for=an_id()))
    await notification.hears(UNIT, PROCEDURE, a_reception(subject))

    await notification.sender.send_due()

    assert (await notification.announced(subject))[0][1]["reason"] == "cannot_open_contact"


async def test_a_contact_erased_before_the_letter_went_out_gets_none(notification: Notification) -> None:
    subject = await notification.a_dossier()
    await notification.hears_contacts(a_contact_record(subject, 2, None))

    await notification.sender.send_due()

    assert states(await notification.notices(subject)) == [("received", "failed", "contact_erased")]
    assert notification.provider.letters == []


async def test_an_address_beyond_ascii_is_reached(notification: Notification) -> None:
    await notification.a_dossier({"email": "nguyễn@ví-dụ.example"})

    await notification.sender.send_due()

    assert notification.provider.recipients == ["nguyễn@ví-dụ.example"]


async def test_two_senders_send_every_letter_once(notification: Notification) -> None:
    dossiers = {await notification.a_dossier() for _ in range(20)}
    other = Sender(
        notification.database,
        notification.sender.keyring,
        notification.sender.letters,
        Mail("127.0.0.1", notification.provider.port, SENDER, 10),
        lease=timedelta(minutes=1),
    )

    while sum(await asyncio.gather(notification.sender.send_due(), other.send_due())):
        pass

    await other.mail.close()
    assert len(notification.provider.letters) == len(dossiers)
    assert len({letter["Message-ID"] for letter in notification.provider.letters}) == len(dossiers)


async def test_a_notice_that_is_committed_wakes_a_sender_that_has_nothing_to_do(
    notification: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else does, not its own looks: those are transactions, too."""
    looks, pause, begin = 0, Sender._pause, Sender._begin

    async def for_an_hour(self: Sender, _: float) -> None:
        await pause(self, 3600.0)

    async def counted(self: Sender, free: int) -> int:
        nonlocal looks
        looks += 1
        return await begin(self, free)

    monkeypatch.setattr(Sender, "_pause", for_an_hour)
    monkeypatch.setattr(Sender, "_begin", counted)
    running = asyncio.create_task(notification.sender.run())
    await until(lambda: looks > 0, "the sender has looked")
    await asyncio.sleep(1)
    assert looks == 1

    await notification.a_dossier()

    await asyncio.wait_for(notification.provider.arrived.wait(), 30)
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running


async def test_a_connection_does_not_wait_for_what_its_last_letter_s_answer_costs_the_database(
    notification: Notification, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, may = handlers.record_outcomes, asyncio.Event()

    async def later(database: Database, attempts: Sequence[Attempted]) -> None:
        await may.wait()
        await record(database, attempts)

    monkeypatch.setattr(handlers, "record_outcomes", later)
    notification.sender.at_once = 2
    subjects = [await notification.a_dossier() for _ in range(8)]
    letters = notification.provider.letters
    running = asyncio.create_task(notification.sender.run())

    await until(lambda: len(letters) == 4, "as many again are sent as there are connections")
    looked = notification.sender._room()
    may.set()
    await until(lambda: len(letters) == 8, "the others follow")
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running

    assert looked == 0
    assert [states(await notification.notices(one)) for one in subjects] == [[("received", "sent", None)]] * 8


async def test_at_the_end_a_letter_under_way_is_finished_and_recorded(notification: Notification) -> None:
    subject = await notification.a_dossier()
    notification.provider.hold = asyncio.Event()
    running = asyncio.create_task(notification.sender.run())
    await notification.provider.arrived.wait()

    running.cancel()
    notification.provider.hold.set()
    with suppress(asyncio.CancelledError):
        await running

    assert states(await notification.notices(subject)) == [("received", "sent", None)]


async def test_the_address_is_found_in_no_row_and_no_log(
    notification: Notification, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    await notification.a_dossier()
    notification.provider.replies.append(f"550 5.1.1 <{CANARY}> unknown")

    await notification.sender.send_due()

    tables = await notification.database.pool.fetch("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
    texts = [str(await notification.database.pool.fetch(f"TABLE {row['tablename']}")) for row in tables]
    ours = [record for record in caplog.records if record.name != "mail.log"]  # the provider's own log
    assert not any(CANARY in text for text in texts)
    assert not any(CANARY in str(record.__dict__) for record in ours)


# --- looking ---------------------------------------------------------------------------------------------------------


async def test_the_desk_that_received_a_dossier_sees_its_notices_and_others_do_not(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()
    await notification.sender.send_due()
    app = FastAPI()
    say_problems(app)
    believe_dev_actors(app, enabled=True)
    app.include_router(api.router(notification.database))
    path = f"/notification/dossiers/{subject}/notices"

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
        seen = await client.get(path, headers={"X-Dev-Actor": "id=desk-1; unit=ward; roles=desk"})
        denied = await client.get(path, headers={"X-Dev-Actor": "id=desk-2; unit=elsewhere; roles=desk"})
        unknown = await client.get(
            f"/notification/dossiers/{an_id()}/notices", headers={"X-Dev-Actor": "id=i-1; roles=inspector"}
        )

    (notice,) = seen.json()["notices"]
    assert (notice["template"], notice["state"], notice["about"]) == (
        "received",
        "sent",
        {"source": "intake", "version": 1},
    )
    assert [attempt["outcome"] for attempt in notice["attempts"]] == ["accepted"]
    assert (denied.status_code, unknown.status_code) == (403, 404)
