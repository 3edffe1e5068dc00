"""Intake's handlers on real PostgreSQL: reception, the door, the catalogue, and what it hears."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from datetime import date, timedelta
from pathlib import Path

import asyncpg
import pytest
from msgspec.structs import replace

from deploy.launcher.postgres import Databases
from services.intake import store
from services.intake.handlers import catalogue, door
from services.intake.handlers.known import Kept
from services.intake.handlers.reception import APPLICANT, CONTACT_PURPOSE, KeyReused, Received
from services.intake.values import NotAccepted, Record, Status
from shared.access import Role
from shared.calendar import Term, TermUnit, to_data
from shared.events import (
    CalendarPublished,
    Channel,
    DossierResumed,
    DossierWithdrawn,
    HandedOver,
    NoticeSent,
    ResultReady,
    StageStarted,
    SupplementRequested,
)
from shared.seal import DataKey, Keyring, make_keys, open_sealed
from shared.store import Database, open_pool
from tests.builders import (
    REPLAY,
    TOWN,
    WARD,
    a_procedure,
    a_submission,
    an_actor,
    at,
    heard,
    office,
)
from tests.handlers.intake import ADMINISTRATOR, Intake, a_unit_published, asking
from tests.handlers.routing import every_row

STARTED = StageStarted(stage="commune_desk", run=1, unit=WARD)
REQUEST = SupplementRequested(run=1, nth=1, reason="papers_missing")


@pytest.fixture
async def another(made: Databases, keys: Path, intake: Intake) -> AsyncIterator[Intake]:
    """A second process on the same database, with a door of its own."""
    pool = await open_pool(made.login["intake"], name="tests another", smallest=1, largest=4)
    async with Intake(Database(pool), Keyring.load(keys, "intake", intake.register), intake.register).open() as one:
        yield one
    await pool.close()


def ordinal_of(code: str) -> int:
    """The number at a printed code's end."""
    return int(code.rsplit("-", 1)[1])


# --- reception -------------------------------------------------------------------------------------------------------


async def test_a_reception_is_one_dossier_one_sealed_citizen_one_event_and_its_pointers(intake: Intake) -> None:
    receipt = await intake.receives(contact=b'{"email": "binh@example.vn"}')

    rows = await every_row(intake.database)
    dossier = await intake.dossier(receipt["id"])
    assert (dossier.code, dossier.status, dossier.at_unit) == (receipt["code"], Status.RECEIVED, WARD)
    assert (len(rows["citizen"]), len(rows["counter"]), len(rows["snapshot"])) == (1, 1, 1)
    assert await intake.said(receipt["id"]) == ["DossierReceived"]
    mine = [row for row in rows["outbox"] if receipt["id"] in row]
    assert sorted(str(row[2]) for row in mine) == ["None", "intake.contact"]


async def test_the_receipt_says_code_reception_promise_and_term(intake: Intake) -> None:
    receipt = await intake.receives()

    day = office().day_of((await intake.dossier(receipt["id"])).received)
    assert receipt["code"] == f"{WARD}-{day:%y%m%d}-0001"
    assert receipt["term"] == {"value": 10, "unit": "working_day"}
    assert (receipt["unit"], receipt["channel"], receipt["version"], receipt["holidays_known"]) == (
        WARD,
        "desk",
        1,
        True,
    )


async def test_a_hundred_receptions_at_one_desk_through_two_processes_get_a_hundred_ordinals_without_a_gap(
    intake: Intake, another: Intake
) -> None:
    outcomes = await asyncio.gather(*(process.door.ask(asking()) for process in (intake, another) for _ in range(50)))

    codes = [one.answer["code"] for one in outcomes if isinstance(one, Received)]
    assert sorted(map(ordinal_of, codes)) == list(range(1, 101))
    assert len(set(codes)) == 100


async def test_desks_and_days_count_for_themselves(intake: Intake) -> None:
    record = Record("books", at("2019-05-06 08:00"), at("2019-05-20 17:00"), {})
    next_day = Record("books", at("2019-05-07 00:30"), at("2019-05-20 17:00"), {})
    given = [
        a_submission(record=record),
        a_submission(record=next_day),
        a_submission(record=record),
        a_submission(record=record, unit=TOWN),
    ]

    outcomes = await intake.receive_all([asking(one) for one in given])

    codes = [one.answer["code"] for one in outcomes if isinstance(one, Received)]
    assert codes == [f"{WARD}-190506-0001", f"{WARD}-190507-0001", f"{WARD}-190506-0002", f"{TOWN}-190506-0001"]


