"""The sample says of itself that it is one."""

from __future__ import annotations

import json
import re
import unicodedata

import pytest

from deploy.sample.making import make
from deploy.sample.story import TALES, Act, Tale
from deploy.sample.town import Town
from services.routing.api.forms import RouteForm, route_of
from services.routing.rules.routes import wrong_with
from shared.calendar import PER_DAY, Term, TermUnit, length_of
from shared.events import Channel
from tests.catalogues import PROCEDURES as PROCEDURES_FILE
from tests.catalogues import needs_the_procedures

TOWN = Town()
UNITS = TOWN.units
PROCEDURES = TOWN.procedures
ROUTES = {code: route_of(code, RouteForm.model_validate(body)) for code, body in TOWN.routes.items()}


def test_every_unit_is_marked_as_a_sample_and_has_a_code_of_its_own() -> None:
    assert all(one["name"].endswith("(mẫu)") and one["head"].startswith("mau-") for one in UNITS.values())
    assert list(UNITS)[:11] == [f"000.{number:02}.99.H41" for number in range(11)]
    assert [one["level"] for one in UNITS.values()] == ["town", *["commune"] * 10, *["town"] * 14, "province"]


def test_the_town_s_digits_are_a_setting_that_reaches_every_code() -> None:
    other = Town("55")

    assert not any("99" in code for code in other.units)
    assert {one["parent"] for one in other.units.values() if "parent" in one} == {"000.00.55.H41"}
    assert "99" not in json.dumps([other.routes, other.officers])
    assert "NN" not in json.dumps([other.routes, other.officers])


def test_whoever_is_above_is_published_before_whoever_is_below() -> None:
    known: set[str] = set()
    for code, unit in UNITS.items():
        assert unit.get("parent") in {None, *known}
        known.add(code)


def test_officers_are_pseudonyms_and_every_unit_has_a_head_and_somebody_who_works() -> None:
    assert all(ident.startswith("mau-") for ident in TOWN.officers)
    assert len(TOWN.officers) >= 100
    for code, unit in UNITS.items():
        there = {ident: one["roles"] for ident, one in TOWN.officers.items() if one["unit"] == code}
        assert there[unit["head"]] == ["leader"]
        assert len(there) > 2


@pytest.mark.parametrize("code", ROUTES)
def test_every_route_can_be_published_and_keeps_what_its_procedures_promise(code: str) -> None:
    terms = {
        one["code"]: min(
            length_of(Term(term["value"], TermUnit(term["unit"])))
            for term in (one["term"], *one.get("terms", {}).values())
        )
        for one in PROCEDURES
        if one.get("route") == code
    }

    assert terms
    assert wrong_with(ROUTES[code], UNITS.keys(), (), terms) is None


def test_every_stage_has_somebody_who_may_work_there() -> None:
    held = {(one["unit"], role) for one in TOWN.officers.values() for role in one["roles"]}
    places = {"receiving": "000.01.99.H41", "parent": "000.00.99.H41"}

    for route in ROUTES.values():
        for stage in route.stages:
            assert stage.role is None or (stage.unit or places[stage.place], stage.role.value) in held


def test_birth_residence_and_insurance_card_run_in_parallel_and_join_at_the_commune_s_desk() -> None:
    (procedure,) = [one for one in PROCEDURES if one["code"] == "2.000986"]
    route = ROUTES[procedure["route"]]

    steps = [[route.stages[number].name for number in step] for step in route.steps]
    assert steps == [["commune_birth"], ["town_police", "social_insurance"], ["commune_return"]]
    assert (procedure["term"], route.length) == ({"value": 20, "unit": "working_day"}, 15 * PER_DAY)


def test_every_procedure_says_where_its_term_comes_from() -> None:
    assert all(re.match("Mẫu: .{10,}", one["source"]) and len(one["source"]) <= 200 for one in PROCEDURES)
    assert len({one["code"] for one in PROCEDURES}) == len(PROCEDURES) == 291
    assert {one["level"] for one in PROCEDURES} == {"commune", "town"}


@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.name)
def test_nobody_in_a_tale_can_be_real(tale: Tale) -> None:
    assert tale.applicant.endswith("Mẫu")
    assert tale.email is None or re.search(r"@example\.(com|net|org)$", tale.email)
    assert TOWN.code(tale.unit) in UNITS
    assert tale.procedure in {one["code"] for one in PROCEDURES}


def test_the_tales_come_through_every_door_and_end_differently() -> None:
    ends = [tale.steps[-1] if tale.steps else None for tale in TALES]

    assert {tale.channel for tale in TALES} == set(Channel)
    assert {end.action["kind"] if isinstance(end, Act) else type(end).__name__ for end in ends} == {
        "HandOut", "hand_over", "request_supplement", "request_fee", "finish", "NoneType", "Withdraw",
    }  # fmt: skip


def test_a_number_without_a_unit_is_a_term_only_where_the_hand_made_table_says_which() -> None:
    bare = [one for one in PROCEDURES if re.search(r"working days \[M\]|days \[M\]", one["source"])]

    assert bare
    assert all(one["term"]["unit"] for one in PROCEDURES)


@needs_the_procedures
def test_the_sample_s_procedures_are_what_its_maker_makes_of_the_catalogue() -> None:
    made = json.loads(
        unicodedata.normalize(
            "NFC", json.dumps(make(PROCEDURES_FILE.read_bytes(), "procedures.csv"), ensure_ascii=False)
        )
    )

    assert made == PROCEDURES
