"""A calendar as plain JSON, as the event `CalendarPublished` and the form of the calendar's editor carry it."""

from collections.abc import Mapping
from datetime import date, time
from typing import Any, cast

from shared.calendar.hours import CalendarError, Hours, Season, Week
from shared.calendar.working import FIRST_YEAR, LAST_YEAR, WorkingCalendar

_FIELDS = frozenset(
    {"code", "version", "zone", "week", "seasons", "days_off", "worked_days", "known_from", "known_until"}
)


def to_data(calendar: WorkingCalendar) -> dict[str, Any]:
    """The calendar in strings, numbers, lists and objects; equal calendars give equal data."""
    return {
        "code": calendar.code,
        "version": calendar.version,
        "zone": calendar.zone,
        "week": _week_data(calendar.week),
        "seasons": [
            {"first": season.first.isoformat(), "last": season.last.isoformat(), "week": _week_data(season.week)}
            for season in calendar.seasons
        ],
        "days_off": [day.isoformat() for day in sorted(calendar.days_off)],
        "worked_days": {day.isoformat(): _hours_data(hours) for day, hours in sorted(calendar.worked_days.items())},
        "known_from": calendar.known_from.isoformat(),
        "known_until": calendar.known_until.isoformat(),
    }


def from_data(data: object) -> WorkingCalendar:
    """The calendar that `to_data` gave. Raises CalendarError, which names the field, for anything else."""
    fields = _object("calendar", data, _FIELDS)
    days_off = [_day(f"days_off.{i}", day) for i, day in enumerate(_list("days_off", fields["days_off"]))]
    if len(set(days_off)) != len(days_off):
        raise CalendarError("days_off", "names a day twice")
    return WorkingCalendar(
        code=_text("code", fields["code"]),
        version=_whole("version", fields["version"]),
        zone=_text("zone", fields["zone"]),
        week=_week("week", fields["week"]),
        seasons=tuple(_season(f"seasons.{i}", season) for i, season in enumerate(_list("seasons", fields["seasons"]))),
        days_off=frozenset(days_off),
        worked_days={
            _day("worked_days", day): _hours(f"worked_days.{day}", hours)
            for day, hours in _object("worked_days", fields["worked_days"]).items()
        },
        known_from=_day("known_from", fields["known_from"]),
        known_until=_day("known_until", fields["known_until"]),
    )


def _hours_data(hours: Hours) -> list[list[str]]:
    return [[_clock_data(opens), _clock_data(closes)] for opens, closes in hours]


def _clock_data(clock: time) -> str:
    return clock.isoformat("auto" if clock.second or clock.microsecond else "minutes")


def _week_data(week: Week) -> dict[str, list[list[str]]]:
    return {str(number): _hours_data(day) for number, day in enumerate(week, start=1)}


def _season(field: str, data: object) -> Season:
    fields = _object(field, data, frozenset({"first", "last", "week"}))
    first, last = _day(f"{field}.first", fields["first"]), _day(f"{field}.last", fields["last"])
    return Season(first, last, _week(f"{field}.week", fields["week"]))


def _week(field: str, data: object) -> Week:
    days = _object(field, data, frozenset("1234567"))
    return cast("Week", tuple(_hours(f"{field}.{number}", days[number]) for number in "1234567"))


def _hours(field: str, data: object) -> Hours:
    return tuple(_interval(field, interval) for interval in _list(field, data))


def _interval(field: str, data: object) -> tuple[time, time]:
    ends = _list(field, data)
    if len(ends) != 2:
        raise CalendarError(field, "an interval is two times: when the office opens and when it closes")
    return _clock(field, ends[0]), _clock(field, ends[1])


def _clock(field: str, data: object) -> time:
    text = _text(field, data)
    try:
        clock = time.fromisoformat(text)
    except ValueError:
        clock = None
    # fromisoformat takes "0730" and "T07:30" too; one spelling, so that equal calendars have equal data.
    if clock is None or clock.tzinfo is not None or text != _clock_data(clock):
        raise CalendarError(field, "a time is written like 07:30")
    return clock


def _day(field: str, data: object) -> date:
    text = _text(field, data)
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or text != day.isoformat():
        raise CalendarError(field, "a day is written like 2019-05-04")
    if not FIRST_YEAR <= day.year <= LAST_YEAR:
        raise CalendarError(field, f"{day} lies outside {FIRST_YEAR}..{LAST_YEAR}")
    return day


def _text(field: str, data: object) -> str:
    if not isinstance(data, str):
        raise CalendarError(field, "is not text")
    return data


def _whole(field: str, data: object) -> int:
    if not isinstance(data, int) or isinstance(data, bool):
        raise CalendarError(field, "is not a whole number")
    return data


def _list(field: str, data: object) -> list[object]:
    if not isinstance(data, list):
        raise CalendarError(field, "is not a list")
    return data


def _object(field: str, data: object, names: frozenset[str] | None = None) -> Mapping[str, object]:
    if not isinstance(data, Mapping):
        raise CalendarError(field, "is not an object")
    if names is not None and data.keys() != names:
        differing = ", ".join(sorted(str(name) for name in data.keys() ^ names))
        raise CalendarError(field, f"has exactly the fields {', '.join(sorted(names))}; look at {differing}")
    return data
