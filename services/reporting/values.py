"""The frozen values that reporting's rules, handlers and store share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Any, Literal, TypeAlias

from shared.events import Channel
from shared.topics import Service


class Status(IntEnum):
    """The statuses of the national portal (TrangThaiHoSo) that can be heard of; the others come with their events."""

    RECEIVED = 2
    IN_PROCESS = 4
    WAITS_FOR_SUPPLEMENT = 5
    WAITS_FOR_FEE = 6
    WITHDRAWN = 7
    RESULT_READY = 9
    RESULT_HANDED_OVER = 10


class Standing(StrEnum):
    """How a dossier stands against its deadlines. Each has exactly one, so that the parts add up to the whole."""

    ON_TIME = "on_time"
    NEAR = "near"
    LATE = "late"
    PAUSED = "paused"
    DONE = "done"
    WITHDRAWN = "withdrawn"


OPEN = frozenset({Standing.ON_TIME, Standing.NEAR, Standing.LATE, Standing.PAUSED})
"""Still on its way."""


@dataclass(frozen=True, slots=True)
class Run:
    """One of several stages of a dossier that are open together, and how its own clock stands."""

    run: int
    unit: str
    stage: str
    officer: str | None
    due: datetime | None
    near: bool = False
    late: bool = False


def runs_of(written: str | None) -> tuple[Run, ...]:
    """The open runs that a column holds."""
    if written is None:
        return ()
    return tuple(
        Run(**{**one, "due": datetime.fromisoformat(one["due"]) if one["due"] else None}) for one in json.loads(written)
    )


def written_runs(runs: Sequence[Run]) -> str | None:
    """Open runs for the column; None where there are not several."""
    if len(runs) < 2:
        return None
    return json.dumps([{**asdict(one), "due": one.due.isoformat() if one.due else None} for one in runs])


@dataclass(frozen=True, slots=True)
class Dossier:
    """A dossier as it stands now. The fields are those of the table, in its order; who owns which is told there."""

    dossier: str
    origin: str | None
    as_of: datetime
    code: str | None = None
    procedure: str | None = None
    receiving_unit: str | None = None
    channel: str | None = None
    calendar: str | None = None
    received: datetime | None = None
    promise: datetime | None = None
    withdrawal_requested: datetime | None = None
    handed_over: datetime | None = None
    phase: int | None = None
    stage: str | None = None
    run: int | None = None
    unit: str | None = None
    officer: str | None = None
    stage_due: datetime | None = None
    due: datetime | None = None
    generation: int = 0
    supplements: int = 0
    closed: datetime | None = None
    stage_near: bool = False
    stage_late: bool = False
    dossier_near: bool = False
    dossier_late: bool = False
    notices_sent: int = 0
    notices_failed: int = 0
    status: int = Status.RECEIVED
    standing: str = Standing.ON_TIME
    ended: datetime | None = None
    runs: str | None = None
    """JSON text of the runs that are open together (`runs_of`); None while there is one: that of the fields above."""

    @property
    def open_runs(self) -> tuple[Run, ...]:
        """Every stage that is open, ascending; none before the first and after the end."""
        if self.ended is not None or self.stage is None or self.run is None or self.unit is None:
            return ()
        return runs_of(self.runs) or (
            Run(self.run, self.unit, self.stage, self.officer, self.stage_due, self.stage_near, self.stage_late),
        )


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a timeline: something that was heard of a dossier. The fields are those of the table, in its order.

    ``detail`` is JSON text, because it is written far more often than read.
    """

    dossier: str
    source: Service
    version: int
    type: str
    time: datetime
    recorded: datetime
    origin: str | None
    actor: str | None
    unit: str | None
    stage: str | None
    run: int | None
    officer: str | None
    late: bool | None
    detail: str

    def said(self) -> dict[str, Any]:
        """The event's own fields."""
        said: dict[str, Any] = json.loads(self.detail)
        return said


Figures: TypeAlias = Literal["all", "total", "unit", "place"]


@dataclass(frozen=True, slots=True)
class Cell:
    """So many live dossiers agree in all of this. ``dossier_late``: the promise is broken, not only a stage's share.

    ``counts`` says in which figures: a dossier in one place in ``all``; one in several places once in the ``total``,
    once at each ``unit``, and once at each ``place`` (unit and stage).
    """

    unit: str | None
    stage: str | None
    status: Status
    standing: Standing
    dossier_late: bool
    done_today: bool
    count: int
    counts: Figures = "all"


