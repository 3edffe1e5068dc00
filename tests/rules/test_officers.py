"""Which officer may carry a stage out on which day."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from services.routing.rules.officers import appointed, not_theirs
from services.routing.values import NotTheirs, Officer
from shared.events import StageRole
from tests.builders import TOWN, WARD

AT_WARD = Officer("o-1", 1, WARD, (StageRole.DESK, StageRole.OFFICER), (), date(2018, 1, 1), None)
AT_TOWN = Officer("o-1", 2, TOWN, (StageRole.SPECIALIST,), (), date(2019, 5, 6), date(2019, 12, 31))
BOTH = (AT_TOWN, AT_WARD)


@pytest.mark.parametrize(
    ("day", "version"),
    [
        (date(2017, 12, 31), None),
        (date(2018, 1, 1), 1),
        (date(2019, 5, 5), 1),
        (date(2019, 5, 6), 2),
        (date(2019, 12, 31), 2),
        (date(2020, 1, 1), None),
    ],
)
def test_an_appointment_holds_until_a_later_one_begins_or_it_ends(day: date, version: int | None) -> None:
    found = appointed(BOTH, day)

    assert (found.version if found else None) == version


@pytest.mark.parametrize(
    ("unit", "role", "day", "theirs"),
    [
        (WARD, StageRole.DESK, date(2019, 5, 3), True),
        (WARD, None, date(2019, 5, 3), True),
        (WARD, StageRole.SPECIALIST, date(2019, 5, 3), False),
        (TOWN, StageRole.SPECIALIST, date(2019, 5, 3), False),
        (TOWN, StageRole.SPECIALIST, date(2019, 5, 6), True),
        (WARD, StageRole.DESK, date(2019, 5, 6), False),
        (TOWN, StageRole.SPECIALIST, date(2020, 1, 1), False),
    ],
)
def test_a_stage_is_an_officer_s_at_his_unit_in_his_role_on_that_day(
    unit: str, role: StageRole | None, day: date, theirs: bool
) -> None:
    answer = not_theirs(BOTH, unit, role, day)

    assert (answer is None) == theirs
    assert answer is None or (isinstance(answer, NotTheirs) and bool(answer.do))


def test_who_has_no_appointment_on_record_is_not_judged() -> None:
    assert not_theirs((), WARD, StageRole.LEADER, date(2019, 5, 6)) is None


def test_a_correction_replaces_what_it_overlaps() -> None:
    corrected = replace(AT_WARD, version=3, roles=(StageRole.LEADER,), valid_from=date(2018, 6, 1))

    found = appointed((corrected, *BOTH), date(2019, 5, 6))

    assert found == corrected
