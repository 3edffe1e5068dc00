"""Traces: whatever was said belongs to a trace, and what follows from it belongs to the same one."""

from __future__ import annotations

from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant


def _trace_of(header: str | None) -> str | None:
    return header[3:35] if header is not None and len(header) == 55 else None


def _journal_and_header_agree(evidence: Evidence, finding: Finding) -> None:
    said = {
        (one.source, one.subject, one.version): one.trace for journal in evidence.journals.values() for one in journal
    }
    for records in evidence.topics.values():
        for one in records:
            if one.heard is None or (one.topic, one.partition, one.offset) in evidence.tally.forged:
                continue
            written = _trace_of(said.get((one.heard.source.value, one.heard.subject, one.heard.version)))
            so = written is not None and _trace_of(one.heard.traceparent) == written
            finding.holds(so, f"{one.topic}/{one.partition}/{one.offset} has left its trace")


def _effects_follow_their_cause(evidence: Evidence, finding: Finding) -> None:
    said = {(one.source, one.subject, one.version): one for journal in evidence.journals.values() for one in journal}
    for one in said.values():
        cause = said.get((one.cause[0], one.subject, one.cause[1])) if one.cause else None
        if cause is not None:
            so = _trace_of(one.trace) == _trace_of(cause.trace)
            finding.holds(so, f"{one.type} of {one.subject} is not in its cause's trace")


INVARIANTS: Final = (
    Invariant("a record carries the trace that its journal names", _journal_and_header_agree),
    Invariant("what was said because of something is in its trace", _effects_follow_their_cause),
)
