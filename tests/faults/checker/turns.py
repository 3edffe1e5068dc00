"""Turns of time: deadlines fall where the calendar says, over Tết and a year's end, once and never before.

What a rung's instant is, is reckoned here once more, from the office's hours and days off of 2018 as they are below.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta, timezone
from itertools import pairwise
from typing import Final, Literal

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.deadlines import TYPES, rung_of
from tests.faults.checker.evidence import Said

_HERE: Final = timezone(timedelta(hours=7))

_TEN_WORKING_DAYS: Final = {date(2018, 2, 9): date(2018, 3, 2), date(2018, 4, 27): date(2018, 5, 15)}
"""Received -> due, of the calendar's test vectors: over Tết, and over the 30th of April and the 1st of May."""

_OFFICE: Final = ((time(7, 30), time(11, 30)), (time(13, 30), time(17)))
_SATURDAY: Final = 5
_DAYS_OFF: Final = frozenset(
    {
        *(date(2018, 2, day) for day in range(14, 21)),
        date(2018, 4, 25),
        date(2018, 4, 30),
        date(2018, 5, 1),
        date(2018, 9, 3),
        date(2018, 12, 31),
        date(2019, 1, 1),
    }
)
_NEAR_OF_DOSSIER: Final = timedelta(hours=8)
_NEAR_OF_STAGE: Final = 4
"""A dossier is near its due instant when eight hours are left to work, a stage in the last quarter of its budget."""

_LAST: Final = date(2018, 12, 31)
"""The last day that every run of turns lives through."""

_AWAKE: Final = timedelta(seconds=5)
"""Whoever wakes looks at once, or as soon as he has much else to do: which of two rungs that are no further apart was
the last when he looked, nobody knows."""

_ROUNDED: Final = timedelta(seconds=1)
_GIVEN: Final = frozenset({"turns of time"})

_Rung = Literal["near", "reached", "passed"]
_RUNGS: Final[tuple[_Rung, ...]] = ("near", "reached", "passed")


@dataclass(frozen=True, slots=True)
class _Clock:
    """One of a dossier's two clocks as it was set: in which run and generation, from when on, and until when at most.

    ``near``: how much is left to work when it is near. ``ends``: when something else was said of the dossier.
    """

    subject: str
    scope: str
    run: int
    generation: int
    began: datetime
    due: datetime
    near: timedelta
    ends: datetime | None = None

    def has_come(self, rung: _Rung, at: datetime) -> bool:
        """Whether the rung's instant has come."""
        match rung:
            case "near":
                return at >= self.due or working_time(at, self.due) <= self.near
            case "reached":
                return at >= self.due
            case "passed":
                return _day(at) > _day(self.due)

    def height(self, at: datetime) -> int:
        """How many of its rungs have come."""
        return sum(self.has_come(rung, at) for rung in _RUNGS)


def working_time(start: datetime, end: datetime) -> timedelta:
    """The office's hours between two instants of the turns."""
    worked, day = timedelta(0), _day(start)
    while day <= _day(end):
        if day.weekday() < _SATURDAY and day not in _DAYS_OFF:
            for opens, closes in _OFFICE:
                begun = max(start, datetime.combine(day, opens, tzinfo=_HERE))
                worked += max(timedelta(0), min(end, datetime.combine(day, closes, tzinfo=_HERE)) - begun)
        day += timedelta(days=1)
    return worked


def _day(instant: datetime) -> date:
    return instant.astimezone(_HERE).date()


def _said(evidence: Evidence) -> list[Said]:
    """Deadlines of dossiers for which time passed at its own pace."""
    hurried = {one.dossier for one in evidence.clocks_set}
    return [one for one in evidence.journals["routing"] if one.type in TYPES.values() and one.subject not in hurried]


def _due(one: Said) -> datetime:
    return datetime.fromisoformat(one.payload["due"]).astimezone(_HERE)


def _due_where_the_calendar_says(evidence: Evidence, finding: Finding) -> None:
    received = {
        one.subject: _day(one.time)
        for one in evidence.journals["intake"]
        if one.type == "DossierReceived" and one.payload["term"] == {"value": 10, "unit": "working_day"}
    }
    for one in _said(evidence):
        day = received.get(one.subject)
        never_stood = one.payload["scope"] == "dossier" and one.payload["generation"] == 1
        if day in _TEN_WORKING_DAYS and never_stood:
            finding.holds(
                _due(one).date() == _TEN_WORKING_DAYS[day],
                f"{one.subject}, received on {day}, is due on {_due(one)} instead of {_TEN_WORKING_DAYS[day]}",
            )


