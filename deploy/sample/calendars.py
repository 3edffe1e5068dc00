"""Calendars of the years of the sample: offices in Nghệ An, and the municipality of the replayed log."""

from datetime import date
from typing import TYPE_CHECKING

import holidays

from shared.calendar import Week, WorkingCalendar, hours, week_of

if TYPE_CHECKING:
    from collections.abc import Iterable

OFFICE = hours(("07:30", "11:30"), ("13:30", "17:00"))
OFFICE_WEEK = week_of(OFFICE)
DESK_WEEK = week_of(OFFICE, saturday=hours(("07:30", "11:30")))
"""A desk that receives and returns on Saturday morning too (Decision 14/2010/QĐ-TTg); its officers do not work then."""


def vietnam_calendar(
    code: str = "VN", *, version: int = 1, first_year: int = 2014, last_year: int = 2022, week: Week = OFFICE_WEEK
) -> WorkingCalendar:
    """Public holidays, days off in lieu and make-up Saturdays, as the `holidays` library prints them.

    A province announces its own swaps beside these; they belong in a further version.
    """
    # One year more than asked: a day off at the end of December is announced with the swaps of the next January.
    announced = holidays.country_holidays("VN", years=range(first_year, last_year + 2))
    years = range(first_year, last_year + 1)
    worked: Iterable[date] = announced.weekend_workdays
    # A make-up Saturday is worked like the Monday for which it stands in.
    make_up = {day: week[0] for day in sorted(worked) if day.year in years}
    return WorkingCalendar(
        code=code,
        version=version,
        zone="Asia/Ho_Chi_Minh",
        week=week,
        known_from=date(first_year, 1, 1),
        known_until=date(last_year, 12, 31),
        days_off=frozenset(day for day in announced if day.year in years),
        worked_days=make_up,
    )


def amsterdam_calendar(code: str = "NL", *, version: int = 1, first_year: int, last_year: int) -> WorkingCalendar:
    """The municipality of the replayed log: public holidays of the Netherlands, nine to five."""
    announced = holidays.country_holidays("NL", years=range(first_year, last_year + 1))
    return WorkingCalendar(
        code=code,
        version=version,
        zone="Europe/Amsterdam",
        week=week_of(hours(("09:00", "17:00"))),
        known_from=date(first_year, 1, 1),
        known_until=date(last_year, 12, 31),
        days_off=frozenset(announced),
    )
