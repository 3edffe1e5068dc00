"""Canaries: what the citizens of the load are called, and where they live, is found nowhere but where it belongs.

Each source is a look of its own: one that is empty was not looked into, and the run has no ground for saying so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

from deploy.launcher.layout import SERVICES
from shared.envelope import Record
from tests.canary import find
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import EVERY_TOPIC, EXPORTED, Row
from tests.faults.load import CANARIES

_LOGS: Final = (*SERVICES, "postgres", "kafka")
"""Processes that always write something."""

_ASIDE: Final = ("parked", "ever_parked", "dead_letter", "ever_dead")


def _not_on(topic: str, evidence: Evidence, finding: Finding) -> None:
    forged = set(evidence.tally.forged)
    ours = [one for one in evidence.records[topic] if (one.topic, one.partition, one.offset) not in forged]
    _looked(finding, topic, (part for one in ours for part in _parts(one)))


def _parts(record: Record) -> Iterator[bytes]:
    yield record.key or b""
    yield record.body or b""
    for name, value in record.headers:
        yield name.encode()
        yield value or b""


def _not_aside(evidence: Evidence, finding: Finding) -> None:
    """Parked and dead records, also those that are not there any more. There may be none."""
    forged, count = set(evidence.tally.forged), 0
    for service, tables in evidence.tables.items():
        for table in _ASIDE:
            rows = [row for row in tables[table] if (row["topic"], row["partition"], row["offset"]) not in forged]
            found = find(CANARIES, _together(_of_a_row(row) for row in rows))
            finding.holds(not found, f"{found} are in {service}'s {table}")
            count += len(rows) if table.startswith("ever") else 0
    finding.told.append(f"{count} records that nobody had forged were ever parked or dead")


def _not_in_a_log(evidence: Evidence, finding: Finding) -> None:
    for name, log in evidence.logs.items():
        _looked(finding, name, log.splitlines())
    written = [name for name, log in evidence.logs.items() if log]
    silent = [each for each in _LOGS if not any(name.startswith(f"{each}.log") for name in written)]
    if silent:
        finding.broken.append(f"nothing was looked into of {', '.join(silent)}: there is no log")


def _not_exported(path: str, evidence: Evidence, finding: Finding) -> None:
    _looked(finding, f"what was exported to {path}", evidence.exported[path])


def _looked(finding: Finding, name: str, parts: Iterable[bytes]) -> None:
    """One look for each byte."""
    blob = _together(parts)
    finding.exercised += len(blob)
    finding.broken += [f"{one!r} is in {name}" for one in find(CANARIES, blob)]


def _of_a_row(row: Row) -> bytes:
    return b"\n".join(value if isinstance(value, bytes) else str(value).encode() for value in row.values())


def _together(parts: Iterable[bytes]) -> bytes:
    """What lies there many times, once."""
    return b"\n".join(dict.fromkeys(parts))


def _they_did_sing(evidence: Evidence, finding: Finding) -> None:
    """The search finds them where they have to be: on the letters that went out."""
    for mail in evidence.mails:
        finding.holds(bool(find(CANARIES, str(mail["To"]).encode())), "a mail went to nobody of the load")


INVARIANTS: Final = (
    *(
        Invariant(f"nothing personal lies on {topic.name}", partial(_not_on, topic.name), outlasts_restores=True)
        for topic in EVERY_TOPIC
    ),
    Invariant("nothing personal was ever in a parked record or a dead letter", _not_aside, outlasts_restores=True),
    Invariant("nothing personal is in a log", _not_in_a_log, outlasts_restores=True),
    *(
        Invariant(
            f"nothing personal is in a {what} that was exported", partial(_not_exported, path), outlasts_restores=True
        )
        for what, path in EXPORTED.items()
    ),
    Invariant("every mail goes to a citizen of the load", _they_did_sing, outlasts_restores=True),
)
