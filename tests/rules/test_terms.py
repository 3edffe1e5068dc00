"""When terms fall due: the vectors of the years 2016 to 2020, and the defects of software that was in use then."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from deploy.sample.calendars import DESK_WEEK, vietnam_calendar
from shared.calendar import Term, TermUnit, due_of_term, due_with_credit, is_late

VN = vietnam_calendar()
HANOI = ZoneInfo("Asia/Ho_Chi_Minh")
SAME_DAY = Term(0, TermUnit.SAME_DAY)


def vn(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=HANOI)


def working_days(n: int) -> Term:
    return Term(n, TermUnit.WORKING_DAY)


def calendar_days(n: int) -> Term:
    return Term(n, TermUnit.CALENDAR_DAY)


def in_hours(n: int) -> Term:
    return Term(n, TermUnit.HOUR)


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        ("2018-02-13", 3, "2018-02-23"),
        ("2018-02-09", 10, "2018-03-02"),
        ("2018-12-28", 1, "2019-01-02"),
        ("2019-01-02", 3, "2019-01-05"),
        ("2019-04-26", 1, "2019-05-02"),
        ("2019-04-26", 3, "2019-05-04"),
        ("2017-01-25", 1, "2017-02-02"),
        ("2016-04-15", 1, "2016-04-19"),
        ("2016-04-29", 1, "2016-05-04"),
        ("2017-04-28", 1, "2017-05-03"),
        ("2018-04-24", 1, "2018-04-26"),
        ("2018-08-31", 1, "2018-09-04"),
        ("2019-04-12", 1, "2019-04-16"),
        ("2020-01-22", 5, "2020-02-05"),
        ("2018-04-27", 10, "2018-05-15"),
        ("2017-12-29", 25, "2018-02-05"),
    ],
)
def test_working_days_are_due_at_the_close_of_the_day_that_the_law_counts(received: str, days: int, due: str) -> None:
    assert due_of_term(VN, vn(f"{received}T09:12"), working_days(days)) == vn(f"{due}T17:00")


@pytest.mark.parametrize("hour", ["00:00:01", "07:29", "11:30", "12:10", "16:59:59", "17:00", "23:59:59"])
def test_the_hour_of_reception_does_not_change_a_term_in_days(hour: str) -> None:
    assert due_of_term(VN, vn(f"2018-03-05T{hour}"), working_days(2)) == vn("2018-03-07T17:00")


def test_the_date_of_reception_is_that_of_the_office_and_not_of_utc() -> None:
    early_on_tuesday = datetime(2018, 3, 5, 23, tzinfo=UTC)

    assert due_of_term(VN, early_on_tuesday, working_days(1)) == vn("2018-03-07T17:00")


@pytest.mark.parametrize(
    ("received", "days", "due"),
    [
        ("2018-03-05", 3, "2018-03-08"),
        ("2018-03-05", 5, "2018-03-12"),
        ("2018-02-01", 15, "2018-02-21"),
        ("2018-12-30", 1, "2019-01-02"),
        ("2019-04-29", 5, "2019-05-04"),
    ],
    ids=["weekdays", "to a saturday", "into tet", "onto the swapped monday", "to a worked saturday"],
)
def test_calendar_days_run_through_days_off_and_end_on_a_working_day(received: str, days: int, due: str) -> None:
    assert due_of_term(VN, vn(f"{received}T09:12"), calendar_days(days)) == vn(f"{due}T17:00")


@pytest.mark.parametrize(
    ("received", "due"),
    [
        ("2018-03-05T08:00", "2018-03-05T17:00"),
        ("2018-03-05T06:00", "2018-03-05T17:00"),
        ("2018-03-05T15:00:00", "2018-03-05T17:00"),
        ("2018-03-05T15:00:01", "2018-03-06T17:00"),
        ("2018-03-09T15:30", "2018-03-12T17:00"),
        ("2018-03-10T09:00", "2018-03-12T17:00"),
        ("2018-02-13T15:01", "2018-02-21T17:00"),
    ],
    ids=["morning", "before the opening", "at the cut-off", "after it", "on friday", "on saturday", "before tet"],
)
def test_a_same_day_result_is_promised_for_today_until_three_in_the_afternoon(received: str, due: str) -> None:
    assert due_of_term(VN, vn(received), SAME_DAY) == vn(due)


def test_a_procedure_may_have_a_cut_off_of_its_own_but_never_after_the_close() -> None:
    until_four = Term(0, TermUnit.SAME_DAY, time(16))
    until_late = Term(0, TermUnit.SAME_DAY, time(20))

    assert due_of_term(VN, vn("2018-03-05T15:59"), until_four) == vn("2018-03-05T17:00")
    assert due_of_term(VN, vn("2018-03-05T17:30"), until_late) == vn("2018-03-06T17:00")


def test_on_a_desk_that_closes_at_noon_on_saturday_a_same_day_result_is_due_then() -> None:
    desk = vietnam_calendar("DESK", week=DESK_WEEK)

    assert due_of_term(desk, vn("2018-03-10T09:00"), SAME_DAY) == vn("2018-03-10T11:30")
    assert due_of_term(desk, vn("2018-03-10T14:00"), SAME_DAY) == vn("2018-03-12T17:00")


def test_received_at_the_start_of_the_lunch_break_an_hour_is_worked_after_it() -> None:
    """Seen in a provincial system: 11:30 + 1 h gave 03:00."""
    assert due_of_term(VN, vn("2018-03-05T11:30:00"), in_hours(1)) == vn("2018-03-05T14:30:00")
    assert due_of_term(VN, vn("2018-03-05T11:29:30"), in_hours(1)) == vn("2018-03-05T14:29:30")


def test_a_make_up_saturday_counts() -> None:
    """Seen in a provincial system: every Saturday was off."""
    assert due_of_term(VN, vn("2019-01-04T16:00"), in_hours(2)) == vn("2019-01-05T08:30")
    assert due_of_term(VN, vn("2019-01-04T16:00"), working_days(1)) == vn("2019-01-05T17:00")


def test_a_pause_over_a_weekend_credits_the_day_that_was_worked_and_no_more() -> None:
    """Seen in a provincial system: Friday to Monday at the same hour gave two calendar days and a working day."""
    asked, answered = vn("2018-03-09T10:00"), vn("2018-03-12T10:00")
    due = vn("2018-03-14T17:00")

    credit = VN.working_time(asked, answered)

    assert credit == timedelta(hours=7, minutes=30)
    assert due_with_credit(VN, due, credit) == vn("2018-03-15T17:00")


def test_what_cannot_be_computed_is_an_error_and_not_a_default_date() -> None:
    """Seen in a provincial system: any exception was swallowed and a default date returned."""
    with pytest.raises(ValueError, match="2200"):
        due_of_term(VN, datetime(2200, 12, 1, tzinfo=UTC), working_days(60))


def test_received_on_a_day_off_the_clock_starts_at_the_next_opening() -> None:
    """Seen in a provincial system: the clock started on the day off."""
    assert due_of_term(VN, vn("2018-03-11T10:00"), in_hours(1)) == vn("2018-03-12T08:30")
    assert due_of_term(VN, vn("2018-03-11T10:00"), working_days(1)) == vn("2018-03-12T17:00")
    assert due_of_term(VN, vn("2018-02-16T10:00"), in_hours(8)) == vn("2018-02-22T08:00")


def test_a_pause_across_tet_moves_the_due_instant_by_exactly_its_working_minutes() -> None:
    due = due_of_term(VN, vn("2018-02-09T09:00"), working_days(10))
    credit = VN.working_time(vn("2018-02-13T16:45"), vn("2018-02-21T08:00"))

    moved = due_with_credit(VN, due, credit)

    assert credit == timedelta(minutes=45)
    assert moved == vn("2018-03-05T08:15")
    assert VN.working_time(due, moved) == credit


@given(
    received=st.datetimes(datetime.fromisoformat("2018-01-02"), datetime.fromisoformat("2018-02-13")),
    asked=st.datetimes(datetime.fromisoformat("2018-02-09"), datetime.fromisoformat("2018-02-14")),
    paused=st.timedeltas(timedelta(0), timedelta(days=30)),
    days=st.integers(1, 40),
)
def test_any_pause_moves_the_due_instant_by_exactly_its_working_time(
    received: datetime, asked: datetime, paused: timedelta, days: int
) -> None:
    due = due_of_term(VN, received.replace(tzinfo=HANOI), working_days(days))
    start = asked.replace(tzinfo=HANOI)
    credit = VN.working_time(start, start + paused)

    moved = due_with_credit(VN, due, credit)

    assert VN.working_time(due, moved) == credit
    assert due_with_credit(VN, due_with_credit(VN, due, credit / 2), credit - credit / 2) == moved


def test_a_credit_is_never_taken_away_from_a_moved_due() -> None:
    with pytest.raises(ValueError, match="negative"):
        due_with_credit(VN, vn("2018-03-05T17:00"), -timedelta(hours=1))


def test_lateness_is_by_the_date_and_not_by_the_hour() -> None:
    due = vn("2018-03-05T17:00")

    assert not is_late(VN, due, vn("2018-03-05T23:59:59"))
    assert is_late(VN, due, vn("2018-03-06T00:00:00"))
    assert is_late(VN, due, datetime(2018, 3, 5, 17, 30, tzinfo=UTC)), "half past midnight in Nghệ An"


@given(st.datetimes(datetime.fromisoformat("2016-01-01"), datetime.fromisoformat("2020-12-01")), st.integers(1, 60))
def test_a_longer_term_is_never_due_earlier(received: datetime, days: int) -> None:
    instant = received.replace(tzinfo=HANOI)

    for unit in (TermUnit.WORKING_DAY, TermUnit.CALENDAR_DAY, TermUnit.HOUR):
        assert due_of_term(VN, instant, Term(days, unit)) <= due_of_term(VN, instant, Term(days + 1, unit))


@pytest.mark.parametrize(
    ("value", "unit", "cutoff"),
    [
        (0, TermUnit.WORKING_DAY, None),
        (-1, TermUnit.HOUR, None),
        (1, TermUnit.SAME_DAY, None),
        (5, TermUnit.WORKING_DAY, time(15)),
        (0, TermUnit.SAME_DAY, time(15, tzinfo=UTC)),
    ],
)
def test_a_term_that_makes_no_sense_cannot_be_made(value: int, unit: TermUnit, cutoff: time | None) -> None:
    with pytest.raises(ValueError, match="term"):
        Term(value, unit, cutoff)


def test_a_term_travels_as_json() -> None:
    adapter = TypeAdapter(Term)
    term = Term(0, TermUnit.SAME_DAY, time(16))

    assert adapter.validate_json(adapter.dump_json(term)) == term
    with pytest.raises(ValidationError):
        adapter.validate_json('{"value": 0, "unit": "hour"}')


def test_the_day_before_the_promise_is_when_an_apology_is_due_at_the_latest() -> None:
    promise = VN.day_of(due_of_term(VN, vn("2018-02-13T09:00"), working_days(1)))

    assert promise == date(2018, 2, 21)
    assert VN.nth_working_day(promise, -1) == date(2018, 2, 13)
