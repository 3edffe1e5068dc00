"""The sample says of itself that it is one."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from deploy.sample.story import TALES, Act, Tale
from shared.events import Channel
from tests.processes import REPOSITORY

FOLDER = REPOSITORY / "deploy" / "sample"
UNITS: list[dict[str, Any]] = json.loads((FOLDER / "units.json").read_text(encoding="utf-8"))["units"]
PROCEDURES: list[dict[str, Any]] = json.loads((FOLDER / "procedures.json").read_text(encoding="utf-8"))["procedures"]


def test_every_unit_is_marked_as_a_sample_and_has_a_code_of_its_own() -> None:
    assert all(one["name"].endswith("(mẫu)") and one["head"].startswith("mau-") for one in UNITS)
    assert [one["code"] for one in UNITS] == [f"000.{number:02}.99.H41" for number in range(11)]
    assert [one["level"] for one in UNITS] == ["town", *["commune"] * 10]


def test_every_procedure_says_where_its_term_comes_from() -> None:
    assert all(re.match("Mẫu: .{10,}", one["source"]) and len(one["source"]) <= 200 for one in PROCEDURES)
    assert len({one["code"] for one in PROCEDURES}) == len(PROCEDURES) >= 20
    assert {one["level"] for one in PROCEDURES} == {"commune", "town"}


@pytest.mark.parametrize("tale", TALES, ids=lambda tale: tale.name)
def test_nobody_in_a_tale_can_be_real(tale: Tale) -> None:
    assert tale.applicant.endswith("Mẫu")
    assert tale.email is None or re.search(r"@example\.(com|net|org)$", tale.email)
    assert tale.unit in {one["code"] for one in UNITS}
    assert tale.procedure in {one["code"] for one in PROCEDURES}


def test_the_tales_come_through_every_door_and_end_differently() -> None:
    ends = [tale.steps[-1] if tale.steps else None for tale in TALES]

    assert {tale.channel for tale in TALES} == set(Channel)
    assert {end.action["kind"] if isinstance(end, Act) else type(end).__name__ for end in ends} == {
        "HandOut", "hand_over", "request_supplement", "request_fee", "finish", "NoneType", "Withdraw",
    }  # fmt: skip
