"""Erasing a citizen's data: at intake over HTTP, at the hearers, and after a restored backup; on real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases, superuser_url
from services.intake.handlers import door, erasure
from services.intake.handlers.door import HandOut
from services.notification import handlers as notification_handlers
from services.notification.values import Unsendable
from shared.access import Role
from shared.envelope import Record
from shared.events import PersonalDataErased, ResultReady, StageStarted
from shared.outbox import republish
from shared.seal import DataKey, Erasure, Keyring, Register
from shared.store import Database, open_pool
from tests.builders import WARD, a_reception_body, an_actor
from tests.handlers.doors import DESK, Desk, at_counter, intake_app
from tests.handlers.intake import Intake
from tests.handlers.routing import every_row
from tests.handlers.test_notification import (
    PROCEDURE,
    UNIT,
    Notification,
    a_contact_record,
    a_reception,
    a_record,
    an_id,
    notification,
    states,
)
from tests.handlers.test_reporting import Reporting, a_story, reporting
from tests.http.asking import problem_of
from tests.stores import databases

__all__ = ["notification", "reporting"]

HEAD = an_actor(Role.LEADER, ident="head-1")
READY = (StageStarted(stage="commune_desk", run=1, unit=WARD), ResultReady(run=1, unit=WARD))
CONTACT = b'{"email": "binh@example.vn"}'
ASKED = "asked_by_citizen"


@pytest.fixture
async def head(intake: Intake) -> AsyncIterator[Desk]:
    """The head of the ward, at intake."""
    async with at_counter(intake_app(intake), HEAD) as one:
        yield one


async def a_closed_dossier(intake: Intake) -> dict[str, Any]:
    """Received, worked on, handed over; the receipt."""
    receipt = await intake.receives(contact=CONTACT)
    await intake.is_told(receipt["id"], *READY)
    assert isinstance(await intake.takes(receipt["id"], HandOut("desk")), door.Done)
    return receipt


async def wrapped_keys(intake: Intake, dossier: str) -> list[str]:
    """Every wrapped key of a dossier in intake's store, wherever it lies."""
    rows = await every_row(intake.database)
    texts = [value for table in rows.values() for row in table if dossier in row for value in row]
    holding = [text for text in texts if isinstance(text, str) and "recipients" in text]
    return [json.loads(text)["wrapped_key"] if text.startswith("{") else text for text in holding]


# --- intake ----------------------------------------------------------------------------------------------------------


async def test_erased_is_key_applicant_and_contact_and_it_is_said_twice(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)
    assert len(await wrapped_keys(intake, receipt["id"])) == 2

    answer = await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})

    assert answer.status_code == 200, answer.text
    done = answer.json()
    assert (done["id"], done["code"], done["version"], done["reason"]) == (receipt["id"], receipt["code"], 3, ASKED)
    assert await wrapped_keys(intake, receipt["id"]) == []
    rows = await every_row(intake.database)
    assert rows["citizen"] == []
    assert [(row[1], row[2], row[4]) for row in rows["snapshot"]] == [(receipt["id"], 2, None)]
    assert await intake.said(receipt["id"]) == ["DossierReceived", "ResultHandedOver", "PersonalDataErased"]
    said = next(row for row in rows["journal"] if "PersonalDataErased" in row)
    assert json.loads(str(said[-1])) == {"contact_version": 2, "reason": ASKED}


async def test_the_dossier_stays_as_it_was_and_says_that_its_citizen_s_data_are_gone(
    intake: Intake, head: Desk
) -> None:
    receipt = await a_closed_dossier(intake)
    path = f"/intake/dossiers/{receipt['code']}"
    before = (await head.gets(path)).json()
    counts = (await head.gets("/intake/counts")).json()

    await head.posts(f"{path}/erasure", {"reason": ASKED, "seen": 2})

    after = (await head.gets(path)).json()
    moved = {"version", "as_of", "applicant", "erased"}
    assert {name for name in after if after[name] != before[name]} == moved
    assert (before["applicant"]["name"], before["erased"]) == ("Nguyễn Thị Bình", None)
    assert after["applicant"] is None
    assert (after["erased"]["reason"], after["erased"]["by"]) == (ASKED, "head-1")
    assert (await head.gets("/intake/counts")).json() == counts


