"""Who comes when: every day of every desk has its own draw, so that a day is the same in whatever period it lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import accumulate
from random import Random
from typing import Final

from deploy.simulate.model import Model
from deploy.simulate.town import Procedure, Town
from shared.calendar import WorkingCalendar
from shared.events import Channel

_DAY: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Arrival:
    """A citizen hands something in. ``name`` is its own in the town, the same every time."""

    name: str
    unit: str
    procedure: Procedure
    channel: Channel
    received: datetime


@dataclass(frozen=True, slots=True)
class Period:
    """From a day to a day, both included. ``name`` is what was asked for: 2019, 2019-03, 2019-03-04."""

    name: str
    first: date
    last: date

    @property
    def days(self) -> Iterator[date]:
        """Each day of it."""
        for number in range((self.last - self.first).days + 1):
            yield self.first + number * _DAY


def period_of(name: str) -> Period:
    """A year, a month or a day, by its name. Raises ValueError for anything else."""
    match [int(part) for part in name.split("-")]:
        case [year]:
            return Period(name, date(year, 1, 1), date(year, 12, 31))
        case [year, month]:
            first = date(year, month, 1)
            return Period(name, first, (first + timedelta(days=31)).replace(day=1) - _DAY)
        case [year, month, day]:
            return Period(name, date(year, month, day), date(year, month, day))
        case _:
            raise ValueError(f"{name} is no period")


def arrivals(town: Town, model: Model, period: Period, seed: int, volume: int) -> list[Arrival]:
    """Everybody who comes in a period, in the order in which they come. ``volume``: dossiers of a whole year."""
    found: list[Arrival] = []
    for door, share in doors(town, model).items():
        calendar = town.calendar_of(door)
        rhythms = {year: _Rhythm.of(calendar, model, year) for year in range(period.first.year, period.last.year + 1)}
        for day in period.days:
            if town.units[door].is_there(day):
                expected = volume * share * rhythms[day.year].part_of(day)
                found.extend(_of_a_day(town, model, door, day, Random(f"{seed}/{door}/{day}"), expected))
    found.sort(key=lambda one: (one.received, one.name))
    return found


def doors(town: Town, model: Model) -> dict[str, float]:
    """The units where somebody can hand something in, with their shares of the whole; they add up to 1.

    The town's own desk takes its share of what the town decides; the communes have the rest in equal parts.
    """
    able = sorted(town.done_at)
    towns = [code for code in able if town.units[code].level == "town"]
    communes = [code for code in able if code not in towns]
    at_towns = (model.at_town_desk * model.town_level if communes else 1.0) if towns else 0.0
    shares = {code: at_towns / len(towns) for code in towns}
    return shares | {code: (1 - at_towns) / len(communes) for code in communes}


def a_procedure(town: Town, model: Model, door: str, draw: Random) -> Procedure:
    """What somebody comes for: of those that can be handed in at the unit, by their frequency."""
    able = town.done_at[door]
    at_town = town.units[door].level == "town"
    own = [one for one in able if (one.level == "commune") != at_town]
    wants_town = at_town or draw.random() < _town_level_at_communes(model)
    level = [one for one in able if (one.level != "commune") == wants_town] or own or able
    return draw.choices(level, [model.procedure.get(one.code, model.other_procedure) for one in level])[0]


def _town_level_at_communes(model: Model) -> float:
    return model.town_level * (1 - model.at_town_desk) / (1 - model.town_level * model.at_town_desk)


def a_channel(model: Model, draw: Random) -> Channel:
    """How it is handed in."""
    return Channel(draw.choices(list(model.channel), list(model.channel.values()))[0])


def desk_time(calendar: WorkingCalendar, model: Model, day: date, draw: Random) -> datetime:
    """A moment of a working day at which somebody stands at the desk, by the hour's frequency."""
    for _ in range(200):
        moment = _at(calendar, day, draw, model.desk_hour)
        if any(start <= moment.time() < end for start, end in calendar.hours_on(day)):
            return moment.astimezone(UTC)
    start = calendar.hours_on(day)[0][0]
    return (
        calendar.local(datetime(day.year, day.month, day.day, tzinfo=UTC))
        .replace(hour=start.hour, minute=start.minute, second=draw.randrange(60))
        .astimezone(UTC)
    )


