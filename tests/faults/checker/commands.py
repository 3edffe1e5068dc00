"""What clients were told, held against the stores: an accepted command is there once, a refused one nowhere."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from typing import Any, Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.history import Operation, Outcome

SAYS: Final = {
    "submit": ("DossierReceived",),
    "bring_supplement": ("SupplementReceived",),
    "withdraw": ("WithdrawalRequested",),
    "collect_result": ("ResultHandedOver",),
    "erase": ("PersonalDataErased",),
    "hand_over": ("HandedOver", "StageStarted"),
    "send_back": ("HandedOver", "StageStarted"),
    "request_supplement": ("SupplementRequested",),
    "request_fee": ("FeeRequested",),
    "resume": ("DossierResumed",),
    "finish": ("ResultReady",),
}
"""What a command says when it is carried out, each once."""


def by_key(evidence: Evidence) -> dict[str, list[Operation]]:
    """Operations by the id of their command."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for one in evidence.operations:
        found[one.asked.key].append(one)
    return found


def _accepted_once_and_everywhere(evidence: Evidence, finding: Finding) -> None:
    held = {
        "intake": Counter(row["id"] for row in evidence.tables["intake"]["dossier"]),
        "routing": Counter(row["dossier"] for row in evidence.tables["routing"]["journey"]),
        "notification": Counter(row["id"] for row in evidence.tables["notification"]["dossier"]),
        "reporting": Counter(row["dossier"] for row in evidence.tables["reporting"]["dossier_now"]),
    }
    accepted = {
        one.answer["id"] for one in evidence.operations if one.asked.kind == "submit" and one.outcome is Outcome.OK
    }
    for dossier in accepted:
        for service, counted in held.items():
            finding.holds(counted[dossier] == 1, f"{dossier} is {counted[dossier]} times in {service}")
    for service, counted in held.items():
        strangers = [dossier for dossier in counted if dossier not in held["intake"]]
        finding.holds(not strangers, f"{service} has {strangers[:3]}, which never came in")
    unaccounted = sorted(set(held["intake"]) - accepted)
    submitted = [tried for tried in by_key(evidence).values() if tried[0].asked.kind == "submit"]
    unknown = [tried for tried in submitted if _is_unknown(tried)]
    finding.holds(len(unaccounted) <= len(unknown), f"intake has {unaccounted[:3]}, which nobody was told of")


def _is_unknown(tried: list[Operation]) -> bool:
    outcomes = {one.outcome for one in tried}
    return Outcome.OK not in outcomes and Outcome.INFO in outcomes


def _one_effect_for_each_command(evidence: Evidence, finding: Finding) -> None:
    effects: dict[str, Counter[str]] = defaultdict(Counter)
    for service in ("intake", "routing"):
        for said in evidence.journals[service]:
            # What another service said because of it has the same actor, and a cause.
            if said.cause is None and said.actor and said.actor.startswith("client-"):
                effects[said.actor.removeprefix("client-")][said.type] += 1
    tried = by_key(evidence)
    for key, operations in tried.items():
        whole = Counter(SAYS[operations[0].asked.kind])
        outcomes = {one.outcome for one in operations}
        found = effects.get(key, Counter())
        if Outcome.OK in outcomes:
            finding.holds(found == whole, f"{operations[0].asked.kind} {key} was accepted and said {dict(found)}")
        elif Outcome.INFO in outcomes:
            finding.holds(found in (whole, Counter()), f"{key}, of which nobody knows, said {dict(found)}")
        else:
            finding.holds(not found, f"{operations[0].asked.kind} {key} was refused and said {dict(found)}")
    strangers = sorted(set(effects) - set(tried))
    finding.holds(not strangers, f"commands that nobody sent have effects: {strangers[:3]}")


def _refused_leaves_no_answer(evidence: Evidence, finding: Finding) -> None:
    stored = {row["id"] for service in ("intake", "routing") for row in evidence.tables[service]["command"]}
    for key, operations in by_key(evidence).items():
        outcomes = {one.outcome for one in operations}
        if outcomes == {Outcome.FAIL}:
            finding.holds(key not in stored, f"{key} was refused and has a stored answer")
        elif Outcome.OK in outcomes:
            finding.holds(key in stored, f"{key} was accepted and has no stored answer")


def _same_key_same_answer(evidence: Evidence, finding: Finding) -> None:
    for key, operations in by_key(evidence).items():
        answers = [json.dumps(one.answer, sort_keys=True) for one in operations if one.outcome is Outcome.OK]
        if len(answers) > 1:
            finding.holds(len(set(answers)) == 1, f"{key} got {len(set(answers))} different answers")


def _another_body_is_refused(evidence: Evidence, finding: Finding) -> None:
    for key, operations in by_key(evidence).items():
        bodies: dict[str, set[Outcome]] = defaultdict(set)
        for one in operations:
            bodies[_wish(one.asked.body)].add(one.outcome)
        if len(bodies) > 1:
            accepted = [body for body, outcomes in bodies.items() if Outcome.OK in outcomes]
            finding.holds(len(accepted) == 1, f"{len(accepted)} bodies were accepted under {key}")


def _wish(body: dict[str, Any]) -> str:
    return json.dumps({name: value for name, value in body.items() if name != "seen"}, sort_keys=True)


def _one_successor_for_each_version(evidence: Evidence, finding: Finding) -> None:
    winners: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in evidence.operations:
        if one.asked.service == "routing" and one.outcome is Outcome.OK and one.asked.dossier and one.asked.seen:
            winners[one.asked.dossier, one.asked.seen].add(one.asked.key)
    for (dossier, seen), keys in winners.items():
        finding.holds(len(keys) == 1, f"{len(keys)} commands succeeded on version {seen} of {dossier}")


def _numbers_have_no_holes(evidence: Evidence, finding: Finding) -> None:
    ordinals: dict[str, list[int]] = defaultdict(list)
    for row in evidence.tables["intake"]["dossier"]:
        day, _, ordinal = row["code"].rpartition("-")
        ordinals[day].append(int(ordinal))
    for day, numbers in ordinals.items():
        finding.holds(sorted(numbers) == list(range(1, len(numbers) + 1)), f"numbers of {day} are doubled or missing")
    taken = sum(row["last"] for row in evidence.tables["intake"]["counter"])
    there = len(evidence.tables["intake"]["dossier"])
    finding.holds(taken == there, f"{taken} numbers were taken for {there} dossiers")


INVARIANTS: Final = (
    Invariant("what was accepted is once in every store that hears it", _accepted_once_and_everywhere),
    Invariant("an accepted command has its effect once, a refused one none", _one_effect_for_each_command),
    Invariant("a refused command left no stored answer, an accepted one did", _refused_leaves_no_answer),
    Invariant("the same command under the same id got the same answer", _same_key_same_answer),
    Invariant("under one id one body was accepted", _another_body_is_refused),
    Invariant("of two officers who saw the same version one succeeded", _one_successor_for_each_version),
    Invariant("printed numbers are 1..n at each desk on each day", _numbers_have_no_holes),
)