async def test_a_dossier_on_its_way_keeps_its_citizen_s_data(intake: Intake, head: Desk) -> None:
    travelling, ready = await intake.receives(contact=CONTACT), await intake.receives(contact=CONTACT)
    await intake.is_told(travelling["id"], READY[0])
    await intake.is_told(ready["id"], *READY)
    before = await every_row(intake.database)

    first = problem_of(await head.posts(f"/intake/dossiers/{travelling['id']}/erasure", {"reason": ASKED, "seen": 1}))
    second = problem_of(await head.posts(f"/intake/dossiers/{ready['id']}/erasure", {"reason": ASKED, "seen": 1}))

    assert (
        (first["status"], first["type"]) == (second["status"], second["type"]) == (409, "/problems/dossier-still-open")
    )
    assert "withdrawn" in first["do"]
    assert "hand the result over" in second["do"]
    assert await every_row(intake.database) == before
    assert not intake.register.holds(travelling["id"])


async def test_who_decided_on_an_older_picture_sees_what_happened_since(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)

    refused = await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 1})

    told = problem_of(refused)
    assert (told["status"], told["type"], told["version"]) == (409, "/problems/stale", 2)
    assert [one["type"] for one in told["since"]] == ["ResultHandedOver"]
    assert len(await wrapped_keys(intake, receipt["id"])) == 2


@pytest.mark.parametrize(
    ("roles", "unit", "status"),
    [
        ({Role.DESK, Role.OFFICER, Role.SPECIALIST}, WARD, 403),
        ({Role.LEADER}, "000.09.99.H41", 403),
        ({Role.OPERATOR, Role.INSPECTOR, Role.HISTORY, Role.PORTAL}, None, 403),
        ({Role.CITIZEN}, None, 404),
        ({Role.ADMINISTRATOR}, None, 200),
        ({Role.LEADER}, WARD, 200),
    ],
)
async def test_the_head_of_the_unit_decides_and_where_there_is_none_the_administrator(
    intake: Intake, roles: set[Role], unit: str | None, status: int
) -> None:
    receipt = await a_closed_dossier(intake)

    async with at_counter(intake_app(intake), an_actor(*roles, unit=unit)) as one:
        answer = await one.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})

    assert answer.status_code == status
    assert intake.register.holds(receipt["id"]) == (status == 200)


async def test_a_citizen_asks_and_does_not_decide_not_even_on_a_dossier_of_his_own(intake: Intake) -> None:
    citizen = an_actor(Role.CITIZEN, unit=None, ident="citizen-1")
    async with at_counter(intake_app(intake), citizen) as one:
        receipt = (await one.posts("/intake/dossiers", a_reception_body(channel="online"))).json()
        await intake.is_told(receipt["id"], *READY)
        await intake.takes(receipt["id"], HandOut("online"))

        refused = await one.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})

    assert problem_of(refused)["status"] == 403
    assert not intake.register.holds(receipt["id"])


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"reason": ASKED},
        {"reason": "Nguyễn Thị Bình asked", "seen": 2},
        {"reason": ASKED, "seen": 0},
        {"reason": ASKED, "seen": "two"},
        {"reason": ASKED, "seen": 2, "note": "Nguyễn Thị Bình"},
    ],
)
async def test_what_is_not_said_rightly_erases_nothing_and_is_not_said_back(
    intake: Intake, head: Desk, body: dict[str, Any]
) -> None:
    receipt = await a_closed_dossier(intake)

    refused = await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", body)

    assert problem_of(refused)["status"] == 422
    assert "Bình" not in refused.text
    assert not intake.register.holds(receipt["id"])


async def test_a_dossier_that_does_not_exist_is_unknown(head: Desk) -> None:
    refused = await head.posts(f"/intake/dossiers/{an_id()}/erasure", {"reason": ASKED, "seen": 1})

    assert problem_of(refused)["type"] == "/problems/unknown-dossier"


async def test_once_erased_the_answer_is_the_same_whoever_asks(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)
    path = f"/intake/dossiers/{receipt['code']}/erasure"
    first = await head.posts(path, {"reason": ASKED, "seen": 2}, key="once")

    repeated = await head.posts(path, {"reason": ASKED, "seen": 2}, key="once")
    another = await head.posts(path, {"reason": "ordered", "seen": 3})
    reused = await head.posts(path, {"reason": "ordered", "seen": 3}, key="once")

    assert first.json() == repeated.json() == another.json()
    assert problem_of(reused)["type"] == "/problems/idempotency-key-reused"
    assert (await intake.said(receipt["id"])).count("PersonalDataErased") == 1


async def test_two_heads_at_the_same_moment_erase_once(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)
    path = f"/intake/dossiers/{receipt['code']}/erasure"

    answers = await asyncio.gather(*(head.posts(path, {"reason": ASKED, "seen": 2}) for _ in range(8)))

    assert len({one.text for one in answers}) == 1
    assert (await intake.said(receipt["id"])).count("PersonalDataErased") == 1