def _of_a_day(town: Town, model: Model, door: str, day: date, draw: Random, expected: float) -> Iterator[Arrival]:
    calendar = town.calendar_of(door)
    for number in range(_poisson(draw, expected)):
        channel = a_channel(model, draw)
        if not calendar.is_working_day(day) and channel is not Channel.ONLINE:
            continue
        if channel is Channel.ONLINE:
            received = _at(calendar, day, draw, model.online_hour).astimezone(UTC)
        else:
            received = desk_time(calendar, model, day, draw)
        procedure = a_procedure(town, model, door, draw)
        yield Arrival(f"{door}/{day}/{number}", door, procedure, channel, received)


def _at(calendar: WorkingCalendar, day: date, draw: Random, hours: Mapping[int, float]) -> datetime:
    hour = draw.choices(list(hours), list(hours.values()))[0]
    zone = calendar.local(datetime(day.year, day.month, day.day, tzinfo=UTC)).tzinfo
    return datetime.combine(day, time(hour, draw.randrange(60), draw.randrange(60)), tzinfo=zone)


def _poisson(draw: Random, expected: float) -> int:
    """How many came, when so many were to be expected: events whose gaps are exponential."""
    count, passed = 0, draw.expovariate(1.0)
    while passed < expected:
        count, passed = count + 1, passed + draw.expovariate(1.0)
    return count


@dataclass(frozen=True, slots=True)
class _Rhythm:
    """What part of a year's dossiers falls on a day at one desk; the parts of those who come add up to 1."""

    calendar: WorkingCalendar
    model: Model
    tet: tuple[date, date] | None
    whole: float

    @classmethod
    def of(cls, calendar: WorkingCalendar, model: Model, year: int) -> _Rhythm:
        bare = cls(calendar, model, _tet(calendar, year), 1.0)
        days = [date(year, 1, 1) + number * _DAY for number in range(366 if _is_leap(year) else 365)]
        online = model.channel["online"] / sum(model.channel.values())
        weights = (bare._weight(day) * (1.0 if calendar.is_working_day(day) else online) for day in days)
        return cls(calendar, model, bare.tet, list(accumulate(weights))[-1])

    def part_of(self, day: date) -> float:
        return self._weight(day) / self.whole

    def _weight(self, day: date) -> float:
        weight = self.model.weekday[day.weekday()] * self.model.month[day.month - 1]
        if not self.calendar.is_working_day(day):
            weight = min(weight, self.model.weekday[5] * self.model.month[day.month - 1])
        if self.tet is not None:
            first, last = self.tet
            if first - self.model.before_tet[1] * _DAY <= day < first:
                weight *= self.model.before_tet[0]
            elif last < day <= last + self.model.after_tet[1] * _DAY:
                weight *= self.model.after_tet[0]
        return weight


def _tet(calendar: WorkingCalendar, year: int) -> tuple[date, date] | None:
    """The first and the last day of the longest time that the office is shut between mid-January and the end of
    February: that is Tết, whatever the moon says; None where the calendar knows no holidays then."""
    longest: tuple[date, date] | None = None
    day, end = date(year, 1, 15), date(year, 3, 1)
    while day < end:
        last = day
        while not calendar.is_working_day(last):
            last += _DAY
        if last != day and (longest is None or (last - day) > (longest[1] - longest[0]) + _DAY):
            longest = day, last - _DAY
        day = last + _DAY
    return longest if longest is not None and (longest[1] - longest[0]).days >= 3 else None


def _is_leap(year: int) -> bool:
    return date(year, 12, 31).timetuple().tm_yday == 366
