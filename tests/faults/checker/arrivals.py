"""The load itself: a harness that holds its breath sees nothing of a fault; and what clients were answered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.history import Outcome
from tests.faults.load import NO_CONNECTION, RUNGS, STEPS

_UNFORESEEN: Final = "500"


def _none_was_turned_away(evidence: Evidence, finding: Finding) -> None:
    came = evidence.came
    finding.exercised += came.arrived
    if came.dropped:
        finding.broken.append(f"{came.dropped} of {came.arrived} arrivals found no room")
    if came.met[NO_CONNECTION]:
        finding.broken.append(f"{came.met[NO_CONNECTION]} times a client waited because {NO_CONNECTION}")


def _each_asked_for_something(evidence: Evidence, finding: Finding) -> None:
    came = evidence.came
    finding.exercised += came.arrived
    silent = came.arrived - came.dropped - came.asked
    if silent:
        finding.broken.append(f"{silent} of {came.arrived} clients went away without asking for anything")


def _none_ended_by_an_error(evidence: Evidence, finding: Finding) -> None:
    finding.exercised += evidence.came.arrived
    finding.broken += evidence.came.errors


def _none_was_answered_500(evidence: Evidence, finding: Finding) -> None:
    commands = Counter("no answer" if one.status is None else str(one.status) for one in evidence.operations)
    looks = Counter({status: count for status, count in evidence.came.met.items() if status != NO_CONNECTION})
    for what, answers in (("commands", commands), ("looks", looks)):
        finding.exercised += answers.total()
        if answers[_UNFORESEEN]:
            finding.broken.append(f"{answers[_UNFORESEEN]} of {answers.total()} {what} were answered 500")
        finding.told.append(f"{what}: {_listed(answers)}")


def _listed(answers: Mapping[str, int]) -> str:
    return ", ".join(f"{status} × {count:,}" for status, count in sorted(answers.items()) if count) or "–"


def _every_step_was_taken(evidence: Evidence, finding: Finding) -> None:
    taken = {one.asked.kind for one in evidence.operations if one.outcome is Outcome.OK}
    for step in STEPS:
        finding.holds(step in taken, f"nobody succeeded with {step}")
    fell_due = {f"{one.scope} {one.rung}" for one in evidence.clocks_set}
    for rung in RUNGS:
        finding.holds(rung in fell_due, f"nobody's clock came to: {rung}")


INVARIANTS: Final = (
    Invariant("no arrival was dropped", _none_was_turned_away, outlasts_restores=True),
    Invariant("every client who came asked for something", _each_asked_for_something, outlasts_restores=True),
    Invariant("no client was ended by an error", _none_ended_by_an_error, outlasts_restores=True),
    Invariant("nobody was answered 500, which nobody foresaw", _none_was_answered_500, outlasts_restores=True),
    Invariant("every step of a dossier's life was taken, and each rung of its clocks fell due", _every_step_was_taken),
)
