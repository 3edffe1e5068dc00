"""Versions: 1..n at the speaker, and the same n, of the same events, at whoever hears it."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import HEARS, Row, speakers
from tests.faults.ground import FORGERS


def _journals_count_from_one(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        reached = {row["subject"]: row["version"] for row in evidence.tables[source]["stream"]}
        for subject, said in evidence.said_of(source).items():
            versions = [one.version for one in said]
            so = versions == list(range(1, len(said) + 1)) and reached.get(subject) == len(said)
            finding.holds(so, f"{source} said {versions[-3:]} of {subject}, its stream is at {reached.get(subject)}")


def _heard_to_the_last(evidence: Evidence, finding: Finding) -> None:
    for hearer, sources in HEARS.items():
        heard = {(row["subject"], row["source"]): row for row in evidence.tables[hearer]["heard"]}
        for source in sources:
            for subject, said in evidence.said_of(source).items():
                row = heard.get((subject, source))
                version, ident = (row["version"], str(row["event_id"])) if row else (0, None)
                so = (version, ident) == (said[-1].version, said[-1].id)
                finding.holds(so, f"{hearer} heard {version} of {said[-1].version} that {source} said of {subject}")


def _time_never_runs_back(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        for subject, said in evidence.said_of(source).items():
            times = [one.time for one in said]
            if len(times) > 1:
                finding.holds(times == sorted(times), f"times run back in {source}'s {subject}")


def _nothing_waits(evidence: Evidence, finding: Finding) -> None:
    forged = set(evidence.tally.forged)
    for service, tables in evidence.tables.items():
        finding.holds(not tables["outbox"], f"{service} has {len(tables['outbox'])} unsent")
        for table in ("parked", "dead_letter"):
            left = [
                (row["subject"], row["reason"])
                for row in tables[table]
                if (row["topic"], row["partition"], row["offset"]) not in forged
            ]
            finding.holds(not left, f"{service} has {len(left)} in {table}: {left[:3]}")


def _forks(evidence: Evidence, finding: Finding) -> None:
    idents: dict[tuple[str, str, int], set[str]] = {}
    for records in evidence.topics.values():
        for one in records:
            if one.heard is not None and (one.topic, one.partition, one.offset) not in evidence.tally.forged:
                said = (one.heard.source.value, one.heard.subject, one.heard.version)
                idents.setdefault(said, set()).add(one.heard.id)
    for said, several in idents.items():
        finding.holds(len(several) == 1, f"version {said[2]} of {said[1]} was said twice by {said[0]}")


def _what_waited_for_its_cause_was_heard(evidence: Evidence, finding: Finding) -> None:
    """Told by the witness: that nothing waits in the end says nothing of a run in which nothing ever did.

    Where one speaker's records are lost and the others' are not, as together with the topic of tallies, something waits
    for certain; elsewhere it is chance, and such runs are no ground.
    """
    forged = set(evidence.tally.forged)
    for service, tables in evidence.tables.items():
        heard = {(row["subject"], row["source"]): row["version"] for row in tables["heard"]}
        for row in tables["ever_parked"]:
            if (row["topic"], row["partition"], row["offset"]) in forged or not _waits_for_a_cause(row):
                continue
            so = row["version"] <= heard.get((row["subject"], row["source"]), 0)
            what = f"version {row['version']} of {row['subject']} of {row['source']}"
            finding.holds(so, f"{service} has never heard {what}: {row['reason']}")


def _waits_for_a_cause(row: Row) -> bool:
    return (row["waits_for"] or "").startswith("cause:")


_BEHIND_ONE_THAT_WAITS: Final = "gap: one before it waits"
"""What a hearer writes where one batch had both; where they came in two, it writes which version is missing."""


def _no_gap_within_a_source(evidence: Evidence, finding: Finding) -> None:
    """Of subjects that forgers made up nobody speaks: what is parked of one is no relay's doing.

    All else counts, whether records were forged or not: none of those is of a subject that a service speaks of.
    """
    for service, tables in evidence.tables.items():
        heard = len(tables["heard"])
        # Behind one that waits for its cause there is a gap that no relay has made.
        waited = {
            (row["subject"], row["source"], f"gap: version {row['version']} is missing")
            for row in tables["ever_parked"]
            if row["waits_for"] is not None
        }
        first: dict[tuple[str, str], int] = {}
        for row in tables["ever_parked"]:
            if row["waits_for"] is not None:
                stream = row["subject"], row["source"]
                first[stream] = min(row["version"], first.get(stream, row["version"]))
        gaps = [
            row
            for row in tables["ever_parked"]
            if row["waits_for"] is None
            and "gap" in row["reason"]
            and not row["subject"].startswith(FORGERS)
            and (row["subject"], row["source"], row["reason"]) not in waited
            and not (
                row["reason"] == _BEHIND_ONE_THAT_WAITS
                and first.get((row["subject"], row["source"]), row["version"]) < row["version"]
            )
        ]
        finding.exercised += heard
        where = Counter(f"{row['source']} {row['reason']}" for row in gaps).most_common(2)
        if gaps:
            finding.broken.append(f"{service} parked {len(gaps)} behind gaps: {where}")


INVARIANTS: Final = (
    Invariant(
        "a journal counts 1..n for every subject, as its stream says", _journals_count_from_one, outlasts_restores=True
    ),
    Invariant("every hearer has heard the last version, of the speaker's own event", _heard_to_the_last),
    Invariant("business time never runs back in a stream", _time_never_runs_back),
    Invariant("nothing is unsent, parked or dead when all is quiet", _nothing_waits),
    Invariant(
        "what waited for its cause, said by another, was heard when that was",
        _what_waited_for_its_cause_was_heard,
        given=frozenset({"bus.control lost"}),
    ),
    Invariant("no version was said twice (forks)", _forks),
    Invariant(
        "nothing was ever parked for a gap within one source",
        _no_gap_within_a_source,
        unless=frozenset({"disorder", "topic lost"}),
    ),
)