@dataclass(frozen=True, slots=True)
class Tally:
    """Open dossiers by their standing, and what was done today."""

    on_time: int = 0
    near: int = 0
    late: int = 0
    paused: int = 0
    done_today: int = 0

    @property
    def open(self) -> int:
        """All that are still on their way."""
        return self.on_time + self.near + self.late + self.paused


@dataclass(frozen=True, slots=True)
class Picture:
    """What is where. ``promises_broken``: of the late ones, those whose promise to the citizen is over."""

    total: Tally
    promises_broken: int
    statuses: Mapping[Status, int]
    units: Mapping[str | None, Tally]
    stages: Mapping[str | None, Tally]
    places: Mapping[tuple[str | None, str | None], Tally] = field(default_factory=dict)
    """By unit and stage."""


@dataclass(frozen=True, slots=True)
class Unit:
    """What a unit is called, and at which level it stands."""

    code: str
    name: str
    level: str


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events a speaker recorded in a minute."""

    minute: datetime
    source: Service
    count: int


@dataclass(frozen=True, slots=True)
class Day:
    """What came in at a unit on a day, and what was done there, in time and late."""

    day: date
    unit: str | None
    received: int = 0
    on_time: int = 0
    late: int = 0


@dataclass(frozen=True, slots=True)
class Moved:
    """Something that happened, with the transaction in which it was heard: a place in the stream of all that moves."""

    heard: int
    entry: Entry


@dataclass(frozen=True, slots=True)
class Counts:
    """The figures of a period. What came (carried over, received) equals what went and what is still there."""

    carried_over: int
    received_at_desk: int
    received_online: int
    received_by_post: int
    finished_early: int
    finished_on_time: int
    finished_late: int
    in_process_within: int
    in_process_overdue: int
    waiting_for_supplement: int
    waiting_for_fee: int
    withdrawn: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which dossiers somebody wants to see; None is any. ``origin`` None: the live ones; ``stage`` "": in none yet."""

    origin: str | None = None
    unit: str | None = None
    stage: str | None = None
    status: Status | None = None
    standing: Standing | None = None
    is_open: bool = False
    late: bool | None = None
    code: str | None = None
    done_today: bool = False
    received_on: date | None = None
    ended_on: date | None = None
    ended_since: date | None = None


@dataclass(frozen=True, slots=True)
class Place:
    """Where a page of a list ended, so that the next begins after it: by key, whatever comes and goes in between."""

    dossier: str
    ended: datetime | None
    urgency: datetime | None

    def __str__(self) -> str:
        """For an address."""
        return ",".join(
            (self.dossier, *(each.isoformat() if each is not None else "" for each in (self.ended, self.urgency)))
        )

    @classmethod
    def parsed(cls, text: str) -> Place | None:
        """The place that an address names; None when it names none."""
        dossier, *instants = text.split(",")
        if len(instants) != 2 or not dossier:
            return None
        try:
            ended, urgency = (datetime.fromisoformat(each) if each else None for each in instants)
        except ValueError:
            return None
        if any(each is not None and each.tzinfo is None for each in (ended, urgency)):
            return None
        return cls(dossier, ended, urgency)


@dataclass(frozen=True, slots=True)
class Found:
    """A line in a list of dossiers."""

    dossier: str
    code: str | None
    procedure: str | None
    procedure_name: str | None
    channel: Channel | None
    received: datetime | None
    promise: datetime | None
    due: datetime | None
    status: Status
    standing: Standing
    stage: str | None
    unit: str | None
    officer: str | None
    stage_due: datetime | None
    ended: datetime | None
    dossier_late: bool
    withdrawal_requested: bool
    as_of: datetime
    runs: tuple[Run, ...] = ()
    """Where it lies in several places at once: each."""

    @property
    def place(self) -> Place:
        """Where the list goes on after this line."""
        dates = [each for each in (self.stage_due, self.due) if each is not None]
        return Place(self.dossier, self.ended, min(dates, default=None))


@dataclass(frozen=True, slots=True)
class FoundDossiers:
    """A page of a list, how many there are in all, and where the next page begins (None: there is none)."""

    dossiers: tuple[Found, ...]
    total: int
    next: Place | None = None


@dataclass(frozen=True, slots=True)
class History:
    """What one replayed record brought: its dossiers, their steps, and when the steps happened."""

    origin: str
    dossiers: int
    steps: int
    first: datetime | None
    last: datetime | None


@dataclass(frozen=True, slots=True)
class Period:
    """From a day to a day, both included, as known on an instant."""

    first: date
    last: date
    known_on: datetime