async def test_the_ordinal_after_9_999_has_five_digits(intake: Intake, made: Databases) -> None:
    first = await intake.receives()
    owner = await asyncpg.connect(made.owner["intake"])
    await owner.execute("UPDATE counter SET last = 9998")
    await owner.close()

    codes = [(await intake.receives())["code"] for _ in range(2)]

    assert [code.rsplit("-", 1)[1] for code in (first["code"], *codes)] == ["0001", "9999", "10000"]


async def test_a_reception_that_fails_takes_no_number_and_does_not_spoil_those_beside_it(intake: Intake) -> None:
    """An event larger than what may travel is refused by the journal, after the number was taken."""
    huge = Record("books", at("2019-05-06 08:00"), at("2019-05-20 17:00"), {"remark": "x" * 1_100_000})
    too_large = asking(a_submission(record=huge))

    beside = asking(a_submission(record=Record("books", at("2019-05-06 08:00"), at("2019-05-20 17:00"), {})))

    outcomes = await asyncio.gather(
        *(intake.door.ask(one) for one in (beside, too_large, replace(beside, key=asking().key))),
        return_exceptions=True,
    )

    codes = [one.answer["code"] for one in outcomes if isinstance(one, Received)]
    assert isinstance(outcomes[1], asyncpg.CheckViolationError)
    assert sorted(map(ordinal_of, codes)) == [1, 2]
    rows = await every_row(intake.database)
    assert (len(rows["dossier"]), len(rows["citizen"]), len(rows["command"]), len(rows["counter"])) == (2, 2, 2, 1)
    assert len([row for row in rows["stream"] if ":" not in str(row[0])]) == 2


async def test_what_cannot_be_received_leaves_nothing_behind(intake: Intake) -> None:
    before = await every_row(intake.database)

    outcomes = await intake.receive_all([asking(a_submission(unit="000.77.99.H41")), asking(a_submission(unit=REPLAY))])

    assert [one.name for one in outcomes if isinstance(one, NotAccepted)] == ["unknown-unit", "replay-unit"]
    assert await every_row(intake.database) == before


async def test_the_same_command_again_gets_the_same_receipt(intake: Intake) -> None:
    (first,) = await intake.receive_all([asking(ident="key-1")])
    before = await every_row(intake.database)

    (again,) = await intake.receive_all([asking(ident="key-1")])

    assert isinstance(first, Received)
    assert again == Received(first.answer, repeated=True)
    assert await every_row(intake.database) == before


async def test_the_same_command_twice_in_one_batch_is_one_dossier(intake: Intake) -> None:
    first, second = await intake.receive_all([asking(ident="key-1"), asking(ident="key-1")])

    assert isinstance(first, Received)
    assert second == Received(first.answer, repeated=True)


async def test_the_same_command_at_two_doors_at_once_is_one_dossier(intake: Intake, another: Intake) -> None:
    outcomes = await asyncio.gather(
        *(process.door.ask(asking(ident=f"key-{number}")) for process in (intake, another) for number in range(20))
    )

    receipts = {one.answer["code"] for one in outcomes if isinstance(one, Received)}
    assert len(outcomes) == 40
    assert sorted(map(ordinal_of, receipts)) == list(range(1, 21))


async def test_a_key_that_came_with_another_body_receives_nothing(intake: Intake) -> None:
    (first,) = await intake.receive_all([asking(ident="key-1", body="one")])

    outcomes = await intake.receive_all([asking(ident="key-1", body="another"), asking(ident="key-1", body="one")])
    in_one_batch = await intake.receive_all([asking(ident="key-2", body="one"), asking(ident="key-2", body="another")])

    assert isinstance(first, Received)
    assert outcomes == [KeyReused(), Received(first.answer, repeated=True)]
    assert isinstance(in_one_batch[0], Received)
    assert in_one_batch[1] == KeyReused()


async def test_a_refusal_is_not_remembered_so_that_the_corrected_body_goes_under_the_same_key(intake: Intake) -> None:
    wrong = asking(a_submission(unit="000.77.99.H41"), ident="key-1")

    refused, right = await intake.receive_all([wrong, asking(ident="key-1")])

    assert isinstance(refused, NotAccepted)
    assert isinstance(right, Received)


async def test_a_key_is_its_sender_s_own(intake: Intake) -> None:
    outcomes = await intake.receive_all(
        [asking(ident="key-1"), asking(ident="key-1", actor=an_actor(Role.DESK, ident="desk-2"))]
    )

    assert len({one.answer["code"] for one in outcomes if isinstance(one, Received)}) == 2