async def test_a_reception_that_is_sent_again_after_the_erasure_gets_its_answer_and_brings_nothing_back(
    intake: Intake, head: Desk
) -> None:
    async with at_counter(intake_app(intake), DESK) as desk:
        body = a_reception_body(contact={"email": "binh@example.vn"})
        receipt = (await desk.posts("/intake/dossiers", body, key="reception")).json()
        await intake.is_told(receipt["id"], *READY)
        await desk.posts(f"/intake/dossiers/{receipt['code']}/result", {"way": "desk"})
        await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})

        again = await desk.posts("/intake/dossiers", body, key="reception")

    assert (again.status_code, again.json()) == (201, receipt)
    assert await wrapped_keys(intake, receipt["id"]) == []


async def test_who_gave_no_contact_is_erased_like_everybody(intake: Intake, head: Desk) -> None:
    receipt = await intake.receives()
    await intake.is_told(receipt["id"], *READY)
    await intake.takes(receipt["id"], HandOut("desk"))

    await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})

    rows = await every_row(intake.database)
    assert (rows["citizen"], [(row[2], row[4]) for row in rows["snapshot"]]) == ([], [(1, None)])


async def test_what_is_published_again_after_the_erasure_holds_no_contact(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)
    await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})
    await intake.database.pool.execute("DELETE FROM outbox")

    await republish(intake.database, [receipt["id"]])

    pointed = await intake.database.pool.fetch(
        "SELECT outbox.version, outbox.topic, coalesce(snapshot.payload, journal.payload) AS payload FROM outbox"
        " LEFT JOIN snapshot ON snapshot.topic = outbox.topic AND snapshot.aggregateid = outbox.aggregateid"
        " LEFT JOIN journal ON outbox.topic IS NULL AND journal.aggregateid = outbox.aggregateid"
        "  AND journal.version = outbox.version ORDER BY outbox.id"
    )
    assert [(row["topic"], row["version"]) for row in pointed] == [
        ("intake.contact", 2),
        (None, 1),
        (None, 2),
        (None, 3),
    ]
    assert pointed[0]["payload"] is None
    assert not any("sealed" in row["payload"] for row in pointed[1:])


async def test_while_the_register_cannot_be_written_the_erasure_is_no_success_and_its_repeat_makes_it_one(
    intake: Intake, head: Desk
) -> None:
    receipt = await a_closed_dossier(intake)
    path = f"/intake/dossiers/{receipt['code']}/erasure"
    folder = intake.register.file.parent
    folder.write_text("a file where the folder should be")

    refused = await head.posts(path, {"reason": ASKED, "seen": 2}, key="once")
    folder.unlink()
    again = await head.posts(path, {"reason": ASKED, "seen": 2}, key="once")

    assert problem_of(refused)["type"] == "/problems/erasure-not-in-register"
    assert (again.status_code, again.json()["version"]) == (200, 3)
    assert Register(intake.register.file).erasures()[receipt["id"]].version == 3


# --- after a restored backup -----------------------------------------------------------------------------------------


class Restorable:
    """Intake on a database of its own, of which a copy can be kept and put in its place."""

    def __init__(self, layout: Layout, made: Databases, keys: Path, register: Register) -> None:
        self.layout, self.made, self.keys, self.register = layout, made, keys, register

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Intake]:
        """A process, from its start to its end."""
        async with AsyncExitStack() as stack:
            pool = await open_pool(self.made.login["intake"], name="tests restorable", smallest=1, largest=4)
            stack.push_async_callback(pool.close)
            keyring = Keyring.load(self.keys, "intake", self.register)
            yield await stack.enter_async_context(Intake(Database(pool), keyring, self.register).open())

    async def back_up(self) -> None:
        await self._carry_out(
            "DROP DATABASE IF EXISTS intake_restorable_backup",
            "CREATE DATABASE intake_restorable_backup TEMPLATE intake_restorable OWNER intake_owner",
        )

    async def restore(self) -> None:
        await self._carry_out(
            "DROP DATABASE intake_restorable WITH (FORCE)",
            "ALTER DATABASE intake_restorable_backup RENAME TO intake_restorable",
            "GRANT CONNECT ON DATABASE intake_restorable TO intake",
        )

    async def _carry_out(self, *statements: str) -> None:
        connection = await asyncpg.connect(superuser_url(self.layout))
        try:
            for each in statements:
                await connection.execute(each)
        finally:
            await connection.close()


@pytest.fixture
async def restorable(layout: Layout, servers: object, keys: Path, register: Register) -> AsyncIterator[Restorable]:
    async with databases(layout, "_restorable") as made:
        one = Restorable(layout, made, keys, register)
        async with one.open() as intake:
            await intake.seed()
        yield one


