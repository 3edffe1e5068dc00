"""Years of a calendar, laid out so that a question costs two bisections instead of a walk from day to day."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
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


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive years in one table, so that working time is counted through New Year like through any other night.

    Instants are microseconds since 1970, amounts are microseconds of working time since the span's beginning.
    """

    first: int
    """The first year ..."""
    last: int
    """... and the last one, included."""
    begins: int
    """Midnight of the first New Year ..."""
    ends: int
    """... and of the one after the last day."""
    opens: list[int]
    closes: list[int]
    worked: list[int]

    @property
    def total(self) -> int:
        return self.worked[-1] if self.worked else 0

    def worked_by(self, at: int) -> int:
        """The working time of the span that lies before an instant."""
        i = bisect_right(self.opens, at) - 1
        if i < 0:
            return 0
        left = self.closes[i] - at
        return self.worked[i] - left if left > 0 else self.worked[i]

    def earliest_with(self, amount: int) -> int:
        """The first instant by which the span has worked this amount, 0 < amount <= total."""
        i = bisect_left(self.worked, amount)
        return self.closes[i] - (self.worked[i] - amount)

    def latest_with(self, amount: int) -> int:
        """The last instant by which the span has worked no more than this amount, 0 <= amount < total."""
        i = bisect_right(self.worked, amount)
        return self.closes[i] - (self.worked[i] - amount)


def join(first: int, years: Sequence[Year], zone: tzinfo) -> Span:
    """Consecutive years from the first on as one span."""
    last = first + len(years) - 1
    worked: list[int] = []
    for year in years:
        before = worked[-1] if worked else 0
        worked.extend(before + amount for amount in year.worked)
    return Span(
        first,
        last,
        _at(date(first, 1, 1), time.min, zone),
        _at(date(last + 1, 1, 1), time.min, zone),
        [at for year in years for at in year.opens],
        [at for year in years for at in year.closes],
        worked,
    )


def lay_out(year: int, zone: tzinfo, hours_on: Callable[[date], Hours]) -> Year:
    """The year as its zone's clocks show it: an interval across the change to summer time is an hour shorter."""
    laid = Year([], [], [], [])
    worked = 0
    last = _at(date(year, 1, 1), time.min, zone)
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


def _at(day: date, clock: time, zone: tzinfo) -> int:
    return ticks(datetime.combine(day, clock, tzinfo=zone))
