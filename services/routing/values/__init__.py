"""The frozen values that routing's rules, handlers and store share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Final, Literal, TypeAlias

from msgspec import Struct

from services.routing.values.asking import (
    Action,
    Adopt,
    Command,
    Finish,
    HandOver,
    NotTheirs,
    RecordStep,
    Refused,
    RequestFee,
    RequestSupplement,
    Resume,
    SendBack,
)
from shared.calendar import LENGTHS, TermUnit, WorkingCalendar
from shared.events import Scope, StageRole

__all__ = [
    "AS_RECORDED",
    "Action",
    "Adopt",
    "Branch",
    "Budget",
    "Command",
    "Entry",
    "EntryKind",
    "Finish",
    "HandOver",
    "Head",
    "Journey",
    "Known",
    "Level",
    "NotPublished",
    "NotTheirs",
    "Officer",
    "Place",
    "Procedure",
    "RecordStep",
    "Refused",
    "RequestFee",
    "RequestSupplement",
    "Resume",
    "Route",
    "Rung",
    "SendBack",
    "Stage",
    "StageKind",
    "State",
    "Timer",
    "Unit",
    "Unsaved",
    "WorkItem",
]

Level: TypeAlias = Literal["commune", "town", "province", "replay"]
State: TypeAlias = Literal["moving", "paused", "done", "withdrawn"]
Rung: TypeAlias = Literal["near", "reached", "passed", "over"]
"""What a timer says; ``over`` says nothing of a deadline: a public posting has ended."""
StageKind: TypeAlias = Literal["work", "posting", "citizen"]
Place: TypeAlias = Literal["receiving", "parent", "named"]
EntryKind: TypeAlias = Literal[
    "started", "paused", "resumed", "extended", "transferred", "ended", "finished", "withdrawn"
]

_NO_TIME: Final = timedelta(0)

AS_RECORDED: Final = "as_recorded"
"""The route of a replayed dossier: its stages are whatever the record names."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A version of a unit: what it is from a day on, until a later version's day."""

    code: str
    version: int
    name: str
    level: Level
    parent: str | None
    calendar: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Head:
    """Who answers for a unit, from a day on and up to a day inclusive (None: until another follows)."""

    unit: str
    officer: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Officer:
    """A version of an appointment: at which unit an officer is what, from a day on, until a later version's day.

    ``id`` is a pseudonym. ``roles`` and ``sectors`` are sorted; no sector means every one.
    """

    id: str
    version: int
    unit: str
    roles: tuple[StageRole, ...]
    sectors: tuple[str, ...]
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Procedure:
    """What routing keeps of intake's catalogue: the newest version of a procedure, the level that decides it, and the
    route that it names. ``length`` is that of its shortest term (shared.calendar.lengths)."""

    version: int
    level: str
    route: str | None = None
    length: int | None = None


@dataclass(frozen=True, slots=True)
class Budget:
    """The time that a stage has of its own, in quarters of a unit (a same-day one has 0)."""

    quarters: int
    unit: TermUnit

    @property
    def length(self) -> int:
        """For adding up (shared.calendar.lengths)."""
        return self.quarters * LENGTHS[self.unit] // 4


@dataclass(frozen=True, slots=True)
class Stage:
    """A step of a route: where it happens, who sits there, and its time: a share of the term, or a budget of its own.

    ``posting``: a public posting of fixed length; nobody acts, it ends by itself. ``citizen``: the clock stands until
    the citizen has done what a notice asks (a tax); it has no time of its own. ``unit``: where the place is ``named``.
    """

    name: str
    place: Place
    role: StageRole | None
    share: int = 0
    budget: Budget | None = None
    unit: str | None = None
    kind: StageKind = "work"
    parallel: bool = False
    """A branch: it runs beside its neighbours that are branches too; the stage after them joins."""


@dataclass(frozen=True, slots=True)
class Route:
    """A version of a route: stages in order. ``level``: of the procedures that take it when they name none.

    ``shares``: what the shares of the stages add up to; of a fork the largest counts.
    """

    code: str
    level: str | None
    stages: tuple[Stage, ...]
    version: int = 1
    shares: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        shares = sum(max(self.stages[number].share for number in step) for step in self.steps)
        object.__setattr__(self, "shares", shares)

    @property
    def length(self) -> int:
        """Of all stages together (shared.calendar.lengths), of a fork the longest branch; 0 where they share whatever
        term there is."""
        budgets = ((self.stages[number].budget for number in step) for step in self.steps)
        return sum(max(one.length if one is not None else 0 for one in step) for step in budgets)

    @property
    def steps(self) -> tuple[range, ...]:
        """Numbers of the stages that begin together: one, or the branches of a fork."""
        steps, number = [], 0
        while number < len(self.stages):
            steps.append(self.step_of(number))
            number = steps[-1].stop
        return tuple(steps)

    def step_of(self, number: int) -> range:
        """The step to which a stage belongs; what comes after it begins at its ``stop``."""
        first, last = number, number
        if self.stages[number].parallel:
            while first and self.stages[first - 1].parallel:
                first -= 1
            while last + 1 < len(self.stages) and self.stages[last + 1].parallel:
                last += 1
        return range(first, last + 1)


