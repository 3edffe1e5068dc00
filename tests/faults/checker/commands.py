"""What clients were told, held against the stores: an accepted command is there once, a refused one nowhere."""

from __future__ import annotations

import json
import math
from collections import Counter, defaultdict
from datetime import datetime
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import Said
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
    effects = _effects(evidence)
    tried = by_key(evidence)
    for key, operations in tried.items():
        kind, whole = operations[0].asked.kind, Counter(SAYS[operations[0].asked.kind])
        outcomes = {one.outcome for one in operations}
        found = Counter(one.type for one in effects.get(key, ()))
        if Outcome.OK in outcomes:
            finding.holds(found == whole, f"{kind} {key} was accepted and said {dict(found)}")
            continue
        if Outcome.INFO in outcomes:
            finding.holds(found in (whole, Counter()), f"{key}, of which nobody knows, said {dict(found)}")
        if Outcome.FAIL in outcomes:
            stand = [one.type for one in effects.get(key, ()) if _is_denied(operations, one.recorded)]
            finding.holds(not stand, f"{kind} {key} was refused and said {stand}")
    strangers = sorted(set(effects) - set(tried))
    finding.holds(not strangers, f"commands that nobody sent have effects: {strangers[:3]}")


def _effects(evidence: Evidence) -> dict[str, list[Said]]:
    """What commands said, by their id. What another service said because of it has the same actor, and a cause."""
    found: dict[str, list[Said]] = defaultdict(list)
    for service in ("intake", "routing"):
        for said in evidence.journals[service]:
            if said.cause is None and said.actor and said.actor.startswith("client-"):
                found[said.actor.removeprefix("client-")].append(said)
    return found


def _is_denied(operations: list[Operation], recorded: datetime) -> bool:
    """Whether what a command did at that instant is denied by what its clients were told, none of whom got a 2xx."""
    return recorded.timestamp() < _had_done_nothing_at(operations)


def _had_done_nothing_at(operations: list[Operation]) -> float:
    """Until when, in seconds since 1970, a refused command cannot have done anything, whichever body was taken."""
    return min(_refused_until(tried) for tried in _by_wish(operations).values())


def _refused_until(tried: list[Operation]) -> float:
    """A refusal says what had been, if it was asked for when every unknown try was over for its client.

    Where no try is unknown, that is for ever. One that its client has given up may still lie before the door, and be
    taken after the refusal. Routing refuses it then as well: the version that it names has passed, or stands for the
    same state. At intake's door it may fit meanwhile, so the refusal holds for what was recorded before it was asked
    for: whoever records holds the dossier's lock until he has committed, and the refusal came after him.
    """
    unknown = [one.told_line or math.inf for one in tried if one.outcome is Outcome.INFO]
    if not unknown:
        return math.inf
    refusals = [one.invoked for one in tried if one.outcome is Outcome.FAIL and one.sent_line > max(unknown)]
    if refusals and tried[0].asked.service == "routing":
        return math.inf
    return max(refusals, default=-math.inf)


def _refused_leaves_no_answer(evidence: Evidence, finding: Finding) -> None:
    stored = {
        row["id"]: row["recorded"] for service in ("intake", "routing") for row in evidence.tables[service]["command"]
    }
    for key, operations in by_key(evidence).items():
        outcomes = {one.outcome for one in operations}
        if Outcome.OK in outcomes:
            finding.holds(key in stored, f"{key} was accepted and has no stored answer")
        elif Outcome.FAIL in outcomes:
            so = key not in stored or not _is_denied(operations, stored[key])
            finding.holds(so, f"{key} was refused and has a stored answer")


def _same_key_same_answer(evidence: Evidence, finding: Finding) -> None:
    for key, operations in by_key(evidence).items():
        for tried in _by_wish(operations).values():
            accepted = [one for one in tried if one.outcome is Outcome.OK]
            answers = {json.dumps(one.answer, sort_keys=True) for one in accepted}
            if len(accepted) > 1:
                finding.holds(len(answers) == 1, f"{key} got {len(answers)} different answers")
            told = min((one.told_line or 0 for one in accepted), default=math.inf)
            again = [one.outcome for one in tried if one.sent_line > told and one.outcome is not Outcome.INFO]
            if again:
                refused = again.count(Outcome.FAIL)
                finding.holds(not refused, f"{key} was accepted, and when it came again refused {refused} times")


def _another_body_is_refused(evidence: Evidence, finding: Finding) -> None:
    for key, operations in by_key(evidence).items():
        bodies = _by_wish(operations).values()
        if len(bodies) > 1:
            accepted = sum(any(one.outcome is Outcome.OK for one in tried) for tried in bodies)
            finding.holds(accepted == 1, f"{accepted} bodies were accepted under {key}")


def _by_wish(operations: list[Operation]) -> dict[str, list[Operation]]:
    """Operations by what they ask for; which version was seen may be another when it is asked for again."""
    found: dict[str, list[Operation]] = defaultdict(list)
    for one in operations:
        wish = {name: value for name, value in one.asked.body.items() if name != "seen"}
        found[json.dumps(wish, sort_keys=True)].append(one)
    return found


def _one_successor_for_each_version(evidence: Evidence, finding: Finding) -> None:
    contenders: dict[tuple[str, int], set[str]] = defaultdict(set)
    winners: dict[tuple[str, int], set[str]] = defaultdict(set)
    for one in evidence.operations:
        if one.asked.service == "routing" and one.asked.dossier and one.asked.seen:
            contenders[one.asked.dossier, one.asked.seen].add(one.asked.key)
            if one.outcome is Outcome.OK:
                winners[one.asked.dossier, one.asked.seen].add(one.asked.key)
    for (dossier, seen), keys in contenders.items():
        if len(keys) > 1:
            won = len(winners[dossier, seen])
            finding.holds(won <= 1, f"{won} of {len(keys)} commands succeeded on version {seen} of {dossier}")


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
