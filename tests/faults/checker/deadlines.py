"""Deadlines: each rung of each generation of a clock is said once, and never before its instant."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant

_TYPES: Final = {"near": "DeadlineNear", "reached": "DeadlineReached", "passed": "DeadlinePassed"}


def _once_for_each_generation(evidence: Evidence, finding: Finding) -> None:
    said = Counter(
        (
            one.subject,
            one.payload["scope"],
            one.payload["run"] if one.payload["scope"] == "stage" else 0,
            one.payload["generation"],
            one.type,
        )
        for one in evidence.journals["routing"]
        if one.type in _TYPES.values()
    )
    for what, times in said.items():
        finding.holds(times == 1, f"{what} was said {times} times")


def _fired_and_never_early(evidence: Evidence, finding: Finding) -> None:
    said = {
        (one.subject, one.payload["generation"], one.type): one.recorded
        for one in evidence.journals["routing"]
        if one.type in _TYPES.values() and one.payload["scope"] == "dossier"
    }
    for one in evidence.clocks_set:
        rung = (one.dossier, one.generation, _TYPES[one.rung])
        recorded = said.get(rung)
        finding.holds(recorded is not None, f"{rung} fell due and was never said")
        if recorded is not None:
            finding.holds(recorded >= one.fires_at, f"{rung} was said {one.fires_at - recorded} too early")


INVARIANTS: Final = (
    Invariant("a deadline is said once for each generation of its clock", _once_for_each_generation),
    Invariant("every deadline that fell due was said, and none early", _fired_and_never_early),
)
