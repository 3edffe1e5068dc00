"""Deadlines: each rung of each generation of a clock is said once, and never before its instant."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Final, TypeAlias

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import Said

TYPES: Final = {"near": "DeadlineNear", "reached": "DeadlineReached", "passed": "DeadlinePassed"}

Rung: TypeAlias = tuple[str, str, int, int, str]
"""(dossier, scope, run of the stage or 0, generation, type)"""


def rung_of(said: Said) -> Rung:
    """Which rung of which clock was said."""
    payload = said.payload
    run = payload["run"] if payload["scope"] == "stage" else 0
    return said.subject, payload["scope"], run, payload["generation"], said.type


def _once_for_each_generation(evidence: Evidence, finding: Finding) -> None:
    said = Counter(rung_of(one) for one in evidence.journals["routing"] if one.type in TYPES.values())
    for what, times in said.items():
        finding.holds(times == 1, f"{what} was said {times} times")


def _fired_and_never_early(scope: str, evidence: Evidence, finding: Finding) -> None:
    said = {rung_of(one): one.recorded for one in evidence.journals["routing"] if one.type in TYPES.values()}
    for one in evidence.clocks_set:
        if one.scope != scope:
            continue
        rung = (one.dossier, one.scope, one.run, one.generation, TYPES[one.rung])
        recorded = said.get(rung)
        finding.holds(recorded is not None, f"{rung} fell due and was never said")
        if recorded is not None:
            finding.holds(recorded >= one.fires_at, f"{rung} was said {one.fires_at - recorded} too early")


INVARIANTS: Final = (
    Invariant("a deadline is said once for each generation of its clock", _once_for_each_generation),
    Invariant(
        "every deadline of a dossier that fell due was said, and none early",
        partial(_fired_and_never_early, "dossier"),
    ),
    Invariant(
        "every deadline of a stage that fell due was said, and none early", partial(_fired_and_never_early, "stage")
    ),
)