async def an_erased_dossier(intake: Intake, receipt: dict[str, Any]) -> Erasure:
    async with at_counter(intake_app(intake), HEAD) as head:
        answer = await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})
    assert answer.status_code == 200, answer.text
    return intake.register.erasures()[receipt["id"]]


async def test_what_a_restored_backup_brings_back_opens_for_nobody_and_is_erased_again_with_the_same_entry(
    restorable: Restorable,
) -> None:
    async with restorable.open() as intake:
        receipt, other = await a_closed_dossier(intake), await a_closed_dossier(intake)
    await restorable.back_up()
    async with restorable.open() as intake:
        erased = await an_erased_dossier(intake, receipt)
    await restorable.restore()

    async with restorable.open() as intake:
        back = await wrapped_keys(intake, receipt["id"])
        async with at_counter(intake_app(intake), HEAD) as head:
            shown = (await head.gets(f"/intake/dossiers/{receipt['code']}")).json()["applicant"]
        compared = await erasure.compare(intake.database, restorable.register)

        assert len(back) == 2, "the backup did bring it back"
        assert not any(isinstance(intake.keyring.unwrap(receipt["id"], one), DataKey) for one in back)
        assert shown is None
        assert (compared.erasures, compared.done_again, compared.unknown) == (1, (receipt["id"],), ())
        assert await wrapped_keys(intake, receipt["id"]) == []
        assert len(await wrapped_keys(intake, other["id"])) == 2, "nobody else's are touched"
        said = await intake.database.pool.fetchrow(
            'SELECT id::text, version, "timestamp" FROM journal WHERE type = $1', "PersonalDataErased"
        )
        assert tuple(said or ()) == (erased.event, erased.version, erased.time), "hearers drop it as a repeat"
        assert (await erasure.compare(intake.database, restorable.register)).done_again == ()


async def test_a_backup_from_before_the_dossier_s_end_is_put_right_too(restorable: Restorable) -> None:
    async with restorable.open() as intake:
        receipt = await intake.receives(contact=CONTACT)
    await restorable.back_up()
    async with restorable.open() as intake:
        await intake.is_told(receipt["id"], *READY)
        await intake.takes(receipt["id"], HandOut("desk"))
        erased = await an_erased_dossier(intake, receipt)
    await restorable.restore()

    async with restorable.open() as intake:
        await erasure.compare(intake.database, restorable.register)

        assert await wrapped_keys(intake, receipt["id"]) == []
        assert await intake.said(receipt["id"]) == ["DossierReceived", "PersonalDataErased"]
        ident = await intake.database.pool.fetchval("SELECT id::text FROM journal WHERE version = 2")
        assert ident != erased.event, "it stands elsewhere in the stream: it is another entry"


async def test_a_backup_from_before_the_reception_has_nothing_to_erase_and_says_so(restorable: Restorable) -> None:
    await restorable.back_up()
    async with restorable.open() as intake:
        receipt = await a_closed_dossier(intake)
        await an_erased_dossier(intake, receipt)
    await restorable.restore()

    async with restorable.open() as intake:
        compared = await erasure.compare(intake.database, restorable.register)

    assert (compared.done_again, compared.unknown) == ((), (receipt["id"],))


async def test_what_a_crash_kept_from_the_register_is_written_down_at_the_next_start(restorable: Restorable) -> None:
    async with restorable.open() as intake:
        receipt = await a_closed_dossier(intake)
        await an_erased_dossier(intake, receipt)
    restorable.register.file.unlink()

    async with restorable.open() as intake:
        compared = await erasure.compare(intake.database, restorable.register)

    assert (compared.written_down, compared.done_again) == (1, ())
    assert Register(restorable.register.file).holds(receipt["id"])


async def test_an_operator_replays_erasures_and_every_hearer_is_told_once_more(intake: Intake, head: Desk) -> None:
    receipt = await a_closed_dossier(intake)
    await head.posts(f"/intake/dossiers/{receipt['code']}/erasure", {"reason": ASKED, "seen": 2})
    await intake.database.pool.execute("DELETE FROM outbox")

    async with at_counter(intake_app(intake), an_actor(Role.OPERATOR, unit=None)) as operator:
        answer = await operator.posts("/intake/operations/erasures/replay")
        listed = await operator.gets("/intake/operations/erasures")
    refused = await head.posts("/intake/operations/erasures/replay")

    assert answer.json() == {"erasures": 1, "done_again": [], "written_down": 0, "unknown": []}
    assert [(one["dossier"], one["reason"]) for one in listed.json()["erasures"]] == [(receipt["id"], ASKED)]
    assert problem_of(refused)["status"] == 403
    pointed = await intake.database.pool.fetch("SELECT topic, version FROM outbox ORDER BY topic NULLS LAST, id")
    assert [tuple(row) for row in pointed] == [("intake.contact", 2), (None, 1), (None, 2), (None, 3)]


