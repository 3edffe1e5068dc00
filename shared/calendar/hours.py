"""Office hours: the intervals of a day, the seven days of a week, and a season in which another week holds."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, time

Interval = tuple[time, time]
"""From the first local time until the second; the lunch break is the gap between two intervals."""

Hours = tuple[Interval, ...]
"""The intervals of one day, ascending, without overlap; empty on a day off."""

Week = tuple[Hours, Hours, Hours, Hours, Hours, Hours, Hours]
"""Monday first."""


class CalendarError(ValueError):
    """A calendar that cannot be, or a day outside 1900..2200. `field` names the place, as in `week.3`."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Season:
    """The week that holds from `first` until `last`, both included, instead of the calendar's own."""

    first: date
    last: date
    week: Week


def hours(*intervals: tuple[str, str]) -> Hours:
    """Hours as people write them: `hours(("07:30", "11:30"), ("13:30", "17:00"))`."""
    return tuple((time.fromisoformat(opens), time.fromisoformat(closes)) for opens, closes in intervals)


def week_of(weekday: Hours, saturday: Hours = (), sunday: Hours = ()) -> Week:
    """Five equal days, and a weekend which is off unless it is given hours."""
    return (weekday, weekday, weekday, weekday, weekday, saturday, sunday)


def check_hours(field: str, day: Sequence[Interval]) -> None:
    """Raises CalendarError unless the intervals are ascending, apart, longer than nothing and without an offset."""
    closed: time | None = None
    for opens, closes in day:
        if opens.tzinfo is not None or closes.tzinfo is not None:
            raise CalendarError(field, "office hours are local times, without an offset")
        if closes <= opens:
            raise CalendarError(field, f"{closes:%H:%M} does not come after {opens:%H:%M}")
        if closed is not None and opens < closed:
            raise CalendarError(field, f"{opens:%H:%M} lies before {closed:%H:%M}, the end of the interval before it")
        closed = closes


def check_week(field: str, week: Sequence[Hours]) -> None:
    """Raises CalendarError unless there are seven days of sound hours."""
    if len(week) != 7:
        raise CalendarError(field, f"a week has seven days, not {len(week)}")
    for number, day in enumerate(week, start=1):
        check_hours(f"{field}.{number}", day)


def check_seasons(seasons: Iterable[Season]) -> None:
    """Raises CalendarError unless the seasons are ascending, apart and sound."""
    ended: date | None = None
    for number, season in enumerate(seasons):
        field = f"seasons.{number}"
        check_week(f"{field}.week", season.week)
        if season.last < season.first:
            raise CalendarError(field, f"ends on {season.last}, before it begins on {season.first}")
        if ended is not None and season.first <= ended:
            raise CalendarError(field, f"begins on {season.first}, while the season before it lasts until {ended}")
        ended = season.last
