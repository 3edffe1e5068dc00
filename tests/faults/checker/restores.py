"""Restores: a speaker's database was replaced by an older copy. What it had said since is taken back, and no more.

Nothing is guessed. Where the speaker has said something else meanwhile, hearers set it aside as a fork; where it has
not, they are ahead of it, and both is an alarm. Told from the topics alone: what comes first is heard.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Final

from tests.faults.checker import RESTORED, Evidence, Finding, Invariant
from tests.faults.checker.commands import SAYS, by_key
from tests.faults.checker.evidence import HEARS, Delivered, topic_of
from tests.faults.history import Outcome

_RESTORED: Final = frozenset({RESTORED})


def _only_what_came_after_the_copy(evidence: Evidence, finding: Finding) -> None:
    there: dict[str, Counter[str]] = defaultdict(Counter)
    gone: dict[str, Counter[str]] = defaultdict(Counter)
    for journal in evidence.journals.values():
        for said in journal:
            if said.cause is None and said.actor and said.actor.startswith("client-"):
                there[said.actor.removeprefix("client-")][said.type] += 1
    for undone in evidence.tally.undone.values():
        for one in undone.values():
            if one.is_first and one.actor and one.actor.startswith("client-"):
                gone[one.actor.removeprefix("client-")][one.type] += 1
    for key, operations in by_key(evidence).items():
        if Outcome.OK not in {one.outcome for one in operations}:
            continue
        asked = operations[0].asked
        whole = Counter(SAYS[asked.kind])
        so = whole in (there[key], gone[key])
        finding.holds(so, f"{asked.kind} {key} was accepted, said {dict(there[key])}, and lost {dict(gone[key])}")
        if so and there[key] != whole:
            accepted = next(one for one in operations if one.outcome is Outcome.OK)
            finding.told.append(f"taken back: {asked.kind} {key} of {asked.dossier or accepted.answer['id']}")


def _untouched(evidence: Evidence) -> Iterator[str]:
    """Hearers whose own store was not restored: what they heard first, they have."""
    yield from (hearer for hearer in HEARS if hearer not in evidence.tally.undone)


def _forks_of(records: list[Delivered]) -> tuple[list[Delivered], dict[str, int]]:
    """What of a topic is a fork of what was heard just before, and by subject how far its hearers are."""
    forks, heard = [], dict[str, tuple[int, str]]()
    for one in records:
        if one.heard is None:
            continue
        version, ident = heard.get(one.heard.subject, (0, ""))
        if one.heard.version == version + 1:
            heard[one.heard.subject] = (one.heard.version, one.heard.id)
        elif one.heard.version == version and one.heard.id != ident:
            forks.append(one)
    return forks, {subject: version for subject, (version, _) in heard.items()}


def _forks_are_set_aside(evidence: Evidence, finding: Finding) -> None:
    for hearer in _untouched(evidence):
        aside = {
            (row["topic"], row["partition"], row["offset"])
            for row in evidence.tables[hearer]["dead_letter"]
            if row["reason"].startswith("fork")
        }
        wanted = set()
        for source in HEARS[hearer]:
            forks, _ = _forks_of(evidence.topics[topic_of(source)])
            wanted |= {(one.topic, one.partition, one.offset) for one in forks}
        for where in wanted:
            finding.holds(where in aside, f"{hearer} did not set the fork at {where} aside")
        finding.holds(aside <= wanted, f"{hearer} takes {len(aside - wanted)} for forks that are none")


def _forks_are_alarmed(evidence: Evidence, finding: Finding) -> None:
    for hearer in _untouched(evidence):
        letters = sum(row["reason"].startswith("fork") for row in evidence.tables[hearer]["dead_letter"])
        alarmed = sum(one["forks"] for one in _logged(evidence, hearer, "fork_found"))
        # A batch that was tried again has alarmed twice; an alarm too few is one that nobody had.
        finding.holds(alarmed >= letters, f"{hearer} set {letters} forks aside, and alarmed {alarmed}")


def _whoever_is_ahead_is_alarmed(evidence: Evidence, finding: Finding) -> None:
    for source, undone in evidence.tally.undone.items():
        reached = {row["subject"]: row["version"] for row in evidence.tables[source]["stream"]}
        ahead = set()
        for hearer in _untouched(evidence):
            if source not in HEARS[hearer]:
                continue
            heard = {
                row["subject"]: row["version"] for row in evidence.tables[hearer]["heard"] if row["source"] == source
            }
            forked = {
                row["subject"]
                for row in evidence.tables[hearer]["dead_letter"]
                if row["reason"].startswith("fork") and row["source"] == source
            }
            for subject in {one.subject for one in undone.values()}:
                lowest = min(one.version for one in undone.values() if one.subject == subject)
                if heard.get(subject, 0) < lowest:
                    continue  # it was restored before anybody had heard of that
                is_ahead = heard[subject] > reached.get(subject, 0)
                ahead |= {subject} if is_ahead else set()
                so = is_ahead or subject in forked or _is_said_as_before(evidence, source, subject)
                finding.holds(so, f"{hearer} has heard another {subject} than {source} knows, and nobody is told")
        if ahead:
            alarms = list(_logged(evidence, source, "hearer_ahead"))
            finding.holds(bool(alarms), f"hearers are ahead of {source} in {len(ahead)} streams, and nobody is told")


def _is_said_as_before(evidence: Evidence, source: str, subject: str) -> bool:
    """Whether what is in the journal now is what lies first on the topic: an erasure that was done again, say."""
    first: dict[int, str] = {}
    for one in evidence.topics[topic_of(source)]:
        if one.heard is not None and one.heard.subject == subject:
            first.setdefault(one.heard.version, one.heard.id)
    return all(first.get(one.version) == one.id for one in evidence.said_of(source).get(subject, ()))


def _nothing_but_forks(evidence: Evidence, finding: Finding) -> None:
    for service, tables in evidence.tables.items():
        others = [
            (row["subject"], row["reason"]) for row in tables["dead_letter"] if not row["reason"].startswith("fork")
        ]
        finding.exercised += len(tables["heard"])
        if others:
            finding.broken.append(f"{service} has {len(others)} dead letters that are no forks: {others[:3]}")
        if evidence.statuses[service]["hearing"] != "yes":
            finding.broken.append(f"{service} hears no more: {evidence.statuses[service]['hearing']}")


def _logged(evidence: Evidence, service: str, event: str) -> Iterator[dict[str, int]]:
    for name, log in evidence.logs.items():
        if name.startswith(f"{service}.log"):
            for line in log.splitlines():
                if event.encode() in line:
                    found = json.loads(line)
                    if found["event"] == event:
                        yield found


INVARIANTS: Final = (
    Invariant(
        "a restore takes back what was accepted after its copy, whole commands, and nothing else",
        _only_what_came_after_the_copy,
        given=_RESTORED,
        outlasts_restores=True,
    ),
    Invariant(
        "what a restored speaker says anew is set aside as a fork where it stands beside what was heard",
        _forks_are_set_aside,
        given=_RESTORED,
        outlasts_restores=True,
    ),
    Invariant("every fork is alarmed", _forks_are_alarmed, given=_RESTORED, outlasts_restores=True),
    Invariant(
        "of every stream that a restore has cut there is a fork, or its hearers are ahead, and that is alarmed",
        _whoever_is_ahead_is_alarmed,
        given=_RESTORED,
        outlasts_restores=True,
    ),
    Invariant(
        "nothing but forks is set aside, and hearing goes on",
        _nothing_but_forks,
        given=_RESTORED,
        outlasts_restores=True,
    ),
)
