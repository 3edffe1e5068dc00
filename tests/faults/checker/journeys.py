"""Journeys: only steps that fit where a dossier was, and one holder at any version. Told from the journal alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import Said

_WRONG_FOR: Final = timedelta(days=1)
"""A clock that was stepped is set right long before."""

_DEADLINES: Final = {"DeadlineNear", "DeadlineReached", "DeadlinePassed"}


@dataclass(slots=True)
class _Place:
    """Where a dossier is after some of its versions, by the checker's own reading."""

    state: str = "nowhere"
    run: int = 0
    unit: str | None = None
    changing: bool = False

    def takes(self, said: Said) -> str | None:
        """Take the next event; what is wrong with it here, if anything."""
        before = self.state
        payload = said.payload
        match said.type:
            case "StageStarted":
                fits = (before == "nowhere" or self.changing) and payload["run"] == self.run + 1
                fits = fits and self.unit in {None, payload["unit"]}
                self.state, self.run, self.unit, self.changing = "moving", payload["run"], payload["unit"], False
            case "HandedOver":
                fits = before == "moving" and not self.changing and payload["giver"] == self.unit
                fits = fits and payload["run"] == self.run
                self.unit, self.changing = payload["receiver"], True
            case "SupplementRequested" | "FeeRequested":
                fits = before == "moving" and not self.changing and payload["run"] == self.run
                self.state = "paused"
            case "DossierResumed":
                fits = before == "paused" and payload["run"] == self.run
                self.state = "moving"
            case "ResultReady":
                fits = before == "moving" and not self.changing and payload["unit"] == self.unit
                self.state = "done"
            case "DossierWithdrawn":
                fits = before in {"moving", "paused"} and not self.changing
                self.state = "withdrawn"
            case one if one in _DEADLINES:
                fits = before == "moving" and not self.changing
            case _:
                fits = False
        return None if fits else f"version {said.version}, {said.type}, while it was {before} in run {self.run}"


def _only_steps_that_fit(evidence: Evidence, finding: Finding) -> None:
    dossiers = {row["dossier"]: row for row in evidence.tables["routing"]["journey"]}
    for subject, said in evidence.said_of("routing").items():
        if subject not in dossiers:
            continue
        place = _Place()
        for one in said:
            wrong = place.takes(one)
            finding.holds(wrong is None, f"{subject}: {wrong}")
        row = dossiers[subject]
        so = (place.state, place.run, place.unit) == (row["state"], row["run"], row["unit"])
        finding.holds(so, f"{subject} is said to be {place}, and kept as {row['state']} at {row['unit']}")


def _answered_by_its_cause(evidence: Evidence, finding: Finding) -> None:
    said = {(one.source, one.subject, one.version): one for journal in evidence.journals.values() for one in journal}
    for one in said.values():
        if one.cause is not None:
            cause = said.get((one.cause[0], one.subject, one.cause[1]))
            so = cause is not None and _is_after(one, cause, evidence.tally.stepped)
            finding.holds(so, f"{one.type} of {one.subject} was said before its cause, or without one")


def _is_after(effect: Said, cause: Said, stepped: timedelta | None) -> bool:
    """By the instants of their recording. A cause of the time when the clock was wrong lies ahead by as much."""
    ahead = cause.recorded - effect.recorded
    return ahead <= timedelta(0) or (stepped is not None and stepped - _WRONG_FOR < ahead <= stepped)


INVARIANTS: Final = (
    Invariant("only legal transitions, one holder at any version", _only_steps_that_fit),
    Invariant("what was said because of something was said after it", _answered_by_its_cause),
)
