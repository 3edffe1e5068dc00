"""The town as its services tell it: units, officers, routes, procedures, calendars. Frozen; nothing is asked here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, time
from functools import cached_property
from typing import Any, Literal, TypeAlias

from shared.calendar import Term, TermUnit, WorkingCalendar
from shared.events import Channel, StageRole

Kind: TypeAlias = Literal["work", "posting", "citizen"]


@dataclass(frozen=True, slots=True)
class Unit:
    code: str
    level: str
    parent: str | None
    calendar: str
    valid_from: date
    valid_to: date | None

    def is_there(self, day: date) -> bool:
        """Whether the unit exists on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Officer:
    """An appointment: at a unit, in roles, for sectors (none: every one)."""

    id: str
    unit: str
    roles: frozenset[str]
    sectors: frozenset[str]
    valid_from: date
    valid_to: date | None

    def is_there(self, day: date) -> bool:
        """Whether the appointment holds on a day."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a route. ``weight``: its part of the whole, in whatever the route counts. ``term``: of a posting.

    ``parallel``: it runs beside its neighbours that are so too.
    """

    name: str
    kind: Kind
    place: str
    unit: str | None
    role: str | None
    weight: float
    term: Term | None
    parallel: bool = False


@dataclass(frozen=True, slots=True)
class Procedure:
    code: str
    sector: str
    level: str
    term: Term
    terms: Mapping[Channel, Term]
    has_fee: bool
    stages: tuple[Stage, ...]

    def term_for(self, channel: Channel) -> Term:
        """The term of a channel: its own, or the general one."""
        return self.terms.get(channel, self.term)

    def step_of(self, number: int) -> range:
        """The stages that begin together with one: itself, or all branches of its fork."""
        first, last = number, number
        if self.stages[number].parallel:
            while first and self.stages[first - 1].parallel:
                first -= 1
            while last + 1 < len(self.stages) and self.stages[last + 1].parallel:
                last += 1
        return range(first, last + 1)


@dataclass(frozen=True)
class Town:
    """Who works where, and what is done there."""

    units: Mapping[str, Unit]
    officers: tuple[Officer, ...]
    procedures: tuple[Procedure, ...]
    calendars: Mapping[str, WorkingCalendar]

    def calendar_of(self, unit: str) -> WorkingCalendar:
        """The calendar that a unit works by."""
        return self.calendars[self.units[unit].calendar]

    def place_of(self, stage: Stage, receiving: str) -> str:
        """At which unit a stage is, for what a unit received; a unit without a parent does both."""
        if stage.unit is not None:
            return stage.unit
        return receiving if stage.place == "receiving" else self.units[receiving].parent or receiving

    def can_do(self, procedure: Procedure, receiving: str) -> bool:
        """Whether there is somebody for every stage."""
        return all(
            (self.place_of(stage, receiving), stage.role) in self._staffed
            for stage in procedure.stages
            if stage.kind == "work"
        )

    @cached_property
    def _staffed(self) -> frozenset[tuple[str, str]]:
        return frozenset((one.unit, role) for one in self.officers for role in one.roles)

    @cached_property
    def done_at(self) -> Mapping[str, tuple[Procedure, ...]]:
        """What can be handed in at each door, where there is anything."""
        able = {door: tuple(one for one in self.procedures if self.can_do(one, door)) for door in self.doors}
        return {door: procedures for door, procedures in able.items() if procedures}

    @property
    def doors(self) -> list[str]:
        """The units where dossiers are handed in, by code."""
        return sorted(code for code, unit in self.units.items() if unit.level in {"commune", "town"})


@dataclass(frozen=True, slots=True)
class NotReady:
    """Why this town cannot be simulated, in one sentence that says what to do."""

    sentence: str


def town_of(
    units: Sequence[Mapping[str, Any]],
    officers: Sequence[Mapping[str, Any]],
    routes: Sequence[Mapping[str, Any]],
    procedures: Sequence[Mapping[str, Any]],
    calendars: Mapping[str, WorkingCalendar],
) -> Town | NotReady:
    """The town out of what routing and intake answered, or what it lacks."""
    if not units:
        return NotReady("The town has no units: publish them with PUT /routing/units, or start with `lienthong up`.")
    if not officers:
        return NotReady("The town has no officers: appoint them with PUT /routing/officers, then simulate.")
    by_code = {str(one["code"]): one for one in routes}
    by_level = {str(one["level"]): one for one in routes if one.get("level")}
    made = [
        _procedure(one, by_code.get(str(one.get("route"))) or by_level.get(str(one["level"])) or by_level["commune"])
        for one in procedures
        if one["sector"] != "Phát lại nhật ký"
    ]
    if not made:
        return NotReady("The town has no procedures: import some with `lienthong catalogue import`, then simulate.")
    town = Town(
        {str(one["code"]): _unit(one) for one in units if one["level"] != "replay"},
        tuple(sorted((_officer(one) for one in officers), key=lambda one: (one.id, one.valid_from))),
        tuple(sorted(made, key=lambda one: one.code)),
        calendars,
    )
    if not town.done_at:
        return NotReady("No procedure has an officer at each of its stages: appoint some with PUT /routing/officers.")
    return town


def _unit(one: Mapping[str, Any]) -> Unit:
    return Unit(one["code"], one["level"], one["parent"], one["calendar"], *_days(one))


def _officer(one: Mapping[str, Any]) -> Officer:
    return Officer(one["id"], one["unit"], frozenset(one["roles"]), frozenset(one["sectors"]), *_days(one))


def _days(one: Mapping[str, Any]) -> tuple[date, date | None]:
    return date.fromisoformat(one["valid_from"]), date.fromisoformat(one["valid_to"]) if one["valid_to"] else None


def _procedure(one: Mapping[str, Any], route: Mapping[str, Any]) -> Procedure:
    return Procedure(
        one["code"],
        one["sector"],
        one["level"],
        _term(one["term"]),
        {Channel(name): _term(term) for name, term in one["terms"].items()},
        any(one["fees"].values()),
        tuple(_stage(stage) for stage in route["stages"]),
    )


def _term(given: Mapping[str, Any]) -> Term:
    cutoff = given.get("cutoff")
    return Term(given["value"], TermUnit(given["unit"]), time.fromisoformat(cutoff) if cutoff else None)


def _stage(one: Mapping[str, Any]) -> Stage:
    budget = one.get("budget")
    days = _days_of(budget) if budget else 0.0
    role = one.get("role")
    return Stage(
        one["name"],
        one.get("kind", "work"),
        one["place"],
        one.get("unit"),
        StageRole(role).value if role else None,
        days or float(one.get("share") or 0) or 0.1,
        Term(int(budget["value"]), TermUnit(budget["unit"])) if budget and one.get("kind") == "posting" else None,
        bool(one.get("parallel")),
    )


def _days_of(budget: Mapping[str, Any]) -> float:
    return float(budget["value"]) / (8 if budget["unit"] == "hour" else 1)
