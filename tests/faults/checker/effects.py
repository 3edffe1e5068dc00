"""Effects: whatever was repeated, each event did what it does once; the copies of a fact agree across the stores."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any, Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import speakers

_OF_DOSSIERS: Final = frozenset(
    {
        "DossierReceived",
        "SupplementReceived",
        "WithdrawalRequested",
        "ResultHandedOver",
        "PersonalDataErased",
        "StageStarted",
        "HandedOver",
        "SupplementRequested",
        "FeeRequested",
        "DossierResumed",
        "DeadlineNear",
        "DeadlineReached",
        "DeadlinePassed",
        "ResultReady",
        "DossierWithdrawn",
        "NoticeSent",
        "NoticeFailed",
    }
)
_LEDGER: Final = {
    "started": ("StageStarted",),
    "paused": ("SupplementRequested", "FeeRequested"),
    "resumed": ("DossierResumed",),
    "finished": ("ResultReady",),
    "withdrawn": ("DossierWithdrawn",),
}


def _the_timeline_has_all(evidence: Evidence, finding: Finding) -> None:
    there = Counter(
        (row["dossier"], row["source"], row["version"], row["type"]) for row in evidence.tables["reporting"]["timeline"]
    )
    said = Counter(
        (one.subject, source, one.version, one.type)
        for source in speakers()
        for one in evidence.journals[source]
        if one.type in _OF_DOSSIERS
    )
    for entry in said:
        finding.holds(there[entry] == 1, f"the timeline has {there[entry]} times {entry}")
    strangers = sorted(set(there) - set(said))
    finding.holds(not strangers, f"the timeline has what nobody said: {strangers[:3]}")


def _the_ledger_counts(evidence: Evidence, finding: Finding) -> None:
    kinds: dict[str, Counter[str]] = defaultdict(Counter)
    numbers: dict[str, list[int]] = defaultdict(list)
    for row in evidence.tables["routing"]["ledger"]:
        kinds[row["dossier"]][row["kind"]] += 1
        numbers[row["dossier"]].append(row["number"])
    journeys = {row["dossier"]: row for row in evidence.tables["routing"]["journey"]}
    said = evidence.said_of("routing")
    for dossier, journey in journeys.items():
        counted = Counter(one.type for one in said.get(dossier, ()))
        for kind, types in _LEDGER.items():
            wanted = sum(counted[each] for each in types)
            so = kinds[dossier][kind] == wanted
            finding.holds(so, f"{dossier}'s ledger has {kinds[dossier][kind]} {kind}, {wanted} were said")
        so = sorted(numbers[dossier]) == list(range(1, journey["entries"] + 1))
        finding.holds(so, f"{dossier}'s ledger is not numbered 1..{journey['entries']}")


def _counters_agree(evidence: Evidence, finding: Finding) -> None:
    notices = Counter((one.subject, one.type) for one in evidence.journals["notification"])
    supplements = Counter(one.subject for one in evidence.journals["routing"] if one.type == "SupplementRequested")
    for service, table, name in (("intake", "dossier", "id"), ("reporting", "dossier_now", "dossier")):
        for row in evidence.tables[service][table]:
            dossier = row[name]
            wanted = (notices[dossier, "NoticeSent"], notices[dossier, "NoticeFailed"], supplements[dossier])
            found = (row["notices_sent"], row["notices_failed"], row["supplements"])
            finding.holds(found == wanted, f"{service} counts {found} for {dossier}, {wanted} were said")


def _the_picture_is_the_sum(evidence: Evidence, finding: Finding) -> None:
    def cell(row: Any, unit: Any, stage: Any) -> tuple[Any, ...]:
        return (unit, stage, row["status"], row["standing"], row["dossier_late"])

    there: Counter[tuple[Any, ...]] = Counter()
    for row in evidence.tables["reporting"]["cell"]:
        there[cell(row, row["unit"], row["stage"])] += row["count"]
    wanted = Counter(
        cell(row, row["unit"] or row["receiving_unit"], None if row["ended"] else row["stage"])
        for row in evidence.tables["reporting"]["dossier_now"]
        if row["origin"] is None
    )
    for one in set(there) | set(wanted):
        finding.holds(there[one] == wanted[one], f"the picture counts {there[one]} at {one}, there are {wanted[one]}")


def _stores_agree_on_where_it_is(evidence: Evidence, finding: Finding) -> None:
    intake = {row["id"]: row for row in evidence.tables["intake"]["dossier"]}
    now = {row["dossier"]: row for row in evidence.tables["reporting"]["dossier_now"]}
    for row in evidence.tables["routing"]["journey"]:
        dossier = row["dossier"]
        here = (row["unit"], row["stage"], row["run"])
        there = intake.get(dossier)
        told = now.get(dossier)
        if there is None or told is None:
            continue
        finding.holds(
            (there["at_unit"], there["at_stage"], there["run"]) == here, f"intake has {dossier} elsewhere than {here}"
        )
        finding.holds((told["unit"], told["stage"], told["run"]) == here, f"reporting has {dossier} elsewhere")
        finding.holds(there["status"] == told["status"], f"{dossier} is {there['status']} here, {told['status']} there")


def _payload_is_kept(evidence: Evidence, finding: Finding) -> None:
    for source in speakers():
        said = {(one.subject, one.version): one for one in evidence.journals[source]}
        for records in evidence.topics.values():
            for one in records:
                heard = one.heard
                if heard is None or heard.source.value != source or (heard.subject, heard.version) not in said:
                    continue
                same = json.loads(one.body) == said[heard.subject, heard.version].payload
                finding.holds(same, f"what lies at {one.topic}/{one.partition}/{one.offset} is not what was said")


INVARIANTS: Final = (
    Invariant("reporting's timeline has everything that was said of a dossier, once", _the_timeline_has_all),
    Invariant("routing's ledger has an entry for everything that moved a clock", _the_ledger_counts),
    Invariant("what is counted for a dossier is what was said of it", _counters_agree),
    Invariant("the picture of now is the sum of its dossiers", _the_picture_is_the_sum),
    Invariant("intake, routing and reporting agree on where a dossier is", _stores_agree_on_where_it_is),
    Invariant("what lies on a topic is what the journal says", _payload_is_kept),
)