async def test_the_digest_of_a_body_is_sealed_and_erased_with_the_citizen(intake: Intake) -> None:
    """Whoever knows all of a body but a telephone number could find the number by trying."""
    asked = asking(ident="key-1", body="one")
    (first,) = await intake.receive_all([asked])
    assert isinstance(first, Received)
    async with intake.database.transaction() as tx:
        stored = await tx.fetchval("SELECT digest FROM command")
        await tx.execute("DELETE FROM citizen")

    (after_erasure,) = await intake.receive_all([asking(ident="key-1", body="whatever")])

    assert asked.digest not in stored
    assert asked.digest.hex().encode() not in stored
    assert after_erasure == Received(first.answer, repeated=True)


async def test_a_promise_beyond_the_calendar_s_years_is_kept_marked_and_told_to_the_operators_once(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    short = to_data(office()) | {"code": "short", "known_from": "2016-01-01", "known_until": "2016-12-31"}
    short |= {"days_off": [], "worked_days": {}}
    await intake.hears(
        heard(CalendarPublished(code="short", data=short), subject="calendar:short"),
        a_unit_published("000.07.99.H41", calendar="short"),
    )

    receipts = [await intake.receives(unit="000.07.99.H41") for _ in range(2)]

    assert [one["holidays_known"] for one in receipts] == [False, False]
    assert [record.message for record in caplog.records] == ["calendar_ends"]


async def test_a_unit_published_ahead_is_used_from_its_day_on(intake: Intake) -> None:
    await intake.hears(a_unit_published(WARD, 2, valid_from=date(2199, 1, 1), calendar="nowhere-yet"))
    ended = a_unit_published("000.07.99.H41", 1), a_unit_published("000.07.99.H41", 2, valid_to=date(2025, 6, 30))
    await intake.hears(*ended)

    ahead, merged = await intake.receive_all([asking(), asking(a_submission(unit="000.07.99.H41"))])

    assert isinstance(ahead, Received)
    assert isinstance(merged, NotAccepted)
    assert merged.name == "unit-not-in-office"


# --- the citizen's data ----------------------------------------------------------------------------------------------

CANARY = "Kanarienvogel"


async def test_a_citizen_s_data_are_in_no_row_and_no_log_in_clear(
    intake: Intake, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    personal = json.dumps({"name": f"Nguyễn {CANARY}", "id_number": "040199912345"}, ensure_ascii=False).encode()
    contact = json.dumps({"email": f"{CANARY}@example.vn", "phone": "+84912345678"}).encode()

    receipt = await intake.receives(personal=personal, contact=contact)
    await intake.is_told(receipt["id"], STARTED, REQUEST)
    await intake.takes(receipt["id"], door.Supplement(("cmnd",)))

    everything = repr(await every_row(intake.database)) + caplog.text
    for canary in (CANARY, CANARY.encode().hex(), "040199912345", "912345678"):
        assert canary not in everything
    async with intake.database.pool.acquire() as connection:
        citizen = (await store.citizens(connection, [receipt["id"]]))[receipt["id"]]
    key = intake.keyring.unwrap(receipt["id"], citizen.wrapped_key)
    assert isinstance(key, DataKey)
    assert citizen.contact is not None
    assert open_sealed(key, APPLICANT, citizen.applicant) == personal
    assert open_sealed(key, CONTACT_PURPOSE, citizen.contact) == contact


async def test_notification_opens_the_contact_and_nobody_without_a_key_does(
    intake: Intake, keys: Path, tmp_path: Path
) -> None:
    receipt = await intake.receives(contact=b'{"email": "binh@example.vn"}')
    make_keys(tmp_path)
    async with intake.database.pool.acquire() as connection:
        snapshot = json.loads(await connection.fetchval("SELECT payload FROM snapshot"))

    opened = Keyring.load(keys, "notification").unwrap(receipt["id"], snapshot["wrapped_key"])
    stranger = Keyring.load(tmp_path, "notification").unwrap(receipt["id"], snapshot["wrapped_key"])

    assert isinstance(opened, DataKey)
    assert open_sealed(opened, CONTACT_PURPOSE, snapshot["sealed"]) == b'{"email": "binh@example.vn"}'
    assert not isinstance(stranger, DataKey)
    assert "applicant" not in snapshot


# --- what else comes in through the door -----------------------------------------------------------------------------


async def test_papers_that_were_asked_for_are_taken_in_once(intake: Intake) -> None:
    receipt = await intake.receives()
    await intake.is_told(receipt["id"], STARTED, REQUEST)

    first = await intake.takes(receipt["id"], door.Supplement(("cmnd",)), ident="key-1")
    again = await intake.takes(receipt["id"], door.Supplement(("cmnd",)), ident="key-1")
    other = await intake.takes(receipt["id"], door.Supplement(("khai_sinh",)), ident="key-1")

    assert first == again
    assert isinstance(first, door.Done)
    assert isinstance(other, door.NotDone)
    assert other.code == "key_reused"
    assert await intake.said(receipt["id"]) == ["DossierReceived", "SupplementReceived"]
    assert (await intake.dossier(receipt["id"])).requested == "supplement"


async def test_what_is_brought_because_of_a_request_lies_after_it_whatever_the_clocks_say(intake: Intake) -> None:
    """Routing's database is an hour ahead: the papers would seem older than the request that they answer."""
    receipt = await intake.receives()
    ahead = (await intake.dossier(receipt["id"])).received + timedelta(hours=1)
    await intake.hears(
        heard(STARTED, ahead, subject=receipt["id"], version=1),
        heard(REQUEST, ahead, subject=receipt["id"], version=2),
    )

    done = await intake.takes(receipt["id"], door.Supplement(()))

    assert isinstance(done, door.Done)
    async with intake.database.pool.acquire() as connection:
        time = await connection.fetchval('SELECT "timestamp" FROM journal WHERE type = $1', "SupplementReceived")
    assert time == ahead


async def test_of_two_withdrawals_at_the_same_moment_one_is_announced(intake: Intake, another: Intake) -> None:
    receipt = await intake.receives()

    outcomes = await asyncio.gather(*(process.takes(receipt["id"], door.Withdrawal()) for process in (intake, another)))

    assert sorted(type(one).__name__ for one in outcomes) == ["Done", "NotDone"]
    assert await intake.said(receipt["id"]) == ["DossierReceived", "WithdrawalRequested"]


async def test_what_does_not_fit_leaves_nothing_behind(intake: Intake) -> None:
    receipt = await intake.receives()
    before = await every_row(intake.database)

    outcome = await intake.takes(receipt["id"], door.HandOut("desk"))

    assert isinstance(outcome, door.NotDone)
    assert await every_row(intake.database) == before


# --- end to end ------------------------------------------------------------------------------------------------------


async def test_a_forked_dossier_is_kept_with_every_place_until_one_is_left(intake: Intake) -> None:
    receipt = await intake.receives()
    police = StageStarted(stage="town_police", run=2, unit="000.62.99.H41", beside=(3,))
    insurer = StageStarted(stage="social_insurance", run=3, unit="000.63.99.H41", beside=(2,))
    done = HandedOver(stage="town_police", run=2, giver=police.unit, receiver=WARD, beside=(3,))

    await intake.is_told(receipt["id"], STARTED, police, insurer)
    both = await intake.dossier(receipt["id"])
    await intake.is_told(receipt["id"], done, version=4)
    left = await intake.dossier(receipt["id"])

    assert [(one.run, one.unit) for one in both.places] == [(2, police.unit), (3, insurer.unit)]
    assert (both.at_unit, left.places, left.at_unit, left.run) == (police.unit, (), insurer.unit, 3)


async def test_a_dossier_is_followed_to_its_end(intake: Intake) -> None:
    receipt = await intake.receives()
    due = at("2030-05-20 17:00")
    resumed = DossierResumed(run=1, credited_seconds=0, stage_due=due, due=due, generation=2)
    ready = ResultReady(run=1, unit=WARD)
    notice = NoticeSent(notice="1", template="received", channel="email", attempts=1)

    await intake.is_told(receipt["id"], STARTED, REQUEST, resumed, ready)
    await intake.is_told(receipt["id"], notice)
    await intake.takes(receipt["id"], door.HandOut("post"))

    dossier = await intake.dossier(receipt["id"])
    assert (dossier.status, dossier.due, dossier.supplements, dossier.notices_sent) == (
        Status.RESULT_HANDED_OVER,
        due,
        1,
        1,
    )
    assert dossier.promise.isoformat() == receipt["promise"]


async def test_a_repeated_delivery_changes_nothing(intake: Intake) -> None:
    receipt = await intake.receives()
    said = [
        heard(STARTED, subject=receipt["id"], version=1),
        heard(DossierWithdrawn(run=1), subject=receipt["id"], version=2),
    ]
    await intake.hears(*said)
    before = await every_row(intake.database)

    repeated = await intake.hears(*said, *said[::-1])

    assert repeated.repeats == 4
    assert await every_row(intake.database) == before


async def test_units_and_calendars_are_kept_in_every_version_and_once(intake: Intake) -> None:
    newer = a_unit_published(WARD, 2, name="UBND phường Quỳnh Thiện")
    await intake.hears(newer)
    before = await every_row(intake.database)

    await intake.hears(newer)

    assert await every_row(intake.database) == before
    async with intake.database.pool.acquire() as connection:
        versions = (await store.units(connection))[WARD]
    assert [(one.version, one.name) for one in versions] == [(2, "UBND phường Quỳnh Thiện"), (1, f"UBND {WARD}")]


async def test_a_second_process_knows_what_the_first_one_heard(intake: Intake, another: Intake) -> None:
    assert another.kept == Kept()

    receipt = await another.receives()

    assert receipt["promise"].endswith("+00:00")


async def test_what_a_process_keeps_gives_way_to_what_another_one_heard_or_published(
    intake: Intake, another: Intake
) -> None:
    before = await intake.receives()

    await another.publishes(a_procedure(version=0, term=Term(3, TermUnit.WORKING_DAY)))
    shorter = await intake.receives()
    await another.hears(a_unit_published(WARD, 2, valid_to=date(2018, 1, 1)))
    (closed,) = await intake.receive_all([asking()])

    assert (before["term"]["value"], shorter["term"]["value"]) == (10, 3)
    assert isinstance(closed, NotAccepted)
    assert closed.name == "unit-not-in-office"


# --- the catalogue ---------------------------------------------------------------------------------------------------


async def test_publishing_the_same_catalogue_again_changes_nothing(intake: Intake) -> None:
    given = [
        a_procedure(code, version=0, terms={Channel.ONLINE: Term(2, TermUnit.WORKING_DAY)}, fees={Channel.DESK: 8000})
        for code in ("1.000001", "1.000002")
    ]
    first = await intake.publishes(*given)
    before = await every_row(intake.database)

    again = await intake.publishes(*given[::-1])

    assert [(one.version, one.changed) for one in first] == [(1, True), (1, True)]
    assert [(one.code, one.version, one.changed) for one in again] == [("1.000002", 1, False), ("1.000001", 1, False)]
    assert await every_row(intake.database) == before


async def test_two_who_publish_the_same_catalogue_at_once_publish_it_once(intake: Intake, another: Intake) -> None:
    given = [a_procedure(f"1.0000{number:02}", version=0) for number in range(20)]

    await asyncio.gather(
        catalogue.publish_procedures(intake.database, ADMINISTRATOR, given),
        catalogue.publish_procedures(another.database, ADMINISTRATOR, given[::-1]),
    )

    assert [await intake.said(f"procedure:{one.code}") for one in given] == [["ProcedurePublished"]] * 20


async def test_a_changed_procedure_gets_the_next_version_and_old_promises_stand(intake: Intake) -> None:
    receipt = await intake.receives()

    await catalogue.publish_procedures(
        intake.database, ADMINISTRATOR, [a_procedure(version=0, term=Term(1, TermUnit.WORKING_DAY))]
    )

    dossier = await intake.dossier(receipt["id"])
    newer = await intake.dossier((await intake.receives())["id"])
    assert (dossier.procedure_version, newer.procedure_version) == (1, 2)
    assert newer.promise < dossier.promise


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("dang ky", {"1.000894", "1.000593"}),
        ("ĐĂNG KÝ", {"1.000894", "1.000593"}),
        ("luu dong", {"1.000593"}),
        ("dong luu", {"1.000593"}),
        ("100%", set()),
        ("_", set()),
        ("\\", set()),
        ("1.000894", {"1.000894"}),
    ],
)
async def test_procedures_are_found_with_and_without_tone_marks_and_case(
    intake: Intake, typed: str, found: set[str]
) -> None:
    given = [
        a_procedure("1.000894", version=0, name="Thủ tục đăng ký kết hôn"),
        a_procedure("1.000593", version=0, name="Thủ tục đăng ký kết hôn lưu động"),
    ]
    await catalogue.publish_procedures(intake.database, ADMINISTRATOR, given)

    async with intake.database.pool.acquire() as connection:
        page = await store.found_procedures(connection, typed.split(), None, 0, 10)

    assert {one.code for one in page.procedures} == found
    assert page.total == len(found)


async def test_a_page_beyond_the_last_still_says_how_many_there_are(intake: Intake) -> None:
    async with intake.database.pool.acquire() as connection:
        page = await store.found_procedures(connection, [], None, 100, 10)

    assert (page.procedures, page.total) == ((), 2)
