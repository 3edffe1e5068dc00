"""A working calendar: which days and hours an office works, and what that makes of a span of time."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from shared.calendar.hours import CalendarError, Hours, Season, Week, check_hours, check_seasons, check_week
from shared.calendar.year import Scale, Year, instant_of, lay_out, lengthened, scale_of, ticks, ticks_of

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
    _scale: Scale | None = field(default=None, init=False, repr=False, compare=False)
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
        return timedelta(0, 0, self.place_of(ticks(end)) - self.place_of(ticks(start)))

    def add_working_time(self, start: datetime, amount: timedelta) -> datetime:
        """The earliest instant by which this much has been worked since the start; the start itself for nothing.

        Being the earliest, four hours from the opening end when the office closes for lunch, not when it opens again.
        Raises ValueError for a negative amount: going back from the close of a day is not the reverse of going there.
        """
        at, amount_ = ticks(start), _ticks_of(amount)
        return instant_of(self.earliest_at(self.place_of(at) + amount_) if amount_ else at)

    def subtract_working_time(self, end: datetime, amount: timedelta) -> datetime:
        """The latest instant from which this much is worked until the end: when a reminder is to be given."""
        at, amount_ = ticks(end), _ticks_of(amount)
        return instant_of(self.latest_at(self.place_of(at) - amount_) if amount_ else at)

    # The three questions that all others are made of, in whole microseconds (`shared.calendar.year.ticks`): a rule that
    # has several of them about one dossier puts them here, without a datetime for each step.

    def place_of(self, at: int) -> int:
        """Where an instant lies on the scale of working time. The difference of two places is working time."""
        scale = self._scale
        if scale is None or not scale.begins <= at < scale.ends:
            scale = self._reaching(at)
        return scale.place_of(at)

    def earliest_at(self, place: int) -> int:
        """The first instant of a place: when that much has been worked."""
        scale = self._scale or self._reaching(0)
        while place > scale.highest:
            scale = self._lengthened(scale, before=False)
        while place <= scale.lowest:
            scale = self._lengthened(scale, before=True)
        return scale.earliest_at(place)

    def latest_at(self, place: int) -> int:
        """The last instant of a place: from when on more than that is worked."""
        scale = self._scale or self._reaching(0)
        while place >= scale.highest:
            scale = self._lengthened(scale, before=False)
        while place < scale.lowest:
            scale = self._lengthened(scale, before=True)
        return scale.latest_at(place)

    def _reaching(self, at: int) -> Scale:
        """The scale, lengthened to the year of an instant."""
        number = self.local(instant_of(at)).year
        year = self._year(number)  # first: an instant that no calendar reaches is refused before all years up to it
        scale = self._scale
        if scale is None:
            scale = scale_of(number, year, self._zone)
            object.__setattr__(self, "_scale", scale)
        while not scale.first <= number <= scale.last:
            scale = self._lengthened(scale, before=number < scale.first)
        return scale

    def _lengthened(self, scale: Scale, *, before: bool) -> Scale:
        year = self._year(scale.first - 1 if before else scale.last + 1)
        longer = lengthened(scale, year, self._zone, before=before)
        object.__setattr__(self, "_scale", longer)
        return longer

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
