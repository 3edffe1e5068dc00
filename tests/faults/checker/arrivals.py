"""The load itself: a harness that holds its breath during a fault sees nothing of it."""

from __future__ import annotations

from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.history import Outcome
from tests.faults.load import STEPS


def _none_was_turned_away(evidence: Evidence, finding: Finding) -> None:
    finding.exercised += evidence.arrived
    if evidence.dropped:
        finding.broken.append(f"{evidence.dropped} of {evidence.arrived} arrivals found no room")


def _every_step_was_taken(evidence: Evidence, finding: Finding) -> None:
    taken = {one.asked.kind for one in evidence.operations if one.outcome is Outcome.OK}
    for step in STEPS:
        finding.holds(step in taken, f"nobody succeeded with {step}")


INVARIANTS: Final = (
    Invariant("no arrival was dropped", _none_was_turned_away, outlasts_restores=True),
    Invariant("every step of a dossier's life was taken", _every_step_was_taken),
)
