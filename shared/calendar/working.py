"""A working calendar: which days and hours an office works, and what that makes of a span of time."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.calendar.hours import CalendarError, Hours, Season, Week, check_hours, check_seasons, check_week
from shared.calendar.year import Span, Year, instant_of, join, lay_out, ticks, ticks_of

FIRST_YEAR = 1900
LAST_YEAR = 2200


@dataclass(frozen=True)
class WorkingCalendar:
    """One version of an office's calendar. A desk and the officers behind it have two (a desk may open on Saturday).

    A day in `worked_days` (a make-up Saturday) has the hours given there; a day in `days_off` has none; any other has
    those of its season, else of the week. Holidays are data: what lies outside `known_from`..`known_until` is worked
    by the week alone, because nobody has announced its holidays; `knows` tells.

    Instants go in with any offset and come out in UTC. Raises CalendarError when the fields contradict each other.
    """

    code: str
    version: int
    zone: str
    week: Week
    known_from: date
    known_until: date
    days_off: frozenset[date] = frozenset()
    worked_days: Mapping[date, Hours] = field(default_factory=dict)
    seasons: tuple[Season, ...] = ()
    _years: dict[int, Year] = field(default_factory=dict, init=False, repr=False, compare=False)
    _span: Span | None = field(default=None, init=False, repr=False, compare=False)
    _zone: ZoneInfo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not self.code:
            raise CalendarError("code", "is empty")
        if self.version < 1:
            raise CalendarError("version", "counts from 1")
        try:
            object.__setattr__(self, "_zone", ZoneInfo(self.zone))
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise CalendarError("zone", f"{self.zone!r} is not the name of a time zone") from None
        check_week("week", self.week)
        if not any(self.week):
            raise CalendarError("week", "has no working day")
        check_seasons(self.seasons)
        self._check_days()
        object.__setattr__(self, "worked_days", dict(self.worked_days))

    def _check_days(self) -> None:
        for name, day in (("known_from", self.known_from), ("known_until", self.known_until)):
            if not FIRST_YEAR <= day.year <= LAST_YEAR:
                raise CalendarError(name, f"{day} lies outside {FIRST_YEAR}..{LAST_YEAR}")
        if self.known_until < self.known_from:
            raise CalendarError("known_until", f"{self.known_until} lies before {self.known_from}")
        for day, hours in self.worked_days.items():
            check_hours(f"worked_days.{day}", hours)
            if not hours:
                raise CalendarError(f"worked_days.{day}", "has no hours")
            if day in self.days_off:
                raise CalendarError(f"worked_days.{day}", "is a day off too")
        for name, days in (("days_off", self.days_off), ("worked_days", self.worked_days)):
            for day in days:
                if not self.knows(day):
                    raise CalendarError(f"{name}.{day}", f"lies outside {self.known_from}..{self.known_until}")

    def __hash__(self) -> int:
        return hash((self.code, self.version))

    def knows(self, day: date) -> bool:
        """Whether the holidays around this day had been announced when this version was made."""
        return self.known_from <= day <= self.known_until

    def hours_on(self, day: date) -> Hours:
        """The local office hours of the day; empty on a day off."""
        if worked := self.worked_days.get(day):
            return worked
        if day in self.days_off:
            return ()
        for season in self.seasons:
            if season.first <= day <= season.last:
                return season.week[day.weekday()]
        return self.week[day.weekday()]

    def is_working_day(self, day: date) -> bool:
        return bool(self.hours_on(day))

    def local(self, instant: datetime) -> datetime:
        """The instant as the office's clock shows it."""
        return instant.astimezone(self._zone)

    def day_of(self, instant: datetime) -> date:
        """The date on the office's wall at that instant."""
        return instant.astimezone(self._zone).date()

    def close_of(self, day: date) -> datetime:
        """When the office closes on a working day. Raises CalendarError on a day off."""
        hours = self.hours_on(day)
        if not hours:
            raise CalendarError("day", f"{day} is a day off")
        return instant_of(ticks(datetime.combine(day, hours[-1][1], tzinfo=self._zone)))

    def nth_working_day(self, day: date, n: int) -> date:
        """The nth working day after the day, which itself is not counted; before it when n is negative. n is not 0.

        Decree 61/2018 and the Civil Code 2015 (articles 147 and 148): the day of reception is not counted.
        """
        if n == 0:
            raise CalendarError("n", "the day itself is not counted, so there is no working day number 0")
        number = day.year
        days = self._year(number).days
        if n > 0:
            place = bisect_right(days, day.toordinal()) + n - 1
            while place >= len(days):
                place -= len(days)
                number += 1
                days = self._year(number).days
        else:
            place = bisect_left(days, day.toordinal()) + n
            while place < 0:
                number -= 1
                days = self._year(number).days
                place += len(days)
        return date.fromordinal(days[place])

    def working_day_from(self, day: date) -> date:
        """The day itself if the office works then, else the next day on which it does."""
        return day if self.is_working_day(day) else self.nth_working_day(day, 1)

    def working_time(self, start: datetime, end: datetime) -> timedelta:
        """The office hours between two instants, exactly; negative when the end comes before the start."""
        a, b = ticks(start), ticks(end)
        self._reaching(a)
        span = self._reaching(b)
        return timedelta(0, 0, span.worked_by(b) - span.worked_by(a))

    def add_working_time(self, start: datetime, amount: timedelta) -> datetime:
        """The earliest instant by which this much has been worked since the start; the start itself for nothing.

        Being the earliest, four hours from the opening end when the office closes for lunch, not when it opens again.
        Raises ValueError for a negative amount: going back from the close of a day is not the reverse of going there.
        """
        at, left = ticks(start), _ticks_of(amount)
        if left == 0:
            return instant_of(at)
        span = self._reaching(at)
        left += span.worked_by(at)
        while left > span.total:
            span = self._laid_out(span.first, span.last + 1)
        return instant_of(span.earliest_with(left))

    def subtract_working_time(self, end: datetime, amount: timedelta) -> datetime:
        """The latest instant from which this much is worked until the end: when a reminder is to be given."""
        at, left = ticks(end), _ticks_of(amount)
        if left == 0:
            return instant_of(at)
        span = self._reaching(at)
        while span.worked_by(at) < left:
            span = self._laid_out(span.first - 1, span.last)
        return instant_of(span.latest_with(span.worked_by(at) - left))

    def _reaching(self, at: int) -> Span:
        """The years that were laid out so far, and all up to that of an instant."""
        span = self._span
        if span is not None and span.begins <= at < span.ends:
            return span
        number = self.local(instant_of(at)).year
        self._year(number)  # an instant that no calendar reaches is refused before all years up to it are laid out
        first, last = (span.first, span.last) if span is not None else (number, number)
        return self._laid_out(min(first, number), max(last, number))

    def _laid_out(self, first: int, last: int) -> Span:
        span = join(first, [self._year(number) for number in range(first, last + 1)], self._zone)
        object.__setattr__(self, "_span", span)
        return span

    def _year(self, number: int) -> Year:
        year = self._years.get(number)
        if year is None:
            if not FIRST_YEAR <= number <= LAST_YEAR:
                raise CalendarError("day", f"the year {number} lies outside {FIRST_YEAR}..{LAST_YEAR}")
            year = self._years[number] = lay_out(number, self._zone, self.hours_on)
        return year


def _ticks_of(amount: timedelta) -> int:
    if amount < timedelta(0):
        raise ValueError("an amount of working time is not negative")
    return ticks_of(amount)
