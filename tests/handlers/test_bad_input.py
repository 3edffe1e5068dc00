"""What people and machines send by mistake or on purpose: a problem that says where and what to do, no half work."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from shared.access import Role
from shared.calendar import to_data
from tests.builders import REPLAY, WARD, a_dossier_id, a_reception_body, an_actor, command_id, dev_actor, office
from tests.handlers.doors import A_RECORD, A_UNIT, DESK, HISTORY, Desk
from tests.handlers.intake import ADMINISTRATOR, Intake, a_unit_published
from tests.handlers.routing import Routing, every_row
from tests.http.asking import problem_of

CANARY = "Kanarienvogel"


# --- bodies that are no bodies ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "name"),
    [
        (b"", 422, "invalid-field"),
        (b"{", 400, "malformed-json"),
        (b"[]", 422, "invalid-field"),
        (b"null", 422, "invalid-field"),
        (b'"text"', 422, "invalid-field"),
        (b"\xff\xfe", 400, "malformed-json"),
        (b'{"unit": NaN}', 400, "malformed-json"),
        (b'{"unit": "a", "unit": "b"}', 400, "duplicate-key"),
        (b"[" * 40 + b"]" * 40, 400, "too-deep"),
        (b'{"unit": "\\ud800"}', 400, "text-not-acceptable"),
        (b'{"applicant": {"name": "a\\u0000b"}}', 400, "text-not-acceptable"),
        (json.dumps({"applicant": {"name": "Nguye\u0302\u0303n"}}).encode(), 400, "text-not-acceptable"),
        (b'{"unit": "' + b"x" * (30 * 1024 * 1024) + b'"}', 413, "too-large"),
    ],
    ids=lambda value: str(value)[:24] if isinstance(value, bytes) else None,
)
async def test_a_body_that_is_none_is_refused_before_anything_is_stored(
    intake: Intake, desk: Desk, body: bytes, status: int, name: str
) -> None:
    before = await every_row(intake.database)

    response = await desk.client.post(
        "/intake/dossiers",
        content=body,
        headers=dev_actor(DESK) | command_id() | {"Content-Type": "application/json"},
    )

    problem = problem_of(response)
    assert (response.status_code, problem["type"]) == (status, f"/problems/{name}")
    assert await every_row(intake.database) == before


@pytest.mark.parametrize(
    ("changes", "field", "name"),
    [
        ({"colour": "red"}, "/colour", "invalid-field"),
        ({"applicant": {"name": "A", "salary": 1}}, "/applicant/salary", "invalid-field"),
        ({"unit": 7}, "/unit", "invalid-field"),
        ({"unit": "000.77.99.H41"}, "/unit", "unknown-unit"),
        ({"unit": REPLAY}, "/unit", "replay-unit"),
        ({"procedure": "9.999999"}, "/procedure", "unknown-procedure"),
        ({"procedure": "x" * 33}, "/procedure", "invalid-field"),
        ({"channel": "pigeon"}, "/channel", "invalid-field"),
        ({"applicant": {"name": " "}}, "/applicant/name", "invalid-field"),
        ({"applicant": {"name": "A\u202eB"}}, "/applicant/name", "invalid-field"),
        ({"applicant": {"name": CANARY, "id_number": CANARY}}, "/applicant/id_number", "invalid-field"),
        ({"contact": {"email": f"{CANARY} <x@example.vn>"}}, "/contact/email", "invalid-field"),
        ({"contact": {"email": "x\u0007@example.vn"}}, "/contact/email", "invalid-field"),
        ({"contact": {"phone": "call me"}}, "/contact/phone", "invalid-field"),
        ({"components": ["x"] * 101}, "/components", "invalid-field"),
    ],
)
async def test_a_field_that_cannot_be_is_named_with_what_to_do_and_without_what_was_sent(
    intake: Intake, desk: Desk, changes: dict[str, Any], field: str, name: str
) -> None:
    # the replay unit and a unit that does not exist are nobody's own: access would refuse a desk before the rules do
    unit = changes.get("unit", WARD)
    actor = an_actor(Role.DESK, unit=unit if isinstance(unit, str) else WARD, ident="desk-1")
    before = await every_row(intake.database)

    response = await Desk(desk.client, actor).posts("/intake/dossiers", a_reception_body(**changes))

    problem = problem_of(response)
    assert (response.status_code, problem["field"], problem["type"]) == (422, field, f"/problems/{name}")
    assert CANARY not in response.text
    assert await every_row(intake.database) == before


@pytest.mark.parametrize(
    "received",
    [
        "0001-01-01T00:00:00+07:00",
        "9999-12-31T23:59:59-07:00",
        "2100-01-01T00:00:00+07:00",
        "2019-05-06T08:00:00",
        "2019-13-06T08:00:00+07:00",
        "6 May 2019",
        0,
        True,
        None,
        "",
    ],
)
async def test_a_time_that_cannot_be_is_refused(intake: Intake, desk: Desk, received: object) -> None:
    before = await every_row(intake.database)
    history = Desk(desk.client, HISTORY)

    response = await history.posts("/intake/dossiers", a_reception_body(record={**A_RECORD, "received": received}))

    assert response.status_code == 422
    assert problem_of(response)["field"] == "/record/received"
    assert await every_row(intake.database) == before


async def test_a_command_without_an_id_is_refused(intake: Intake, desk: Desk, officer: Desk) -> None:
    without = dev_actor(DESK)
    receipt = (await desk.posts("/intake/dossiers", a_reception_body())).json()
    responses = [
        await desk.client.post("/intake/dossiers", json=a_reception_body(), headers=without),
        await desk.client.post(f"/intake/dossiers/{receipt['code']}/withdrawal", headers=without),
        await officer.client.post(
            f"/routing/dossiers/{receipt['id']}/commands",
            json={"seen": 1, "action": {"kind": "hand_over"}},
            headers=without,
        ),
    ]

    for response in responses:
        problem = problem_of(response)
        assert (response.status_code, problem["field"]) == (400, "Idempotency-Key")


async def test_the_same_key_with_another_body_does_nothing(intake: Intake, desk: Desk) -> None:
    first = await desk.posts("/intake/dossiers", a_reception_body(), key="key-1")
    before = await every_row(intake.database)

    again = await desk.posts("/intake/dossiers", a_reception_body(), key="key-1")
    other = await desk.posts("/intake/dossiers", a_reception_body(channel="post"), key="key-1")

    assert (first.status_code, again.status_code, other.status_code) == (201, 201, 409)
    assert again.json() == first.json()
    assert (first.headers.get("Idempotent-Replayed"), again.headers["Idempotent-Replayed"]) == (None, "true")
    assert problem_of(other)["field"] == "Idempotency-Key"
    assert await every_row(intake.database) == before


async def test_what_does_not_fit_the_status_says_what_to_do(desk: Desk) -> None:
    receipt = (await desk.posts("/intake/dossiers", a_reception_body())).json()
    door = f"/intake/dossiers/{receipt['code']}"

    responses = [
        await desk.posts(f"{door}/supplement", {"components": ["cmnd"]}),
        await desk.posts(f"{door}/result", {}),
    ]
    unknown_field = await desk.posts(f"{door}/withdrawal", {"because": "I want to"})
    bad_way = await desk.posts(f"{door}/result", {"way": "pigeon"})

    assert [(one.status_code, problem_of(one)["type"]) for one in responses] == [(409, "/problems/not-now")] * 2
    assert (unknown_field.status_code, problem_of(unknown_field)["field"]) == (422, "/because")
    assert (bad_way.status_code, problem_of(bad_way)["field"]) == (422, "/way")


@pytest.mark.parametrize("code", ["000.01.99.H41-190506-0001", "x" * 65, "a b", "..", "%ED%A0%80", "a%00b"])
async def test_a_dossier_that_is_not_there_is_a_problem(desk: Desk, code: str) -> None:
    response = await desk.gets(f"/intake/dossiers/{code}")

    assert response.status_code in {400, 404, 422}
    assert problem_of(response)["do"]


async def test_a_procedure_that_cannot_be_is_not_published_and_neither_are_those_beside_it(
    intake: Intake, desk: Desk
) -> None:
    administrator = Desk(desk.client, ADMINISTRATOR)
    good = {
        "code": "1.000001",
        "name": "Thủ tục",
        "sector": "Hộ tịch",
        "level": "commune",
        "term": {"value": 5, "unit": "working_day"},
        "source": "tests",
    }
    before = await every_row(intake.database)

    bad_term = await administrator.puts(
        "/intake/procedures", {"procedures": [good, {**good, "code": "2", "term": {"value": 0, "unit": "hour"}}]}
    )
    twice = await administrator.puts("/intake/procedures", {"procedures": [good, good]})
    by_desk = await desk.puts("/intake/procedures", {"procedures": [good]})

    assert (bad_term.status_code, problem_of(bad_term)["field"]) == (422, "/procedures/1/term")
    assert (twice.status_code, problem_of(twice)["field"]) == (422, "/procedures")
    assert by_desk.status_code == 403
    assert await every_row(intake.database) == before


async def test_a_calendar_that_is_still_on_its_way_is_a_matter_of_trying_again(intake: Intake, desk: Desk) -> None:
    await intake.hears(a_unit_published("000.07.99.H41", calendar="not-here-yet"))
    there = Desk(desk.client, an_actor(Role.DESK, unit="000.07.99.H41"))

    response = await there.posts("/intake/dossiers", a_reception_body(unit="000.07.99.H41"))

    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert problem_of(response)["type"] == "/problems/no-calendar"


async def test_a_browser_that_meets_a_problem_reads_it_in_vietnamese(desk: Desk) -> None:
    response = await desk.client.get(
        "/intake/dossiers/000.01.99.H41-190506-0001", headers=dev_actor(DESK) | {"Accept": "text/html"}
    )

    assert response.status_code == 404
    assert 'lang="vi"' in response.text


# --- routing ---------------------------------------------------------------------------------------------------------


A_STEP = {"kind": "record_step", "stage": "x", "unit": "u", "at": A_RECORD["received"]}


@pytest.mark.parametrize(
    ("action", "field"),
    [
        ({"kind": "fly"}, "/action"),
        ({"kind": "hand_over", "officer": "Nguyễn Văn A"}, "/action/hand_over/officer"),
        ({"kind": "send_back"}, "/action/send_back/reason"),
        ({"kind": "send_back", "reason": "Because I say so"}, "/action/send_back/reason"),
        ({"kind": "request_fee", "amount_vnd": 0, "reason": "fee"}, "/action/request_fee/amount_vnd"),
        (
            {"kind": "request_supplement", "components": ["a b"], "reason": "x"},
            "/action/request_supplement/components/0",
        ),
        ({"kind": "resume", "seen": 1}, "/action/resume/seen"),
        (
            {"kind": "record_step", "stage": "x" * 121, "unit": "u", "at": A_RECORD["received"]},
            "/action/record_step/stage",
        ),
        ({**A_STEP, "at": "0001-01-01T00:00:00Z"}, "/action/record_step/at"),
        (
            {"kind": "record_step", "stage": "x", "unit": "u" * 33, "at": A_RECORD["received"]},
            "/action/record_step/unit",
        ),
        ("hand_over", "/action"),
        (None, "/action"),
    ],
)
async def test_an_action_that_cannot_be_names_its_field_and_does_nothing(
    routing: Routing, officer: Desk, action: object, field: str
) -> None:
    dossier = await routing.receives()
    before = await routing.everything()

    response = await officer.posts(f"/routing/dossiers/{dossier}/commands", {"seen": 1, "action": action})

    assert (response.status_code, problem_of(response)["field"]) == (422, field)
    assert await routing.everything() == before


async def test_a_command_is_refused_with_the_version_and_what_happened_since(routing: Routing, officer: Desk) -> None:
    dossier = await routing.receives()
    path = f"/routing/dossiers/{dossier}/commands"
    hand_over = {"action": {"kind": "hand_over"}}
    done = await officer.posts(path, {"seen": 1, **hand_over}, key="key-1")

    again = await officer.posts(path, {"seen": 1, **hand_over}, key="key-1")
    stale = await officer.posts(path, {"seen": 1, **hand_over})
    unseen = await officer.posts(path, hand_over)
    reused = await officer.posts(path, {"seen": 3, "action": {"kind": "finish"}}, key="key-1")
    unfit = await officer.posts(path, {"seen": 3, "action": {"kind": "finish"}})

    assert (done.status_code, again.json()) == (200, done.json())
    problem = problem_of(stale)
    assert (stale.status_code, problem["version"], [one["type"] for one in problem["since"]]) == (
        409,
        3,
        ["HandedOver", "StageStarted"],
    )
    assert (unseen.status_code, problem_of(unseen)["field"]) == (422, "/seen")
    assert (reused.status_code, problem_of(reused)["field"]) == (409, "Idempotency-Key")
    assert (unfit.status_code, problem_of(unfit)["reason"]) == (409, "not_last_stage")


async def test_a_bulk_says_of_each_command_what_became_of_it(routing: Routing, officer: Desk) -> None:
    dossier, unknown = await routing.receives(), a_dossier_id()
    commands = [
        {"id": "1", "dossier": dossier, "seen": 1, "action": {"kind": "hand_over"}},
        {"id": "2", "dossier": unknown, "seen": 1, "action": {"kind": "hand_over"}},
    ]

    response = await officer.client.post("/routing/commands", json={"commands": commands}, headers=dev_actor(DESK))

    first, second = response.json()["outcomes"]
    assert (first["done"], first["answer"]["stage"]) == (True, "commune_officer")
    assert (second["done"], second["problem"]["status"], second["problem"]["type"]) == (
        False,
        404,
        "/problems/unknown-dossier",
    )


@pytest.mark.parametrize("count", [0, 501])
async def test_a_bulk_has_one_to_five_hundred_commands(officer: Desk, count: int) -> None:
    command = {"id": "1", "dossier": a_dossier_id(), "seen": 1, "action": {"kind": "finish"}}

    response = await officer.posts("/routing/commands", {"commands": [command] * count})

    assert (response.status_code, problem_of(response)["field"]) == (422, "/commands")


async def test_a_worklist_goes_on_where_its_last_page_ended(routing: Routing, officer: Desk) -> None:
    dossiers = [await routing.receives() for _ in range(5)]

    first = (await officer.gets("/routing/worklist", unit=WARD, count=3)).json()
    second = (await officer.gets("/routing/worklist", unit=WARD, count=3, after=first["next"])).json()
    nonsense = await officer.gets("/routing/worklist", unit=WARD, after="page 2")

    assert [one["dossier"] for one in (*first["worklist"], *second["worklist"])] == dossiers
    assert second["next"] is None
    assert (nonsense.status_code, problem_of(nonsense)["field"]) == (422, "after")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"valid_from": "0001-01-01"}, "/valid_from"),
        ({"valid_from": "9999-12-31"}, "/valid_from"),
        ({"valid_from": 0}, "/valid_from"),
        ({"valid_to": "2013-06-02"}, "/valid_to"),
        ({"parent": "000.55.99.H41"}, "/parent"),
        ({"calendar": "no-such"}, "/calendar"),
        ({"level": "moon"}, "/level"),
        ({"head": "Nguyễn Văn A"}, "/head"),
        ({"colour": "red"}, "/colour"),
    ],
)
async def test_a_unit_that_cannot_be_is_not_published(
    routing: Routing, officer: Desk, changes: dict[str, Any], field: str
) -> None:
    before = await routing.everything()

    response = await Desk(officer.client, ADMINISTRATOR).puts("/routing/units/000.07.99.H41", {**A_UNIT, **changes})

    assert (response.status_code, problem_of(response)["field"]) == (422, field)
    assert await routing.everything() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"zone": "Moon/Tranquility"}, "/data/zone"),
        ({"week": {}}, "/data/week"),
        ({"known_until": "2015-01-01"}, "/data/known_until"),
        ({"colour": "red"}, "/data/calendar"),
        (
            {
                "days_off": [(date(1900, 1, 1) + timedelta(days=day)).isoformat() for day in range(78_000)],
                "worked_days": {},
                "known_from": "1900-01-01",
                "known_until": "2200-12-31",
            },
            "/data/days_off",
        ),
    ],
    ids=lambda value: str(value)[:24],
)
async def test_a_calendar_that_cannot_be_is_not_published(
    routing: Routing, officer: Desk, changes: dict[str, Any], field: str
) -> None:
    before = await routing.everything()

    response = await Desk(officer.client, ADMINISTRATOR).puts(
        "/routing/calendars/desk", {"data": {**to_data(office()), **changes}}
    )

    assert (response.status_code, problem_of(response)["field"]) == (422, field)
    assert await routing.everything() == before