@dataclass(frozen=True, slots=True)
class NotPublished:
    """A field that contradicts what there is, and what to do."""

    field: str
    detail: str
    do: str


# What is made for every event is a Struct (decision 0020).
class Entry(Struct, frozen=True):
    """A line of the deadline ledger. ``seconds`` is working time: a budget (started) or a credit (resumed)."""

    number: int
    kind: EntryKind
    run: int
    at: datetime
    stage: str | None = None
    unit: str | None = None
    officer: str | None = None
    seconds: int | None = None
    reason: str | None = None


class Timer(Struct, frozen=True):
    """The next rung of a clock; unique on (dossier, scope, run, rung, generation). Each clock has at most one.

    ``run`` is 0 for the dossier's own clock. A generation belongs to a due instant: what moves it makes the next one.
    """

    scope: Scope
    run: int
    rung: Rung
    generation: int
    fires_at: datetime


class Unsaved(Struct, frozen=True):
    """What a decision adds to the store besides the journey itself.

    ``clocks`` are set anew: their timers make way for ``timers``. A clock that is not named keeps its timer.
    """

    entries: tuple[Entry, ...] = ()
    clocks: frozenset[Scope] = frozenset()
    timers: tuple[Timer, ...] = ()
    is_new: bool = False
    is_adopted: bool = False
    rewrites_branches: bool = False

    def with_clocks(self, clocks: frozenset[Scope], timers: tuple[Timer, ...], *entries: Entry) -> Unsaved:
        """Some clocks set anew, and entries added; what was decided of the other clock before stays."""
        if self.timers:
            timers = (*(one for one in self.timers if one.scope not in clocks), *timers)
        return Unsaved(
            (*self.entries, *entries),
            self.clocks | clocks,
            timers,
            self.is_new,
            self.is_adopted,
            self.rewrites_branches,
        )


class Branch(Struct, frozen=True):
    """One of several runs that are open together: a stage as a journey has one, with its own clock's next rung."""

    run: int
    stage: str
    stage_number: int
    unit: str
    role: StageRole | None
    officer: str | None
    started: datetime
    budget_minutes: int
    credit: timedelta
    due: datetime
    timer: Timer | None = None


class Journey(Struct, frozen=True):
    """Where a dossier is, who holds it, and how its clocks stand. What has a default is so before the first stage.

    ``branches``: all open runs, ascending, while there are several (decision 0080); the fields of the stage are then
    those of one of them, the front: the lowest, save while somebody acts on another. ``last_run``: the highest run that
    was given where it is not the front's, else 0.
    """

    dossier: str
    procedure: str
    route: str
    route_version: int
    receiving_unit: str
    calendar: str
    calendar_version: int
    origin: str | None
    unit: str
    received: datetime
    promise: datetime
    due: datetime
    stage_started: datetime
    stage_due: datetime
    last_at: datetime
    state: State = "moving"
    stage: str = ""
    stage_number: int = 0
    run: int = 0
    role: StageRole | None = None
    officer: str | None = None
    credit: timedelta = _NO_TIME
    stage_budget_minutes: int = 0
    stage_credit: timedelta = _NO_TIME
    generation: int = 1
    paused_at: datetime | None = None
    pause_reason: str | None = None
    supplements: int = 0
    entries: int = 0
    last_run: int = 0
    branches: tuple[Branch, ...] = ()
    unsaved: Unsaved = Unsaved()

    @property
    def next_run(self) -> int:
        """The number of the run that begins next."""
        return max(self.run, self.last_run) + 1

    @property
    def is_open(self) -> bool:
        """Still on its way."""
        return self.state in {"moving", "paused"}


@dataclass(frozen=True, slots=True)
class Known:
    """What routing knows besides the journeys: its units and routes (every version, newest first), its calendars, and
    intake's procedures."""

    units: Mapping[str, tuple[Unit, ...]]
    calendars: Mapping[tuple[str, int], WorkingCalendar]
    routes: Mapping[str, tuple[Route, ...]]
    procedures: Mapping[str, Procedure]

    def route_for(self, procedure: Procedure) -> Route | None:
        """The newest version of the route that a procedure names, else of its level's, else of the commune's."""
        if procedure.route is not None:
            return self.routes[procedure.route][0] if procedure.route in self.routes else None
        for level in (procedure.level, "commune"):
            for versions in self.routes.values():
                if versions[0].level == level:
                    return versions[0]
        return None

    def route_of(self, journey: Journey) -> Route:
        """The route by which a dossier began. StopIteration cannot be: a version never goes away."""
        return next(one for one in self.routes[journey.route] if one.version == journey.route_version)

    def calendar_of(self, journey: Journey) -> WorkingCalendar:
        """The calendar by which a dossier was promised. KeyError cannot be: it was known when the journey began."""
        return self.calendars[journey.calendar, journey.calendar_version]


@dataclass(frozen=True, slots=True)
class WorkItem:
    """A line of a worklist."""

    dossier: str
    procedure: str
    state: State
    stage: str
    run: int
    unit: str
    role: StageRole | None
    officer: str | None
    received: datetime
    promise: datetime
    due: datetime
    stage_due: datetime
    pause_reason: str | None
    version: int
