"""Processes: each ended by a blow of ours and by nothing else, and when it was told to."""

from __future__ import annotations

from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant


def _by_a_blow(evidence: Evidence, finding: Finding) -> None:
    finding.exercised += evidence.tally.looked_at
    finding.broken += evidence.tally.ended_by_itself


def _when_told_to(evidence: Evidence, finding: Finding) -> None:
    finding.exercised += evidence.tally.told_to_end
    finding.broken += evidence.tally.had_to_be_killed


INVARIANTS: Final = (
    Invariant("no process ended by itself", _by_a_blow, outlasts_restores=True),
    Invariant("whoever was told to end ended", _when_told_to, outlasts_restores=True),
)
