"""Working time between two instants, and instants a working time apart."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from deploy.sample.calendars import DESK_WEEK, OFFICE, amsterdam_calendar, vietnam_calendar
from shared.calendar import CalendarError, Season, WorkingCalendar, hours, week_of

VN = vietnam_calendar()
NL = amsterdam_calendar(first_year=2009, last_year=2013)
NIGHT = WorkingCalendar(
    code="NIGHT",
    version=1,
    zone="Europe/Amsterdam",
    week=week_of(hours(("00:00", "08:00")), saturday=hours(("00:00", "08:00")), sunday=hours(("00:00", "08:00"))),
    known_from=date(2010, 1, 1),
    known_until=date(2012, 12, 31),
)
EVERY = (VN, NL, NIGHT)

instants = st.datetimes(
    datetime.fromisoformat("2014-01-01"), datetime.fromisoformat("2022-12-01"), timezones=st.just(UTC)
)
amounts = st.timedeltas(timedelta(0), timedelta(hours=300))
calendars = st.sampled_from(EVERY)


def vn(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Asia/Ho_Chi_Minh"))


def nl(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo("Europe/Amsterdam"))


@pytest.mark.parametrize(
    ("start", "end", "worked"),
    [
        ("2018-03-05T07:30", "2018-03-05T17:00", timedelta(hours=7, minutes=30)),
        ("2018-03-05T11:30", "2018-03-05T13:30", timedelta(0)),
        ("2018-03-05T11:29:59", "2018-03-05T13:30:01", timedelta(seconds=2)),
        ("2018-03-05T00:00", "2018-03-05T23:59:59", timedelta(hours=7, minutes=30)),
        ("2018-03-09T16:00", "2018-03-12T08:00", timedelta(hours=1, minutes=30)),
        ("2018-02-13T16:59:30", "2018-02-21T07:30:30", timedelta(minutes=1)),
        ("2018-12-28T16:00", "2019-01-02T08:30", timedelta(hours=2)),
        ("2019-01-04T16:00", "2019-01-07T07:30", timedelta(hours=8, minutes=30)),
    ],
    ids=["day", "lunch", "around lunch", "whole day", "weekend", "tet", "new year", "worked saturday"],
)
def test_working_time_is_exact_to_the_second(start: str, end: str, worked: timedelta) -> None:
    assert VN.working_time(vn(start), vn(end)) == worked


def test_a_span_backwards_is_the_span_forwards_negated() -> None:
    earlier, later = vn("2018-03-05T08:00"), vn("2018-03-06T08:00")

    assert VN.working_time(later, earlier) == -VN.working_time(earlier, later)


def test_the_offset_in_which_an_instant_is_written_does_not_matter() -> None:
    start, end = vn("2018-03-05T08:00"), vn("2018-03-06T08:00")

    assert VN.working_time(start.astimezone(UTC), end) == VN.working_time(start, end.astimezone(UTC))


def test_an_instant_without_an_offset_is_refused() -> None:
    naive = datetime.fromisoformat("2018-03-05T08:00")

    with pytest.raises(ValueError, match="without an offset"):
        VN.working_time(naive, naive)


@pytest.mark.parametrize(("year", "working_days"), [(2016, 251), (2017, 250), (2018, 250), (2019, 252), (2020, 252)])
def test_a_year_has_as_many_working_days_as_was_announced(year: int, working_days: int) -> None:
    days = (date(year, 1, 1) + timedelta(days=i) for i in range(366))

    assert sum(VN.is_working_day(day) for day in days if day.year == year) == working_days


def test_a_make_up_saturday_is_worked_and_the_monday_for_which_it_stands_is_not() -> None:
    assert VN.hours_on(date(2019, 1, 5)) == OFFICE
    assert VN.hours_on(date(2018, 12, 31)) == ()
    assert not VN.is_working_day(date(2019, 1, 12))


def test_a_desk_that_opens_on_saturday_is_another_calendar_than_the_officers() -> None:
    desk = vietnam_calendar("DESK", week=DESK_WEEK)

    assert desk.is_working_day(date(2018, 3, 10))
    assert not VN.is_working_day(date(2018, 3, 10))
    assert desk.hours_on(date(2019, 1, 5)) == OFFICE
    assert not desk.is_working_day(date(2018, 2, 17)), "the second day of Tết is a Saturday"


def test_a_season_has_hours_of_its_own() -> None:
    summer = week_of(hours(("07:00", "11:30"), ("14:00", "17:00")))
    calendar = WorkingCalendar(
        code="SEASONS",
        version=1,
        zone="Asia/Ho_Chi_Minh",
        week=week_of(OFFICE),
        known_from=date(2018, 1, 1),
        known_until=date(2018, 12, 31),
        seasons=(Season(date(2018, 4, 16), date(2018, 10, 15), summer),),
    )

    assert calendar.hours_on(date(2018, 4, 13)) == OFFICE
    assert calendar.hours_on(date(2018, 4, 16)) == summer[0]
    assert calendar.hours_on(date(2018, 10, 15)) == summer[0]
    assert calendar.hours_on(date(2018, 10, 16)) == OFFICE
    assert calendar.hours_on(date(2018, 4, 21)) == ()


def test_days_whose_holidays_nobody_has_announced_are_worked_by_the_week_alone() -> None:
    assert VN.knows(date(2022, 12, 31))
    assert not VN.knows(date(2023, 1, 2))
    assert VN.is_working_day(date(2023, 1, 2))


def test_four_hours_from_the_opening_end_when_the_office_closes_for_lunch() -> None:
    assert VN.add_working_time(vn("2018-03-05T07:30"), timedelta(hours=4)) == vn("2018-03-05T11:30")


def test_a_reminder_an_hour_before_the_opening_after_lunch_is_due_in_the_morning() -> None:
    assert VN.subtract_working_time(vn("2018-03-05T13:30"), timedelta(hours=1)) == vn("2018-03-05T10:30")
    assert VN.subtract_working_time(vn("2018-03-05T14:30"), timedelta(hours=1)) == vn("2018-03-05T13:30")


def test_the_last_working_day_before_a_day_skips_tet() -> None:
    assert VN.nth_working_day(date(2018, 2, 21), -1) == date(2018, 2, 13)
    assert VN.nth_working_day(date(2019, 1, 2), -1) == date(2018, 12, 28)


def test_working_days_can_be_counted_across_years() -> None:
    assert VN.nth_working_day(date(2017, 12, 31), 250 + 252) == date(2019, 12, 31)
    assert VN.nth_working_day(date(2020, 1, 1), -(250 + 252)) == date(2018, 1, 2)


def test_a_day_out_of_range_is_refused_by_name() -> None:
    with pytest.raises(CalendarError, match="2201"):
        VN.add_working_time(datetime(2200, 12, 31, 12, tzinfo=UTC), timedelta(hours=100))


def test_summer_time_does_not_change_what_an_office_works() -> None:
    friday, monday = nl("2011-03-25T16:00"), nl("2011-03-28T10:00")

    assert NL.working_time(friday, monday) == timedelta(hours=2)
    assert NL.add_working_time(friday, timedelta(hours=2)) == monday
    assert NL.close_of(date(2011, 3, 25)) == datetime(2011, 3, 25, 16, tzinfo=UTC)
    assert NL.close_of(date(2011, 3, 28)) == datetime(2011, 3, 28, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("night", "worked"), [("2011-03-27", 7), ("2011-10-30", 9), ("2011-06-05", 8)], ids=["spring", "autumn", "summer"]
)
def test_a_night_shift_is_an_hour_shorter_in_spring_and_longer_in_autumn(night: str, worked: int) -> None:
    assert NIGHT.working_time(nl(f"{night}T00:00"), nl(f"{night}T12:00")) == timedelta(hours=worked)


def test_the_date_on_the_wall_is_that_of_the_calendars_own_zone() -> None:
    late_evening_in_london = datetime(2018, 3, 5, 18, tzinfo=UTC)

    assert VN.day_of(late_evening_in_london) == date(2018, 3, 6)
    assert NL.day_of(late_evening_in_london) == date(2018, 3, 5)


@given(calendars, instants, instants, instants)
def test_working_time_adds_up(calendar: WorkingCalendar, a: datetime, b: datetime, c: datetime) -> None:
    assert calendar.working_time(a, b) + calendar.working_time(b, c) == calendar.working_time(a, c)


@given(calendars, instants, amounts)
def test_what_is_added_is_what_is_measured(calendar: WorkingCalendar, start: datetime, amount: timedelta) -> None:
    assert calendar.working_time(start, calendar.add_working_time(start, amount)) == amount


@given(calendars, instants, amounts)
def test_what_is_subtracted_is_what_is_measured(calendar: WorkingCalendar, end: datetime, amount: timedelta) -> None:
    assert calendar.working_time(calendar.subtract_working_time(end, amount), end) == amount


@given(calendars, instants, amounts, amounts)
def test_two_amounts_one_after_the_other_are_their_sum(
    calendar: WorkingCalendar, start: datetime, first: timedelta, second: timedelta
) -> None:
    one_by_one = calendar.add_working_time(calendar.add_working_time(start, first), second)

    assert one_by_one == calendar.add_working_time(start, first + second)


@given(calendars, instants, amounts)
def test_the_sum_is_the_earliest_and_the_difference_the_latest_instant(
    calendar: WorkingCalendar, instant: datetime, amount: timedelta
) -> None:
    assume(amount > timedelta(0))
    tick = timedelta(microseconds=1)

    later = calendar.add_working_time(instant, amount)
    earlier = calendar.subtract_working_time(instant, amount)

    assert calendar.working_time(instant, later - tick) == amount - tick
    assert calendar.working_time(earlier + tick, instant) == amount - tick


@given(calendars, st.dates(date(2014, 1, 1), date(2022, 12, 1)), st.integers(1, 60))
def test_counting_working_days_is_walking_from_day_to_day(calendar: WorkingCalendar, day: date, n: int) -> None:
    there = calendar.nth_working_day(day, n)
    between = [day + timedelta(days=i) for i in range(1, (there - day).days + 1)]

    assert sum(calendar.is_working_day(each) for each in between) == n
    assert calendar.is_working_day(there)
    if calendar.is_working_day(day):
        assert calendar.nth_working_day(there, -n) == day


@given(calendars, st.dates(date(2014, 1, 1), date(2022, 12, 1)))
def test_the_hours_of_a_day_are_what_it_works(calendar: WorkingCalendar, day: date) -> None:
    assume(calendar is not NIGHT)
    zone = ZoneInfo(calendar.zone)
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    next_day = day + timedelta(days=1)
    end = datetime(next_day.year, next_day.month, next_day.day, tzinfo=zone)

    written = sum(
        ((closes.hour - opens.hour) * 60 + closes.minute - opens.minute for opens, closes in calendar.hours_on(day))
    )

    assert calendar.working_time(start, end) == timedelta(minutes=written)
