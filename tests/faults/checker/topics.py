"""The topics themselves, read by the checker: what lies there was said, all of it lies there, and in its order."""

from __future__ import annotations

from collections import defaultdict
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import HEARS, speakers, topic_of


def _everything_was_carried(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        there = {
            (one.heard.subject, one.heard.version, one.heard.id)
            for one in evidence.topics[topic_of(source)]
            if one.heard
        }
        for one in evidence.journals[source]:
            so = (one.subject, one.version, one.id) in there
            finding.holds(so, f"version {one.version} of {one.subject} is not on {topic_of(source)}")


def _nothing_else_lies_there(evidence: Evidence, finding: Finding) -> None:
    said = {(one.subject, one.version, one.id) for journal in evidence.journals.values() for one in journal}
    for records in evidence.topics.values():
        for one in records:
            if (one.topic, one.partition, one.offset) in evidence.tally.forged:
                continue
            so = one.heard is not None and (one.heard.subject, one.heard.version, one.heard.id) in said
            finding.holds(so, f"nobody said what lies at {one.topic}/{one.partition}/{one.offset}")


def _in_order(evidence: Evidence, finding: Finding) -> None:
    for topic, records in evidence.topics.items():
        reached: dict[str, int] = defaultdict(int)
        for one in records:
            if one.heard is None or (one.topic, one.partition, one.offset) in evidence.tally.forged:
                continue
            before = reached[one.heard.subject]
            finding.holds(
                one.heard.version <= before + 1,
                f"on {topic} version {one.heard.version} of {one.heard.subject} lies behind version {before}",
            )
            reached[one.heard.subject] = max(before, one.heard.version)


def _every_record_has_a_fate(evidence: Evidence, finding: Finding) -> None:
    for hearer, sources in HEARS.items():
        tables = evidence.tables[hearer]
        heard = {(row["subject"], row["source"]): row["version"] for row in tables["heard"]}
        aside = {
            (row["topic"], row["partition"], row["offset"])
            for table in ("parked", "dead_letter")
            for row in tables[table]
        }
        for source in sources:
            for one in evidence.topics[topic_of(source)]:
                told = one.heard
                so = told is not None and told.version <= heard.get((told.subject, source), 0)
                so = so or (one.topic, one.partition, one.offset) in aside
                finding.holds(so, f"{one.topic}/{one.partition}/{one.offset} has no fate at {hearer}")


INVARIANTS: Final = (
    Invariant("all that was said lies on its topic", _everything_was_carried, unless=frozenset({"topic lost"})),
    Invariant("nothing lies on a topic that was not said", _nothing_else_lies_there),
    Invariant(
        "on a topic a version first comes after the one before it",
        _in_order,
        unless=frozenset({"disorder", "topic lost"}),
    ),
    Invariant("every record has a fate at every hearer", _every_record_has_a_fate),
)
