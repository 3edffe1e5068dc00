"""Working time: calendars, terms, and when they fall due. Pure: no clock, no input or output."""

from shared.calendar.data import from_data, to_data
from shared.calendar.hours import CalendarError, Hours, Interval, Season, Week, hours, week_of
from shared.calendar.lengths import LENGTHS, PER_DAY, length_of
from shared.calendar.terms import (
    SAME_DAY_CUTOFF,
    Term,
    TermUnit,
    due_of_term,
    due_with_credit,
    is_late,
)
from shared.calendar.working import WorkingCalendar
from shared.calendar.year import instant_of, ticks, ticks_of

__all__ = [
    "LENGTHS",
    "PER_DAY",
    "SAME_DAY_CUTOFF",
    "CalendarError",
    "Hours",
    "Interval",
    "Season",
    "Term",
    "TermUnit",
    "Week",
    "WorkingCalendar",
    "due_of_term",
    "due_with_credit",
    "from_data",
    "hours",
    "instant_of",
    "is_late",
    "length_of",
    "ticks",
    "ticks_of",
    "to_data",
    "week_of",
]
