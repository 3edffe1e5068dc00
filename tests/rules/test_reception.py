"""Reception: what the receipt says, why it cannot be written, and the printed code."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from services.intake.rules.reception import printed_code, receive
from services.intake.values import Accepted, Known, NotAccepted, Record, Submission
from shared.calendar import Term, TermUnit, week_of
from shared.calendar import hours as office_hours
from shared.events import Channel
from tests.builders import (
    REPLAY,
    TEN_DAYS,
    WARD,
    a_desk,
    a_procedure,
    a_submission,
    at,
    office,
    what_intake_knows,
)

NOW = at("2019-05-06 08:00")
BOTH_ERAS = re.compile(r"^((\d{3}\.\d{2}\.\d{2}\.[A-Z]\d{2})|([A-Z]\d{2}(\.\d{2,3}){0,3}))-(\d{6}|\d{8})-(\d{4,7})$")
"""Codes of Circular 01/2018 and of Decision 20/2020 (the domain page, 2.2)."""


def accepted(submission: Submission, known: Known | None = None, now: datetime = NOW) -> Accepted:
    """The receipt of a submission that may be received."""
    decided = receive(submission, known or what_intake_knows(), now)
    assert isinstance(decided, Accepted), decided
    return decided


def refusal(submission: Submission, known: Known | None = None, now: datetime = NOW) -> NotAccepted:
    """Why it cannot be received; every refusal names a field and says what to do."""
    decided = receive(submission, known or what_intake_knows(), now)
    assert isinstance(decided, NotAccepted), decided
    assert decided.field.startswith("/")
    assert decided.detail
    assert decided.do
    return decided


def test_the_promise_is_the_term_of_the_procedure_on_the_unit_s_calendar() -> None:
    receipt = accepted(a_submission())

    assert receipt.promise == at("2019-05-20 17:00")
    assert (receipt.term, receipt.received, receipt.day) == (TEN_DAYS, NOW, date(2019, 5, 6))
    assert (receipt.calendar, receipt.calendar_version, receipt.unit.version) == ("office", 1, 1)


def test_a_channel_with_a_term_of_its_own_promises_that() -> None:
    two_days = Term(2, TermUnit.WORKING_DAY)
    known = what_intake_knows(procedures=[a_procedure(terms={Channel.ONLINE: two_days})])

    assert accepted(a_submission(channel=Channel.ONLINE), known).promise == at("2019-05-08 17:00")
    assert accepted(a_submission(channel=Channel.POST), known).promise == at("2019-05-20 17:00")


@pytest.mark.parametrize(
    ("received", "promise"),
    [("15:00", "2019-05-06 17:00"), ("15:01", "2019-05-07 17:00"), ("20:00", "2019-05-07 17:00")],
)
def test_a_same_day_procedure_received_after_15_00_is_promised_for_the_next_working_day(
    received: str, promise: str
) -> None:
    known = what_intake_knows(procedures=[a_procedure(term=Term(0, TermUnit.SAME_DAY))])

    assert accepted(a_submission(), known, at(f"2019-05-06 {received}")).promise == at(promise)


@pytest.mark.parametrize(
    ("instant", "day"), [("2019-05-06 23:59", 6), ("2019-05-07 00:00", 7), ("2019-05-07 06:59", 7)]
)
def test_the_day_of_reception_is_the_date_on_the_office_s_wall_not_in_utc(instant: str, day: int) -> None:
    assert accepted(a_submission(), now=at(instant)).day == date(2019, 5, day)


@pytest.mark.parametrize(
    ("changes", "name", "field"),
    [
        ({"unit": "000.77.99.H41"}, "unknown-unit", "/unit"),
        ({"procedure": "9.999999"}, "unknown-procedure", "/procedure"),
        ({"unit": REPLAY}, "replay-unit", "/unit"),
        ({"record": Record("books", at("2019-05-06 08:01"), NOW, {})}, "not-yet", "/record/received"),
    ],
)
def test_what_cannot_be_received_says_which_field_and_what_to_do(
    changes: dict[str, Any], name: str, field: str
) -> None:
    refused = refusal(a_submission(**changes))

    assert (refused.name, refused.field, refused.passes) == (name, field, False)


def test_a_unit_whose_calendar_is_still_on_its_way_is_a_matter_of_a_second() -> None:
    refused = refusal(a_submission(), what_intake_knows(a_desk(calendar="desk")))

    assert (refused.name, refused.passes) == ("no-calendar", True)


@pytest.mark.parametrize(
    ("day", "name"), [("2013-06-02", "unit-not-in-office"), ("2013-06-03", None), ("2025-06-30", None)]
)
def test_a_unit_receives_from_its_first_day_to_its_last(day: str, name: str | None) -> None:
    known = what_intake_knows(a_desk(valid_to=date(2025, 6, 30)))

    decided = receive(a_submission(), known, at(f"{day} 08:00"))

    assert (decided.name if isinstance(decided, NotAccepted) else None) == name


def test_a_unit_that_was_merged_receives_nothing_any_more() -> None:
    merged = a_desk(version=2, valid_to=date(2025, 6, 30))
    known = what_intake_knows(a_desk(), merged)

    assert refusal(a_submission(), known, at("2025-07-01 08:00")).name == "unit-not-in-office"
    assert accepted(a_submission(), known, at("2025-06-30 16:00")).unit == merged


def test_a_version_that_is_published_ahead_changes_nothing_before_its_day() -> None:
    saturdays = replace(office(), code="desk", week=week_of(office().week[0], office_hours(("07:30", "11:30"))))
    ahead = a_desk(version=2, calendar="desk", valid_from=date(2019, 6, 1))
    known = what_intake_knows(a_desk(), ahead, calendars=[office(), saturdays])

    before, from_then_on = accepted(a_submission(), known), accepted(a_submission(), known, at("2019-06-03 08:00"))

    assert (before.unit.version, before.calendar) == (1, "office")
    assert (from_then_on.unit.version, from_then_on.calendar) == (2, "desk")


def test_the_newest_version_of_the_calendar_counts() -> None:
    known = what_intake_knows(calendars=[office(), office(2)])

    assert accepted(a_submission(), known).calendar_version == 2


@pytest.mark.parametrize(("year", "known"), [(2019, True), (2030, True), (2031, False), (2015, False)])
def test_a_receipt_says_whether_the_holidays_of_its_promise_are_known(year: int, known: bool) -> None:
    assert accepted(a_submission(), now=at(f"{year}-05-06 08:00")).holidays_known is known


def test_a_promise_that_runs_over_the_end_of_the_calendar_says_so() -> None:
    assert accepted(a_submission(), now=at("2030-12-27 08:00")).holidays_known is False


def test_a_calendar_on_which_no_term_can_end_is_a_refusal_and_no_fault() -> None:
    a_minute_a_week = week_of((), office_hours(("08:00", "08:01")))
    known = what_intake_knows(
        calendars=[replace(office(), week=a_minute_a_week, worked_days={})],
        procedures=[a_procedure(term=Term(3650, TermUnit.HOUR))],
    )

    assert refusal(a_submission(), known).name == "no-due-day"


def test_a_record_brings_its_own_reception_and_promise_whatever_they_are() -> None:
    received, promise = at("2013-06-03 21:04"), at("2013-06-01 17:00")

    receipt = accepted(a_submission(record=Record("books", received, promise, {})))

    assert (receipt.received, receipt.promise, receipt.day) == (received, promise, date(2013, 6, 3))


@pytest.mark.parametrize(
    ("ordinal", "code"),
    [
        (1, f"{WARD}-190506-0001"),
        (9_999, f"{WARD}-190506-9999"),
        (10_000, f"{WARD}-190506-10000"),
        (9_999_999, f"{WARD}-190506-9999999"),
    ],
)
def test_a_printed_code_is_unit_date_and_ordinal_and_grows_beyond_four_digits(ordinal: int, code: str) -> None:
    assert printed_code(WARD, date(2019, 5, 6), ordinal) == code
    assert BOTH_ERAS.fullmatch(code)


@pytest.mark.parametrize("unit", ["000.00.99.H41", "000.00.00.H49", "H41", "H15.50.05.13"])
def test_codes_of_both_eras_are_well_formed(unit: str) -> None:
    assert BOTH_ERAS.fullmatch(printed_code(unit, date(2026, 10, 8), 975))


@pytest.mark.parametrize("ordinal", [0, -1, 10_000_000])
def test_there_is_no_code_for_an_ordinal_that_cannot_be(ordinal: int) -> None:
    with pytest.raises(ValueError, match="that many"):
        printed_code(WARD, date(2019, 5, 6), ordinal)


def test_a_day_later_is_another_code() -> None:
    day = date(2019, 12, 31)

    assert printed_code(WARD, day, 1) != printed_code(WARD, day + timedelta(days=1), 1)