# --- notification ----------------------------------------------------------------------------------------------------


def an_erasure(subject: str, version: int = 2, contact_version: int = 2) -> Record:
    return a_record(PersonalDataErased(contact_version=contact_version, reason=ASKED), subject, version)


async def the_contact(there: Notification, subject: str) -> tuple[int, bool, str | None]:
    row = await there.database.pool.fetchrow(
        "SELECT version, erased, wrapped_key FROM contact WHERE dossier = $1", subject
    )
    assert row is not None
    return row["version"], row["erased"], row["wrapped_key"]


async def test_the_event_alone_destroys_the_contact_and_no_lower_version_comes_back(notification: Notification) -> None:
    subject = await notification.a_dossier()

    await notification.hears(an_erasure(subject))
    await notification.hears_contacts(notification.a_contact(subject, version=1))
    await notification.hears_contacts(notification.a_contact(subject, version=2))

    assert await the_contact(notification, subject) == (2, True, None)


@pytest.mark.parametrize("order", [*itertools.permutations(("contact", "tombstone", "event"))], ids="-".join)
async def test_in_whatever_order_contact_tombstone_and_event_come_and_come_again_it_is_erased(
    notification: Notification, order: tuple[str, ...]
) -> None:
    subject = an_id()
    contact, tombstone = notification.a_contact(subject, version=1), a_contact_record(subject, 2, None)
    reception, erased = a_reception(subject), an_erasure(subject)

    for one in (*order, *reversed(order), *order):
        if one == "event":
            await notification.hears(UNIT, PROCEDURE, reception, erased)
        else:
            await notification.hears_contacts(contact if one == "contact" else tombstone)

    assert await the_contact(notification, subject) == (2, True, None)
    assert [state for _, state, _ in states(await notification.notices(subject))] in (["waiting"], ["unreachable"])
    await notification.sender.send_due()
    assert notification.provider.letters == []


@pytest.mark.parametrize("at_once", [True, False], ids=["in one batch", "one after the other"])
async def test_a_hearer_that_was_away_longer_than_tombstones_are_kept_waits_for_no_contact(
    notification: Notification, at_once: bool
) -> None:
    subject = an_id()
    batches = [[UNIT, PROCEDURE, a_reception(subject, contact_version=1)], [an_erasure(subject)]]

    for batch in [[*batches[0], *batches[1]]] if at_once else batches:
        await notification.hears(*batch)

    assert await notification.database.pool.fetchval("SELECT count(*) FROM parked") == 0
    assert states(await notification.notices(subject)) == [("received", "unreachable", None)]
    assert await the_contact(notification, subject) == (2, True, None)


async def test_a_letter_that_waits_when_its_citizen_is_erased_is_not_sent_and_that_is_said(
    notification: Notification,
) -> None:
    subject = await notification.a_dossier()

    await notification.hears(an_erasure(subject))
    await notification.sender.send_due()

    assert notification.provider.letters == []
    assert states(await notification.notices(subject)) == [("received", "failed", "contact_erased")]


async def test_a_contact_that_a_restored_backup_brought_back_is_not_opened(
    notification: Notification, keys: Path, register: Register
) -> None:
    notification.intake_keys = Keyring.load(keys, "intake")
    keyring = Keyring.load(keys, "notification", register)
    subject = await notification.a_dossier()
    claimed = await notification.claims()
    assert isinstance(notification_handlers.address_of(keyring, claimed), str)

    register.keep([Erasure(subject, an_id(), 2, 2, claimed.written, ASKED)])

    assert notification_handlers.address_of(keyring, claimed) == Unsendable("contact_erased")


# --- reporting -------------------------------------------------------------------------------------------------------


async def test_no_figure_moves_and_the_timeline_says_it(reporting: Reporting) -> None:
    story, other = a_story(1), a_story(2)
    for one in (story, other):
        one.finishes(run=1)
    await reporting.hears(*story.said, *other.said)
    first, last = story.said[0].time.date(), story.now.date()
    before = (await reporting.picture(), await reporting.counts(first, last))

    await reporting.hears(story.say(PersonalDataErased(contact_version=2, reason=ASKED)))

    assert (await reporting.picture(), await reporting.counts(first, last)) == before
    assert (await reporting.timeline(story))[-1][2] == "PersonalDataErased"
