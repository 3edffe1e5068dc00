"""Canaries: what the citizens of the load are called, and where they live, is found nowhere but where it belongs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

from tests.canary import find
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.load import CANARIES


def _found_nowhere(evidence: Evidence, finding: Finding) -> None:
    for name, blob in _all(evidence):
        finding.exercised += len(blob)
        finding.broken += [f"{one!r} is in {name}" for one in find(CANARIES, blob)]


def _all(evidence: Evidence) -> Iterator[tuple[str, bytes]]:
    """Names of what was written, and its bytes; what lies there many times, once."""
    forged = set(evidence.tally.forged)
    for topic, records in evidence.topics.items():
        ours = [one for one in records if (one.topic, one.partition, one.offset) not in forged]
        yield topic, _together(part for one in ours for part in (one.body, one.headers))
    for service, tables in evidence.tables.items():
        for table in ("dead_letter", "parked"):
            rows = [row for row in tables[table] if (row["topic"], row["partition"], row["offset"]) not in forged]
            yield f"{service}'s {table}", _together(_of_a_row(row) for row in rows)
    for name, log in evidence.logs.items():
        yield name, _together(log.splitlines())
    yield "what was exported (spans, metrics, log events)", _together(evidence.exported)


def _of_a_row(row: Any) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())


def _together(parts: Iterable[bytes]) -> bytes:
    return b"\n".join(dict.fromkeys(parts))


def _they_did_sing(evidence: Evidence, finding: Finding) -> None:
    """The search finds them where they have to be: on the letters that went out."""
    for mail in evidence.mails:
        finding.holds(bool(find(CANARIES, str(mail["To"]).encode())), "a mail went to nobody of the load")


INVARIANTS: Final = (
    Invariant(
        "nothing personal is in a topic, log, span, metric or dead letter", _found_nowhere, outlasts_restores=True
    ),
    Invariant("every mail goes to a citizen of the load", _they_did_sing, outlasts_restores=True),
)
