"""Terms, and the instants at which they fall due. The date of the first due is the promise printed on the receipt."""

from dataclasses import dataclass
from datetime import datetime, time, timedelta
from enum import StrEnum

from shared.calendar.working import WorkingCalendar

SAME_DAY_CUTOFF = time(15)
"""After this the result is promised for the next working day (national procedure 1.001193)."""


class TermUnit(StrEnum):
    WORKING_DAY = "working_day"
    CALENDAR_DAY = "calendar_day"
    HOUR = "hour"
    SAME_DAY = "same_day"


@dataclass(frozen=True, slots=True)
class Term:
    """How long a procedure or a stage may take. A same-day term has the value 0; only it has a cut-off.

    A stage that the law gives a fraction of a day is written in hours, eight to the day.
    """

    value: int
    unit: TermUnit
    cutoff: time | None = None

    def __post_init__(self) -> None:
        if (self.unit is TermUnit.SAME_DAY) != (self.value == 0) or self.value < 0:
            raise ValueError("a term counts from 1, and a same-day term has the value 0")
        if self.cutoff is not None and (self.unit is not TermUnit.SAME_DAY or self.cutoff.tzinfo is not None):
            raise ValueError("only a same-day term has a cut-off, which is a local time without an offset")


def due_of_term(calendar: WorkingCalendar, received: datetime, term: Term) -> datetime:
    """When the term ends that begins at the reception.

    Working days: the close of office hours of the nth working day after the date of reception, whatever its hour.
    Calendar days: the close of the date n days later, moved to the next working day when it falls on a day off.
    Hours: that much working time later; the clock of a dossier received outside office hours starts at the opening.
    Same day: the close of that day; received after the cut-off, after the close or on a day off: of the next one.
    """
    day = calendar.day_of(received)
    match term.unit:
        case TermUnit.HOUR:
            return calendar.add_working_time(received, timedelta(hours=term.value))
        case TermUnit.WORKING_DAY:
            due = calendar.nth_working_day(day, term.value)
        case TermUnit.CALENDAR_DAY:
            due = calendar.working_day_from(day + timedelta(days=term.value))
        case TermUnit.SAME_DAY:
            due = day if _is_in_time_for_today(calendar, received, term) else calendar.nth_working_day(day, 1)
    return calendar.close_of(due)


def due_with_credit(calendar: WorkingCalendar, due: datetime, credit: timedelta) -> datetime:
    """The due instant moved by exactly the working time that the pauses took together.

    A pause that is withdrawn is left out of the sum, which is then added to the first due instant again; taking it
    away from the moved one would end at the next morning's opening where the due was the evening's close. Raises
    ValueError for a negative credit.
    """
    return calendar.add_working_time(due, credit)


def is_late(calendar: WorkingCalendar, due: datetime, ended: datetime) -> bool:
    """By the date on the office's wall, not by the hour: finished in the evening of the due date is in time."""
    return calendar.day_of(ended) > calendar.day_of(due)


def _is_in_time_for_today(calendar: WorkingCalendar, received: datetime, term: Term) -> bool:
    local = calendar.local(received)
    day = local.date()
    cutoff = SAME_DAY_CUTOFF if term.cutoff is None else term.cutoff
    return calendar.is_working_day(day) and local.time() <= cutoff and received <= calendar.close_of(day)
