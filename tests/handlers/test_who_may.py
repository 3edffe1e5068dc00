"""Who may hand in, see, move and publish what, as intake and routing answer over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from services.routing.values import HandOver
from shared.access import Role
from shared.calendar import to_data
from shared.events import ResultReady, StageStarted
from tests.builders import TOWN, WARD, a_reception_body, an_actor, command_id, office
from tests.handlers.doors import A_RECORD, A_UNIT, DESK, HISTORY, Desk
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing, every_row
from tests.http.asking import problem_of

CANARY = "Kanarienvogel"
OTHER_DESK = an_actor(Role.DESK, unit="000.02.99.H41", ident="desk-2")
CITIZEN = an_actor(Role.CITIZEN, unit=None, ident="citizen-1")
OTHER_CITIZEN = an_actor(Role.CITIZEN, unit=None, ident="citizen-2")
PORTAL = an_actor(Role.PORTAL, unit=None, ident="portal")


async def test_nobody_at_all_and_somebody_from_elsewhere_are_told_so(desk: Desk, officer: Desk) -> None:
    nobody = await desk.client.post("/intake/dossiers", json=a_reception_body(), headers=command_id())
    nameless = await officer.client.get("/routing/worklist", params={"unit": WARD})

    assert (problem_of(nobody)["field"], nobody.status_code) == ("X-Dev-Actor", 401)
    assert nameless.status_code == 401


@pytest.mark.parametrize(
    ("actor", "changes", "status"),
    [
        (DESK, {}, 201),
        (OTHER_DESK, {}, 403),
        (an_actor(Role.OFFICER), {}, 403),
        (an_actor(Role.LEADER, Role.INSPECTOR, Role.OPERATOR, Role.ADMINISTRATOR), {}, 403),
        (CITIZEN, {"channel": "online"}, 201),
        (CITIZEN, {"channel": "desk"}, 422),
        (PORTAL, {"channel": "online"}, 201),
        (PORTAL, {"channel": "desk"}, 422),
        (DESK, {"record": A_RECORD}, 403),
        (CITIZEN, {"record": A_RECORD}, 403),
        (HISTORY, {"record": A_RECORD}, 201),
        (HISTORY, {}, 403),
        (an_actor(Role.HISTORY, Role.OFFICER, unit=WARD), {}, 403),
        (an_actor(Role.HISTORY, Role.DESK, unit=WARD), {}, 201),
    ],
)
async def test_who_may_hand_a_dossier_in(
    intake: Intake, desk: Desk, actor: Any, changes: dict[str, Any], status: int
) -> None:
    before = await every_row(intake.database)

    response = await Desk(desk.client, actor).posts("/intake/dossiers", a_reception_body(**changes))

    assert response.status_code == status
    if status != 201:
        assert problem_of(response)["do"]
        assert await every_row(intake.database) == before


async def test_a_dossier_is_found_by_its_printed_code_and_by_its_stream_id(desk: Desk) -> None:
    receipt = (await desk.posts("/intake/dossiers", a_reception_body())).json()

    by_code = await desk.gets(f"/intake/dossiers/{receipt['code']}")
    by_id = await desk.gets(f"/intake/dossiers/{receipt['id']}")

    assert by_code.status_code == by_id.status_code == 200
    assert by_code.json() == by_id.json()
    assert by_code.json()["applicant"] == {"name": "Nguyễn Thị Bình", "business": False}
    assert (by_code.json()["status"], by_code.json()["at_unit"]) == (2, WARD)


@pytest.mark.parametrize(
    ("actor", "status"),
    [
        (DESK, 200),
        (an_actor(Role.LEADER), 200),
        (an_actor(Role.INSPECTOR, unit=None), 200),
        (PORTAL, 200),
        (OTHER_DESK, 403),
        (HISTORY, 403),
        (an_actor(Role.OPERATOR, Role.ADMINISTRATOR), 403),
        (OTHER_CITIZEN, 404),
        (an_actor(Role.CITIZEN, unit=WARD, ident="citizen-3"), 404),
        (an_actor(Role.CITIZEN, Role.DESK, ident="desk-9"), 200),
    ],
)
async def test_who_may_see_a_dossier_and_whose_it_is(desk: Desk, actor: Any, status: int) -> None:
    receipt = (await desk.posts("/intake/dossiers", a_reception_body(applicant={"name": CANARY}))).json()

    response = await Desk(desk.client, actor).gets(f"/intake/dossiers/{receipt['code']}")

    assert response.status_code == status
    assert (CANARY in response.text) == (status == 200)


async def test_a_citizen_has_a_hand_in_what_they_handed_in_and_does_not_learn_of_the_rest(
    intake: Intake, desk: Desk
) -> None:
    """Printed codes can be guessed: unit, date, number."""
    citizen, stranger = Desk(desk.client, CITIZEN), Desk(desk.client, OTHER_CITIZEN)
    receipt = (await citizen.posts("/intake/dossiers", a_reception_body(channel="online"))).json()
    door = f"/intake/dossiers/{receipt['code']}"

    seen = await citizen.gets(door)
    refused = [
        await stranger.gets(door),
        await stranger.posts(f"{door}/withdrawal"),
        await stranger.posts(f"{door}/supplement", {"components": []}),
    ]
    absent = await stranger.gets(f"/intake/dossiers/{WARD}-190506-0001")
    own_result = await citizen.posts(f"{door}/result", {"way": "desk"})
    withdrawn = await citizen.posts(f"{door}/withdrawal")

    assert seen.json()["applicant"]["name"] == "Nguyễn Thị Bình"
    assert [one.status_code for one in refused] == [404, 404, 404]
    assert {one.text for one in refused} == {absent.text}
    assert own_result.status_code == 403
    assert (withdrawn.status_code, withdrawn.json()["requested"]) == (200, "withdrawal")
    assert await intake.said(receipt["id"]) == ["DossierReceived", "WithdrawalRequested"]


async def test_who_holds_one_of_several_open_stages_sees_whose_dossier_it_is(intake: Intake, desk: Desk) -> None:
    police, insurer = "000.62.99.H41", "000.63.99.H41"
    receipt = await intake.receives()
    await intake.is_told(
        receipt["id"],
        StageStarted(stage="town_police", run=2, unit=police, beside=(3,)),
        StageStarted(stage="social_insurance", run=3, unit=insurer, beside=(2,)),
    )

    seen = [
        await Desk(desk.client, an_actor(Role.SPECIALIST, unit=unit)).gets(f"/intake/dossiers/{receipt['id']}")
        for unit in (police, insurer, TOWN)
    ]

    assert [one.status_code for one in seen] == [200, 200, 403]


@pytest.mark.parametrize(("unit", "status"), [(WARD, 200), (TOWN, 200), ("000.02.99.H41", 403)])
async def test_a_result_is_handed_over_where_the_dossier_came_in_or_where_it_lies(
    intake: Intake, desk: Desk, unit: str, status: int
) -> None:
    receipt = await intake.receives()
    await intake.is_told(receipt["id"], StageStarted(stage="town", run=1, unit=TOWN), ResultReady(run=1, unit=TOWN))

    handed = await Desk(desk.client, an_actor(Role.DESK, unit=unit)).posts(
        f"/intake/dossiers/{receipt['code']}/result", {"way": "desk"}
    )

    assert handed.status_code == status


async def test_the_role_history_has_a_hand_in_records_only(desk: Desk) -> None:
    history = Desk(desk.client, HISTORY)
    record = (await history.posts("/intake/dossiers", a_reception_body(record=A_RECORD))).json()
    live = (await desk.posts("/intake/dossiers", a_reception_body())).json()

    seen = await history.gets(f"/intake/dossiers/{record['code']}")
    touched = await history.posts(f"/intake/dossiers/{live['code']}/withdrawal")

    assert (seen.status_code, seen.json()["origin"], record["code"]) == (200, "old-books", f"{WARD}-190506-0001")
    assert touched.status_code == 403


# --- routing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("actor", "look", "act"),
    [
        (an_actor(Role.OFFICER), 200, 200),
        (an_actor(Role.LEADER), 200, 200),
        (an_actor(Role.INSPECTOR, unit=None), 200, 403),
        (an_actor(Role.OFFICER, unit=TOWN), 403, 403),
        (an_actor(Role.CITIZEN, unit=WARD), 403, 403),
        (PORTAL, 403, 403),
        (HISTORY, 403, 403),
    ],
)
async def test_who_may_look_at_a_journey_and_who_may_move_it(
    routing: Routing, officer: Desk, actor: Any, look: int, act: int
) -> None:
    dossier = await routing.receives()
    there = Desk(officer.client, actor)

    looked = await there.gets(f"/routing/dossiers/{dossier}")
    listed = await there.gets("/routing/worklist", unit=WARD)
    acted = await there.posts(f"/routing/dossiers/{dossier}/commands", {"seen": 1, "action": {"kind": "hand_over"}})

    assert (looked.status_code, listed.status_code, acted.status_code) == (look, look, act)


async def test_the_unit_where_it_came_in_follows_it_to_the_town(routing: Routing, officer: Desk) -> None:
    dossier = await routing.receives()
    await routing.does(dossier, HandOver(), HandOver())

    seen = await officer.gets(f"/routing/dossiers/{dossier}")
    moved = await officer.posts(f"/routing/dossiers/{dossier}/commands", {"seen": 5, "action": {"kind": "hand_over"}})

    assert (seen.status_code, seen.json()["unit"], len(seen.json()["ledger"])) == (200, TOWN, 5)
    assert moved.status_code == 403


@pytest.mark.parametrize("run", [None, 1, 2**31 - 1])
async def test_a_command_that_comes_to_nothing_tells_a_stranger_nothing(
    routing: Routing, officer: Desk, run: int | None
) -> None:
    dossier = await routing.receives()
    stranger, command = an_actor(Role.OFFICER, unit=TOWN), {"seen": 0, "run": run, "action": {"kind": "hand_over"}}

    told = await Desk(officer.client, stranger).posts(f"/routing/dossiers/{dossier}/commands", command)
    own = await officer.posts(f"/routing/dossiers/{dossier}/commands", command)

    assert (told.status_code, "since" in told.json(), WARD in told.text) == (403, False, False)
    assert (own.status_code, "since" in own.json()) == (409, True)


async def test_a_version_that_no_dossier_can_have_is_refused(routing: Routing, officer: Desk) -> None:
    """A timestamp, sent in its place."""
    dossier = await routing.receives()

    refused = await officer.posts(
        f"/routing/dossiers/{dossier}/commands", {"seen": 1764367200000, "action": {"kind": "hand_over"}}
    )

    assert (refused.status_code, problem_of(refused)["field"]) == (422, "/seen")


async def test_units_and_calendars_are_the_administrator_s(officer: Desk) -> None:
    unit = await officer.puts("/routing/units/000.07.99.H41", A_UNIT)
    calendar = await officer.puts("/routing/calendars/desk", {"data": to_data(office())})

    assert (unit.status_code, calendar.status_code) == (403, 403)