def _never_early(evidence: Evidence, finding: Finding) -> None:
    budgets = _budgets(evidence.journals["routing"])
    for one in _said(evidence):
        if one.type == "DeadlineNear":
            is_stage = one.payload["scope"] == "stage"
            near = budgets[one.subject, one.payload["run"]] / _NEAR_OF_STAGE if is_stage else _NEAR_OF_DOSSIER
            left = working_time(one.recorded, _due(one))
            finding.holds(left <= near + _ROUNDED, f"{one.subject}, due on {_due(one)}, was near at {one.recorded}")
        elif one.type == "DeadlineReached":
            finding.holds(one.recorded >= _due(one), f"{one.subject} reached its due instant at {one.recorded}")
        else:
            day = _day(one.recorded)
            finding.holds(day > _due(one).date(), f"{one.subject}, due on {_due(one)}, was late on {day}")


def _budgets(journal: Sequence[Said]) -> dict[tuple[str, int], timedelta]:
    """What a stage may take, by dossier and run."""
    return {
        (one.subject, one.payload["run"]): timedelta(minutes=one.payload["budget_minutes"])
        for one in journal
        if one.type == "StageStarted" and one.payload.get("budget_minutes") is not None
    }


def _said_by_whoever_was_left_alone(evidence: Evidence, finding: Finding) -> None:
    passed = Counter(
        (one.subject, one.payload["generation"])
        for one in evidence.journals["routing"]
        if one.type == "DeadlinePassed" and one.payload["scope"] == "dossier"
    )
    for row in evidence.tables["routing"]["journey"]:
        if row["state"] == "moving" and _day(row["due"]) < _LAST:
            times = passed[row["dossier"], row["generation"]]
            finding.holds(times == 1, f"{row['dossier']}, due on {row['due']}, was said to be late {times} times")


def _every_rung_that_came_while_awake(evidence: Evidence, finding: Finding) -> None:
    said = {rung_of(one) for one in _said(evidence)}
    hurried = {one.dossier for one in evidence.clocks_set}
    for subject, journal in evidence.said_of("routing").items():
        if subject in hurried:
            continue
        for clock in _clocks(journal):
            for rung in _must_be_said(clock, evidence.tally.lived):
                named = (subject, clock.scope, clock.run, clock.generation, TYPES[rung])
                finding.holds(named in said, f"{named}, of a clock that is due on {clock.due}, was never said")


def _clocks(journal: Sequence[Said]) -> Iterator[_Clock]:
    """Both clocks of a dossier, whenever they were set: when a stage began, and when a pause was over."""
    budgets = _budgets(journal)
    moves = [one for one in journal if one.type not in TYPES.values()]
    for one, following in pairwise([*moves, None]):
        if one is None or one.type not in {"StageStarted", "DossierResumed"} or not one.payload.get("stage_due"):
            continue
        run, ends = one.payload["run"], following.recorded if following is not None else None
        near = budgets[one.subject, run] / _NEAR_OF_STAGE
        for scope, number, due, left in (
            ("stage", run, one.payload["stage_due"], near),
            ("dossier", 0, one.payload["due"], _NEAR_OF_DOSSIER),
        ):
            instant = datetime.fromisoformat(due)
            generation = one.payload.get("generation", 1)
            yield _Clock(one.subject, scope, number, generation, one.recorded, instant, left, ends)


def _must_be_said(clock: _Clock, lived: Sequence[tuple[datetime, datetime]]) -> list[_Rung]:
    """Which rungs the river said, if all is well: each that came while it was awake, and the last of those that came in
    its sleep. A rung that had come when the clock was set is passed over.
    """
    wanted: list[_Rung] = []
    said = clock.height(clock.began)
    for woke, slept in lived:
        if slept < clock.began:
            continue
        if clock.ends is not None and clock.ends <= slept:
            break
        begun = max(woke, clock.began)
        first, last = clock.height(begun), clock.height(slept)
        settled = clock.height(min(begun + _AWAKE, slept)) == first
        wanted += [_RUNGS[first - 1]] if first > said and settled else []
        came = _RUNGS[max(first, said) : last]
        # A stage may be near only moments before it is due: then whoever looked in between saw both at once.
        wanted += [rung for rung in came if rung != "near" or "reached" not in came]
        said = max(said, last)
    return wanted


INVARIANTS: Final = (
    Invariant(
        "what came in before holidays is due where the calendar says", _due_where_the_calendar_says, given=_GIVEN
    ),
    Invariant("nothing was said to be near, due or late before it was", _never_early, given=_GIVEN),
    Invariant(
        "what was open when its due date was over was said to be late, once",
        _said_by_whoever_was_left_alone,
        given=_GIVEN,
    ),
    Invariant(
        "each rung of both clocks that came while the river was awake was said",
        _every_rung_that_came_while_awake,
        given=_GIVEN,
    ),
)
