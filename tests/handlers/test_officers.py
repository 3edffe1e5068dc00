"""Officers on real PostgreSQL: appointed version by version, found by unit and day, held to their unit and role."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from services.routing.handlers import Done, NotDone, NotPublished, Published, appoint_officer
from services.routing.values import HandOver, Officer
from shared.access import Role
from shared.events import StageRole
from tests.builders import TOWN, WARD, an_actor
from tests.handlers.doors import A_UNIT, AN_OFFICER, Desk
from tests.handlers.routing import ADMINISTRATOR, Routing, a_command
from tests.http.asking import problem_of

AT_DESK = Officer("ward-desk", 0, WARD, (StageRole.DESK,), (), date(2013, 6, 3), None)


@pytest.fixture
def administrator(officer: Desk) -> Desk:
    """The administrator, at the same door."""
    return Desk(officer.client, ADMINISTRATOR)


# --- appointing ------------------------------------------------------------------------------------------------------


async def test_the_same_appointment_again_keeps_its_version_and_a_change_makes_the_next(routing: Routing) -> None:
    first = await appoint_officer(routing.database, AT_DESK)
    same = await appoint_officer(routing.database, AT_DESK)
    moved = await appoint_officer(routing.database, replace(AT_DESK, unit=TOWN, valid_from=date(2019, 5, 6)))

    assert (first, same, moved) == (Published(1), Published(1), Published(2))


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"unit": "000.55.99.H41"}, "unit"), ({"valid_to": date(2013, 6, 2)}, "valid_to")],
)
async def test_an_appointment_that_cannot_be_leaves_nothing_behind(
    routing: Routing, changes: dict[str, Any], field: str
) -> None:
    before = await routing.everything()

    refused = await appoint_officer(routing.database, replace(AT_DESK, **changes))

    assert isinstance(refused, NotPublished)
    assert (refused.field, bool(refused.detail), bool(refused.do)) == (field, True, True)
    assert await routing.everything() == before


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"roles": []}, "/roles"),
        ({"roles": ["king"]}, "/roles/0"),
        ({"unit": "no such"}, "/unit"),
        ({"valid_from": "yesterday"}, "/valid_from"),
        ({"name": "Nguyễn Văn A"}, "/name"),
    ],
)
async def test_what_is_no_appointment_is_refused_with_its_field(
    routing: Routing, administrator: Desk, changes: dict[str, Any], field: str
) -> None:
    refused = await administrator.puts("/routing/officers/officer-9", {**AN_OFFICER, **changes})

    assert (refused.status_code, problem_of(refused)["field"]) == (422, field)


async def test_officers_are_found_by_unit_and_day(routing: Routing, administrator: Desk) -> None:
    await administrator.puts("/routing/officers/officer-9", AN_OFFICER)
    await administrator.puts(
        "/routing/officers/officer-9",
        {**AN_OFFICER, "unit": TOWN, "roles": ["leader", "specialist"], "valid_from": "2019-05-06"},
    )

    async def at(**parameters: str) -> list[tuple[str, list[str]]]:
        answer = await administrator.gets("/routing/officers", **parameters)
        return [(one["id"], one["roles"]) for one in answer.json()["officers"]]

    assert await at(unit=WARD, on="2019-05-05") == [("officer-9", ["officer"])]
    assert await at(unit=TOWN, on="2019-05-05") == []
    assert await at(unit=TOWN, on="2019-05-06") == [("officer-9", ["specialist", "leader"])]
    assert await at(unit=WARD) == []
    assert await at() == [("officer-9", ["specialist", "leader"])]
    assert await at(on="2017-12-31") == []


async def test_officers_are_the_administrator_s_to_appoint_and_each_unit_s_to_see(officer: Desk) -> None:
    citizen = Desk(officer.client, an_actor(Role.CITIZEN, unit=None))

    appointed = await officer.puts("/routing/officers/officer-9", AN_OFFICER)
    seen = await officer.gets("/routing/officers", unit=WARD)
    not_seen = [await officer.gets("/routing/officers"), await citizen.gets("/routing/officers", unit=WARD)]

    assert (appointed.status_code, seen.status_code) == (403, 200)
    assert [one.status_code for one in not_seen] == [403, 403]


async def test_a_head_ends_on_the_day_before_the_next_one_begins(routing: Routing, administrator: Desk) -> None:
    for head, since in (("first", "2013-06-03"), ("third", "2020-01-01"), ("second", "2018-03-01")):
        await administrator.puts("/routing/units/000.07.99.H41", {**A_UNIT, "head": head, "valid_from": since})

    units = (await administrator.gets("/routing/units")).json()["units"]

    assert next(one["heads"] for one in units if one["code"] == "000.07.99.H41") == [
        {"officer": "first", "valid_from": "2013-06-03", "valid_to": "2018-02-28"},
        {"officer": "second", "valid_from": "2018-03-01", "valid_to": "2019-12-31"},
        {"officer": "third", "valid_from": "2020-01-01", "valid_to": None},
    ]


# --- acting ----------------------------------------------------------------------------------------------------------


async def test_a_known_officer_acts_in_his_own_role_only(routing: Routing) -> None:
    await appoint_officer(routing.database, AT_DESK)
    dossier = await routing.receives()
    # The header claims more than the appointment gives.
    actor = an_actor(Role.DESK, Role.OFFICER, ident="ward-desk")

    (at_desk,) = await routing.acts(a_command(dossier, HandOver(), 1), actor=actor)
    (at_officer,) = await routing.acts(a_command(dossier, HandOver(), 3), actor=actor)

    assert isinstance(at_desk, Done)
    assert isinstance(at_officer, NotDone)
    assert (at_officer.code, "officer" in at_officer.do) == ("denied", True)


async def test_a_known_officer_of_another_unit_does_not_act_whatever_the_header_says(routing: Routing) -> None:
    await appoint_officer(routing.database, replace(AT_DESK, unit=TOWN))
    dossier = await routing.receives()

    (refused,) = await routing.acts(
        a_command(dossier, HandOver(), 1), actor=an_actor(Role.DESK, Role.OFFICER, ident="ward-desk")
    )

    assert isinstance(refused, NotDone)
    assert (refused.code, TOWN in refused.do) == ("denied", True)


async def test_a_dossier_is_handed_to_a_known_officer_only_where_he_serves(routing: Routing) -> None:
    await appoint_officer(routing.database, AT_DESK)
    dossier = await routing.receives()
    before = await routing.everything()

    (refused,) = await routing.acts(a_command(dossier, HandOver("ward-desk"), 1))
    unchanged = await routing.everything()
    (taken,) = await routing.acts(a_command(dossier, HandOver("somebody-unknown"), 1))

    assert isinstance(refused, NotDone)
    assert (refused.code, refused.reason) == ("refused", "receiver_not_there")
    assert unchanged == before
    assert isinstance(taken, Done)
