"""A calendar as JSON: nothing is lost on the way, and what is wrong is named."""

import copy
import json
from datetime import date
from multiprocessing.reduction import ForkingPickler
from typing import Any

import pytest

from deploy.sample.calendars import DESK_WEEK, OFFICE, amsterdam_calendar, vietnam_calendar
from shared.calendar import CalendarError, Season, WorkingCalendar, from_data, hours, to_data, week_of

SEASONAL = WorkingCalendar(
    code="SEASONAL",
    version=3,
    zone="Asia/Ho_Chi_Minh",
    week=week_of(OFFICE),
    known_from=date(2018, 1, 1),
    known_until=date(2018, 12, 31),
    seasons=(Season(date(2018, 4, 16), date(2018, 10, 15), week_of(hours(("07:00:30", "11:30")))),),
)


@pytest.mark.parametrize(
    "calendar",
    [
        vietnam_calendar(),
        vietnam_calendar("DESK", week=DESK_WEEK),
        amsterdam_calendar(first_year=2010, last_year=2012),
        SEASONAL,
    ],
    ids=lambda calendar: calendar.code,
)
def test_a_calendar_comes_back_as_it_went(calendar: WorkingCalendar) -> None:
    wire = json.dumps(to_data(calendar))

    assert from_data(json.loads(wire)) == calendar
    assert json.dumps(to_data(from_data(json.loads(wire)))) == wire


def test_a_calendar_can_be_a_key_and_go_to_another_process() -> None:
    calendar = vietnam_calendar()
    calendar.is_working_day(date(2018, 1, 1))

    assert {calendar: 1}[vietnam_calendar()] == 1
    assert ForkingPickler.loads(ForkingPickler.dumps(calendar)) == calendar


def test_versions_differ() -> None:
    assert vietnam_calendar(version=1) != vietnam_calendar(version=2)


@pytest.mark.parametrize(
    ("place", "value", "field"),
    [
        (("week", "1"), [["07:30", "11:30"], ["11:00", "17:00"]], "week.1"),
        (("week", "1"), [["13:30", "17:00"], ["07:30", "11:30"]], "week.1"),
        (("week", "2"), [["11:30", "07:30"]], "week.2"),
        (("week", "2"), [["07:30", "07:30"]], "week.2"),
        (("week", "2"), [["07:30"]], "week.2"),
        (("week", "2"), [["7:30", "11:30"]], "week.2"),
        (("week", "2"), [["07:30Z", "11:30"]], "week.2"),
        (("week", "2"), [["07:30", "24:00"]], "week.2"),
        (("week", "2"), [[730, 1130]], "week.2"),
        (("week", "2"), None, "week.2"),
        (("week",), {str(i): [] for i in range(1, 8)}, "week"),
        (("week",), {"1": []}, "week"),
        (("zone",), "Asia/Vinh", "zone"),
        (("zone",), "../../etc/passwd", "zone"),
        (("zone",), "Asia", "zone"),
        (("zone",), "", "zone"),
        (("zone",), 7, "zone"),
        (("code",), "", "code"),
        (("version",), 0, "version"),
        (("version",), True, "version"),
        (("version",), 1.5, "version"),
        (("days_off",), ["2018-02-30"], "days_off.0"),
        (("days_off",), ["2018-01-01", "2018-01-01"], "days_off"),
        (("days_off",), ["20180101"], "days_off.0"),
        (("days_off",), ["2017-12-31"], "days_off.2017-12-31"),
        (("days_off",), "2018-01-01", "days_off"),
        (("worked_days",), {"2018-01-06": []}, "worked_days.2018-01-06"),
        (("worked_days",), {"2018-04-30": [["07:30", "11:30"]]}, "worked_days.2018-04-30"),
        (("worked_days",), {"2019-01-05": [["07:30", "11:30"]]}, "worked_days.2019-01-05"),
        (("known_from",), "1899-12-31", "known_from"),
        (("known_until",), "2201-01-01", "known_until"),
        (("known_until",), "2017-12-31", "known_until"),
        (("seasons",), [{"first": "2018-02-01", "last": "2018-01-01", "week": None}], "seasons.0.week"),
        (("seasons",), [{"first": "2018-02-01"}], "seasons.0"),
    ],
)
def test_what_is_wrong_with_a_calendar_is_named(place: tuple[str, ...], value: Any, field: str) -> None:
    data = copy.deepcopy(to_data(SEASONAL)) | {"days_off": ["2018-04-30"]}
    within = data
    for name in place[:-1]:
        within = within[name]
    within[place[-1]] = value

    with pytest.raises(CalendarError) as wrong:
        from_data(data)

    assert wrong.value.field == field


@pytest.mark.parametrize("data", [None, [], "VN", 7, {}, {"code": "VN"}])
def test_what_is_no_calendar_at_all_is_refused(data: object) -> None:
    with pytest.raises(CalendarError):
        from_data(data)


def test_seasons_may_not_overlap() -> None:
    data = to_data(SEASONAL)
    data["seasons"].append({**data["seasons"][0], "first": "2018-10-15", "last": "2018-11-01"})

    with pytest.raises(CalendarError) as wrong:
        from_data(data)

    assert wrong.value.field == "seasons.1"


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(CalendarError, match="colour"):
        from_data(to_data(SEASONAL) | {"colour": "red"})
