"""The sample town as it is published: calendars, units with their heads, officers, routes, procedures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from deploy.sample.calendars import DESK_WEEK, OFFICE_WEEK, vietnam_calendar
from shared.calendar import to_data

DIGITS: Final = "99"
"""Where the two digits of the town's code belong; the real ones are not known (LIENTHONG_UNIT_DIGITS)."""

_HERE: Final = Path(__file__).parent
_OFFICE: Final = "hoang-mai-office"
_CALENDARS: Final = {_OFFICE: OFFICE_WEEK, "hoang-mai-desk": DESK_WEEK}
_FIRST_YEAR: Final = 2016
_STAFF: Final = {
    "commune": {"desk": 2, "officer": 3},
    "town": {"specialist": 3},
    "province": {"specialist": 2},
}
_TOWN_DESK: Final = {"desk": 4, "leader": 2}
"""What the town's own committee has besides: the one-stop desk, and deputies who sign."""


@dataclass(frozen=True)
class Town:
    """Everything of the sample that is published. ``digits``: those of the town in every unit code."""

    digits: str = DIGITS

    def code(self, pattern: str) -> str:
        """A unit code with the town's digits in their place."""
        return pattern.replace(".NN.", f".{self.digits}.")

    def calendars(self, last_year: int) -> dict[str, dict[str, Any]]:
        """Office hours, and those of a desk that opens on Saturday morning too: 2016 up to a year."""
        return {
            code: to_data(vietnam_calendar(code, first_year=_FIRST_YEAR, last_year=last_year, week=week))
            for code, week in _CALENDARS.items()
        }

    @cached_property
    def units(self) -> dict[str, dict[str, Any]]:
        """Bodies of units by code; whoever is above another comes first."""
        given = _data("units.json")
        units: dict[str, dict[str, Any]] = {}
        for one in given["units"]:
            code = self.code(one["code"])
            is_below = one["level"] != "province" and units
            units[code] = {
                "name": one["name"],
                "level": one["level"],
                "calendar": _OFFICE,
                "valid_from": given["valid_from"],
                "head": f"mau-thu-truong-{one['key']}",
                **({"parent": next(iter(units))} if is_below else {}),
            }
        return units

    @cached_property
    def keys(self) -> dict[str, str]:
        """A short name of each unit, which its officers' ids carry."""
        return {self.code(one["code"]): one["key"] for one in _data("units.json")["units"]}

    @cached_property
    def officers(self) -> dict[str, dict[str, Any]]:
        """Bodies of appointments by pseudonym: each unit's head, and those who work there."""
        since = _data("units.json")["valid_from"]
        return {
            ident: {"unit": code, "roles": [role], "valid_from": since}
            for code, unit in self.units.items()
            for ident, role in self._officers_of(code, unit)
        }

    def _officers_of(self, code: str, unit: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield unit["head"], "leader"
        staff = _STAFF[unit["level"]] | (_TOWN_DESK if code == next(iter(self.units)) else {})
        for role, count in staff.items():
            for number in range(1, count + 1):
                yield self.officer(code, role, number), role

    def officer(self, unit: str, role: str, number: int = 1) -> str:
        """The pseudonym of somebody at a unit; a leader without deputies is its head."""
        if role == "leader" and unit != next(iter(self.units)):
            return str(self.units[unit]["head"])
        return f"mau-{self.keys[unit]}-{role}-{number}"

    @cached_property
    def routes(self) -> dict[str, dict[str, Any]]:
        """Bodies of routes by code."""
        return {
            code: {"stages": [stage for step in steps for stage in self._step(step)]}
            for code, steps in _data("routes.json")["routes"].items()
        }

    def _step(self, written: Sequence[Any]) -> list[dict[str, Any]]:
        """One stage, or a list of those that run in parallel."""
        if isinstance(written[0], str):
            return [self._stage(written)]
        return [{**self._stage(branch), "parallel": True} for branch in written]

    def _stage(self, written: Sequence[Any]) -> dict[str, Any]:
        """A stage as routes.json writes it: name, place or kind, role, then a share, or a value and its unit."""
        name, place, *rest = written
        if place == "citizen":
            return {"name": name, "kind": "citizen", "place": "receiving"}
        if place == "posting":
            return {"name": name, "kind": "posting", "place": "receiving", "budget": _budget(rest)}
        where = {"place": place} if "." not in place else {"place": "named", "unit": self.code(place)}
        role, *length = rest
        return {"name": name, **where, "role": role} | (
            {"share": length[0]} if len(length) == 1 else {"budget": _budget(length)}
        )

    @cached_property
    def procedures(self) -> list[dict[str, Any]]:
        """Bodies of procedures, by code."""
        procedures: list[dict[str, Any]] = _data("procedures.json")["procedures"]
        return procedures


def _budget(written: Sequence[Any]) -> dict[str, Any]:
    value, unit = written
    return {"value": value, "unit": unit}


def _data(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_HERE / name).read_text(encoding="utf-8"))
    return content
