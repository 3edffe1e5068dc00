"""Years of a calendar, laid out so that a question costs two bisections instead of a walk from day to day."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from shared.calendar.hours import Hours

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def ticks(instant: datetime) -> int:
    """Microseconds since 1970, from an aware instant. Raises ValueError for one without an offset."""
    if instant.tzinfo is None:
        raise ValueError("an instant without an offset")
    # Subtracting EPOCH goes through UTC; two times of one zone would be subtracted as the clock on the wall shows them.
    return ticks_of(instant - EPOCH)


def ticks_of(amount: timedelta) -> int:
    """Microseconds. By its parts, which is three times as fast as dividing by a microsecond."""
    return (amount.days * 86_400 + amount.seconds) * 1_000_000 + amount.microseconds


def instant_of(at: int) -> datetime:
    """The instant in UTC, from microseconds since 1970."""
    return EPOCH + timedelta(0, 0, at)


@dataclass(frozen=True, slots=True)
class Year:
    """Instants are microseconds since 1970, days are proleptic ordinals, amounts are microseconds of working time."""

    days: list[int]
    """The working days."""
    opens: list[int]
    """Where each interval of office hours begins ..."""
    closes: list[int]
    """... where it ends ..."""
    worked: list[int]
    """... and how much the year has worked by that end."""

    @property
    def total(self) -> int:
        return self.worked[-1] if self.worked else 0


@dataclass(frozen=True, slots=True)
class Scale:
    """Consecutive years in one table: the office hours as a scale on which instants have their places.

    Instants are microseconds since 1970. A place is the working time since the scale was begun, in microseconds; it
    stays the same when years are laid out before or after, so that places can be added to and compared.
    """

    first: int
    """The first year ..."""
    last: int
    """... and the last one, included."""
    begins: int
    """Midnight of the first New Year ..."""
    ends: int
    """... and of the one after the last day."""
    lowest: int
    """The place of the beginning; not above 0."""
    opens: list[int]
    closes: list[int]
    places: list[int]
    """Where the intervals end."""
    highest: int
    """The place of the end."""

    def place_of(self, at: int) -> int:
        """Where an instant between beginning and end lies; outside office hours, where the office closed."""
        i = bisect_right(self.opens, at) - 1
        if i < 0:
            return self.lowest
        left = self.closes[i] - at
        return self.places[i] - left if left > 0 else self.places[i]

    def earliest_at(self, place: int) -> int:
        """The first instant of a place, lowest < place <= highest."""
        i = bisect_left(self.places, place)
        return self.closes[i] - (self.places[i] - place)

    def latest_at(self, place: int) -> int:
        """The last instant of a place, lowest <= place < highest."""
        i = bisect_right(self.places, place)
        return self.closes[i] - (self.places[i] - place)


def scale_of(number: int, year: Year, zone: tzinfo) -> Scale:
    """A scale of one year."""
    begins, ends = _new_year(number, zone), _new_year(number + 1, zone)
    return Scale(number, number, begins, ends, 0, year.opens, year.closes, year.worked, year.total)


def lengthened(scale: Scale, year: Year, zone: tzinfo, *, before: bool) -> Scale:
    """The scale with the year before it, or the one after it; places stay."""
    lowest = scale.lowest - year.total if before else scale.highest
    places = [lowest + amount for amount in year.worked]
    if before:
        return Scale(
            scale.first - 1,
            scale.last,
            _new_year(scale.first - 1, zone),
            scale.ends,
            lowest,
            year.opens + scale.opens,
            year.closes + scale.closes,
            places + scale.places,
            scale.highest,
        )
    return Scale(
        scale.first,
        scale.last + 1,
        scale.begins,
        _new_year(scale.last + 2, zone),
        scale.lowest,
        scale.opens + year.opens,
        scale.closes + year.closes,
        scale.places + places,
        scale.highest + year.total,
    )


def lay_out(year: int, zone: tzinfo, hours_on: Callable[[date], Hours]) -> Year:
    """The year as its zone's clocks show it: an interval across the change to summer time is an hour shorter."""
    laid = Year([], [], [], [])
    worked = 0
    last = _new_year(year, zone)
    for ordinal in range(date(year, 1, 1).toordinal(), date(year, 12, 31).toordinal() + 1):
        day = date.fromordinal(ordinal)
        hours = hours_on(day)
        if not hours:
            continue
        laid.days.append(ordinal)
        for opens, closes in hours:
            # An hour that summer time leaves out maps to later instants than the hour after it: keep them ascending.
            begin = max(last, _at(day, opens, zone))
            last = max(begin, _at(day, closes, zone))
            worked += last - begin
            laid.opens.append(begin)
            laid.closes.append(last)
            laid.worked.append(worked)
    return laid


def _new_year(number: int, zone: tzinfo) -> int:
    return _at(date(number, 1, 1), time.min, zone)


def _at(day: date, clock: time, zone: tzinfo) -> int:
    return ticks(datetime.combine(day, clock, tzinfo=zone))
