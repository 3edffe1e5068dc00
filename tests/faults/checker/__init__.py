"""The checker: what must hold after any run, one file for each family of invariants.

A family is a file here with ``INVARIANTS``; nothing else has to know of it. Each invariant counts how often it was
exercised, and a run in which one was not has failed: a claim that is not exercised is not a claim. ``unless`` names
what, once it was injected, takes an invariant's ground away (an order is not kept by a relay that is made to break it),
``given`` what must have been injected for there to be one.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from tests.faults.checker.evidence import Evidence, gathered

__all__ = ["RESTORED", "Evidence", "Finding", "Invariant", "Verdict", "examine", "gathered", "invariants"]

RESTORED: Final = "database restored"
"""What a restore is called in the tally. It takes back what was promised: only what says so stands after it."""

_MOST_SHOWN: Final = 5


@dataclass(slots=True)
class Finding:
    """How often an invariant was put to the test, and where it did not hold."""

    exercised: int = 0
    broken: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)
    """What is no fault and has to be said: one by one, or as a figure beside the bound that it keeps."""

    def holds(self, so: bool, otherwise: str) -> None:
        """One more look; ``otherwise`` says what is wrong."""
        self.exercised += 1
        if not so:
            self.broken.append(otherwise)


@dataclass(frozen=True, slots=True)
class Invariant:
    """A sentence that holds after any run, and how it is looked into.

    ``outlasts_restores``: it holds even after a database was replaced by an older copy.
    """

    sentence: str
    look: Callable[[Evidence, Finding], None]
    unless: frozenset[str] = frozenset()
    given: frozenset[str] = frozenset()
    outlasts_restores: bool = False

    def has_ground(self, done: Collection[str]) -> bool:
        """Whether it can be looked into after all that was done."""
        is_left = RESTORED not in done or self.outlasts_restores
        return is_left and self.given <= set(done) and not self.unless & set(done)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What every invariant's look came to; None where what was injected took its ground away."""

    findings: dict[str, Finding | None]

    @property
    def faults(self) -> list[str]:
        """Every reason why the run has failed, the first few of each kind."""
        found = []
        for sentence, finding in self.findings.items():
            if finding is None:
                continue
            if not finding.exercised:
                found.append(f"not exercised: {sentence}")
            found += [f"{sentence}: {one}" for one in finding.broken[:_MOST_SHOWN]]
            if len(finding.broken) > _MOST_SHOWN:
                found.append(f"{sentence}: and {len(finding.broken) - _MOST_SHOWN} more")
        return found

    def lines(self) -> list[str]:
        """The verdict, a line for each invariant."""
        told = []
        for sentence, finding in self.findings.items():
            if finding is None:
                told.append(f"  without ground   –          {sentence}")
            else:
                word = "broken" if finding.broken else "holds"
                told.append(f"  {word:6} {len(finding.broken):>4} in {finding.exercised:>9,}  {sentence}")
                told += [f"         {one}" for one in finding.told]
        return told


def invariants() -> list[Invariant]:
    """Of every family, in the order of the files' names."""
    found: list[Invariant] = []
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda one: one.name):
        found += getattr(importlib.import_module(f"{__name__}.{module.name}"), "INVARIANTS", ())
    return found


def examine(evidence: Evidence) -> Verdict:
    """Look into every invariant."""
    findings: dict[str, Finding | None] = {}
    done = {name for name, count in evidence.tally.done.items() if count}
    for one in invariants():
        if not one.has_ground(done):
            findings[one.sentence] = None
            continue
        findings[one.sentence] = finding = Finding()
        one.look(evidence, finding)
    return Verdict(findings)
