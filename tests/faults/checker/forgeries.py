"""Forgeries: each is set aside at every hearer of its topic, whatever is wrong with it, and has no effect."""

from __future__ import annotations

from collections import Counter
from typing import Final

from shared.topics import TOPIC_OF
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import HEARS

_FORGED: Final = frozenset({"forged"})
_SUBJECTS: Final = (
    ("intake", "dossier", "id"),
    ("routing", "journey", "dossier"),
    ("notification", "dossier", "id"),
    ("notification", "notice", "dossier"),
    ("reporting", "dossier_now", "dossier"),
    ("reporting", "timeline", "dossier"),
)


def _set_aside(evidence: Evidence, finding: Finding) -> None:
    sources = {topic.name: source.value for source, topic in TOPIC_OF.items()}
    for hearer, heard in HEARS.items():
        aside = {
            (row["topic"], row["partition"], row["offset"])
            for table in ("parked", "dead_letter")
            for row in evidence.tables[hearer][table]
        }
        missing: Counter[str] = Counter()
        for where, kind in evidence.tally.forged.items():
            if sources[where[0]] in heard:
                finding.exercised += 1
                missing[kind] += where not in aside
        finding.broken += [
            f"{hearer} has set {count} of {kind} aside nowhere" for kind, count in missing.items() if count
        ]


def _without_effect(evidence: Evidence, finding: Finding) -> None:
    for service, table, column in _SUBJECTS:
        strange = [row[column] for row in evidence.tables[service][table] if str(row[column]).startswith("forged-")]
        finding.holds(not strange, f"{service}'s {table} has {strange[:3]}")


INVARIANTS: Final = (
    Invariant("what was forged is set aside at every hearer", _set_aside, given=_FORGED),
    Invariant("what was forged had no effect", _without_effect, given=_FORGED),
)
