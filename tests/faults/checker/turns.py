"""Turns of time: deadlines fall where the calendar says, over Tết and a year's end, once and never before."""

from __future__ import annotations

from collections import Counter
from datetime import date, datetime, timedelta, timezone
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import Said

_HERE: Final = timezone(timedelta(hours=7))
_TYPES: Final = frozenset({"DeadlineNear", "DeadlineReached", "DeadlinePassed"})

_TEN_WORKING_DAYS: Final = {date(2018, 2, 9): date(2018, 3, 2), date(2018, 4, 27): date(2018, 5, 15)}
"""Received -> due, of the calendar's test vectors: over Tết, and over the 30th of April and the 1st of May."""

_LAST: Final = date(2018, 12, 31)
"""The last day that every run of turns lives through."""

_GIVEN: Final = frozenset({"turns of time"})


def _said(evidence: Evidence) -> list[Said]:
    """Deadlines of dossiers for which time passed at its own pace."""
    hurried = {one.dossier for one in evidence.clocks_set}
    return [one for one in evidence.journals["routing"] if one.type in _TYPES and one.subject not in hurried]


def _due(one: Said) -> datetime:
    return datetime.fromisoformat(one.payload["due"]).astimezone(_HERE)


def _due_where_the_calendar_says(evidence: Evidence, finding: Finding) -> None:
    received = {
        one.subject: one.time.astimezone(_HERE).date()
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
    for one in _said(evidence):
        if one.type == "DeadlineReached":
            finding.holds(one.recorded >= _due(one), f"{one.subject} reached its due instant at {one.recorded}")
        elif one.type == "DeadlinePassed":
            day = one.recorded.astimezone(_HERE).date()
            finding.holds(day > _due(one).date(), f"{one.subject}, due on {_due(one)}, was late on {day}")


def _said_by_whoever_was_left_alone(evidence: Evidence, finding: Finding) -> None:
    passed = Counter(
        (one.subject, one.payload["generation"])
        for one in evidence.journals["routing"]
        if one.type == "DeadlinePassed" and one.payload["scope"] == "dossier"
    )
    for row in evidence.tables["routing"]["journey"]:
        if row["state"] == "moving" and row["due"].astimezone(_HERE).date() < _LAST:
            times = passed[row["dossier"], row["generation"]]
            finding.holds(times == 1, f"{row['dossier']}, due on {row['due']}, was said to be late {times} times")


INVARIANTS: Final = (
    Invariant(
        "what came in before holidays is due where the calendar says", _due_where_the_calendar_says, given=_GIVEN
    ),
    Invariant("no due instant and no due date was said before it came", _never_early, given=_GIVEN),
    Invariant(
        "what was open when its due date was over was said to be late, once",
        _said_by_whoever_was_left_alone,
        given=_GIVEN,
    ),
)
