"""Anti-entropy: what was lost comes back without a person, nothing else is published again, and a steady river is left
alone. Witnesses in the stores have seen every pointer that was ever put into an outbox."""

from __future__ import annotations

from collections import Counter
from typing import Final

from shared.topics import CONTACT
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import speakers, topic_of

_LOST: Final = frozenset({"topic lost"})


def _pointed(evidence: Evidence, source: str) -> Counter[tuple[str, str, int]]:
    """How often each version, or state of a compacted topic, was put into the outbox of a speaker."""
    return Counter(
        (row["topic"] or topic_of(source), row["subject"], row["version"])
        for row in evidence.tables[source]["ever_pointed"]
    )


def _a_steady_river_repeats_nothing(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        for (_, subject, version), times in _pointed(evidence, source).items():
            so = times == 1
            finding.holds(so, f"version {version} of {subject} was published {times} times, none was lost")


def _only_what_was_lost_comes_again(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        for (topic, subject, version), times in _pointed(evidence, source).items():
            if times > 1:
                so = version in evidence.tally.lost.get(topic, {}).get(subject, ())
                finding.holds(so, f"version {version} of {subject} was published again on {topic}; nobody lost it")


def _a_lost_last_event_comes_back(evidence: Evidence, finding: Finding) -> None:
    for source, subject, version in evidence.tally.last_lost:
        times = _pointed(evidence, source)[topic_of(source), subject, version]
        finding.holds(times > 1, f"{source}'s version {version} of {subject}, its last, was lost and is not said again")


def _it_was_compared(evidence: Evidence, finding: Finding) -> None:
    for service, status in evidence.statuses.items():
        figures = status["tally"]
        finding.exercised += figures["compared"]
        if not figures["compared"]:
            finding.broken.append(f"{service} has compared nothing")
        if figures["lacking"] or figures["unhealed"]:
            finding.broken.append(f"{service} lacks {figures['lacking']} streams, {figures['unhealed']} for good")


def _nobody_is_ahead(evidence: Evidence, finding: Finding) -> None:
    for service, status in evidence.statuses.items():
        finding.holds(not status["tally"]["ahead"], f"hearers are ahead of {service}")


def _contacts_arrived(evidence: Evidence, finding: Finding) -> None:
    kept = {row["dossier"]: row for row in evidence.tables["notification"]["contact"]}
    for row in evidence.tables["intake"]["snapshot"]:
        if row["topic"] == CONTACT.name:
            there = kept.get(row["aggregateid"])
            so = there is not None and (there["version"], there["erased"]) == (row["version"], row["payload"] is None)
            finding.holds(so, f"notification has not the contact of {row['aggregateid']} that intake sealed last")


INVARIANTS: Final = (
    Invariant(
        "on a river that loses nothing, nothing is published again", _a_steady_river_repeats_nothing, unless=_LOST
    ),
    Invariant("only what a hearer may have lost is published again", _only_what_was_lost_comes_again, given=_LOST),
    Invariant(
        "a last event that was lost alone is published again",
        _a_lost_last_event_comes_back,
        given=frozenset({"last event lost"}),
    ),
    Invariant("every hearer has compared, and lacks nothing", _it_was_compared),
    Invariant("no hearer has heard what was never said", _nobody_is_ahead),
    Invariant("notification has the contact that intake sealed last, or knows that it was erased", _contacts_arrived),
)
