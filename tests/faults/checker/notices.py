"""Notices: one for each event that a citizen is to be told, one mail for each, and a second one says that it is one."""

from __future__ import annotations

from collections import Counter
from typing import Final

from tests.faults.checker import Evidence, Finding, Invariant

_TOLD: Final = frozenset(
    {
        "DossierReceived",
        "SupplementReceived",
        "ResultHandedOver",
        "SupplementRequested",
        "FeeRequested",
        "ResultReady",
        "DossierWithdrawn",
    }
)

_LOST: Final = "lease_ran_out"
"""Why nobody knows what became of an attempt whose sender has not written it down, whatever the provider said."""


def _one_for_each_event(evidence: Evidence, finding: Finding) -> None:
    notices = Counter(
        (row["source"], row["dossier"], row["version"], row["channel"])
        for row in evidence.tables["notification"]["notice"]
    )
    wanted = {
        (source, one.subject, one.version, "email")
        for source in ("intake", "routing")
        for one in evidence.journals[source]
        if one.type in _TOLD or (one.type == "DeadlinePassed" and one.payload["scope"] == "dossier")
    }
    for one in wanted:
        finding.holds(notices[one] == 1, f"there are {notices[one]} notices for {one}")
    strangers = sorted(set(notices) - wanted)
    finding.holds(not strangers, f"notices for what needed none: {strangers[:3]}")


def _each_said_once(evidence: Evidence, finding: Finding) -> None:
    said: dict[str, Counter[str]] = {}
    for one in evidence.journals["notification"]:
        said.setdefault(one.payload["notice"], Counter())[one.type] += 1
    for row in evidence.tables["notification"]["notice"]:
        ends: dict[tuple[str, str | None], dict[str, int]] = {("sent", None): {"NoticeSent": 1}}
        if row["dossier"] in evidence.register:
            ends |= {("failed", "contact_erased"): {"NoticeFailed": 1}, ("unreachable", None): {}}
        end = ends.get((row["state"], row["reason"]))
        finding.holds(end is not None, f"notice {row['id']} is {row['state']} ({row['reason']})")
        found = dict(said.get(row["id"], ()))
        finding.holds(end is None or found == end, f"of notice {row['id']}, {row['state']}, was said {found}")


def _arrived_once_or_flagged(evidence: Evidence, finding: Finding) -> None:
    arrived: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    recipients: dict[str, set[str]] = {}
    for mail in evidence.mails:
        ident = str(mail["Message-ID"]).strip("<>").partition("@")[0]
        arrived[ident] += 1
        flagged[ident] += mail["X-Lienthong-Maybe-Repeated"] is not None
        recipients.setdefault(ident, set()).add(str(mail["To"]))
    # A letter may be out, its sender killed before he wrote that down, and its citizen's data erased by the next try.
    attempts = evidence.tables["notification"]["attempt"]
    unknown = Counter(row["notice"] for row in attempts if row["outcome"] == "unknown")
    for row in evidence.tables["notification"]["notice"]:
        times, ident = arrived[row["id"]], row["id"]
        if row["state"] != "sent":
            told = f"{times} mails arrived, and of {unknown[ident]} attempts nobody knows what became"
            finding.holds(times <= unknown[ident], f"notice {ident} is {row['state']}, {told}")
            continue
        finding.holds(times >= 1, f"notice {ident} counts as sent, and nothing arrived")
        finding.holds(times - 1 <= flagged[ident], f"notice {ident} arrived {times} times, flagged {flagged[ident]}")
        finding.holds(len(recipients.get(ident, ())) <= 1, f"notice {ident} went to several people")
    known = {row["id"] for row in evidence.tables["notification"]["notice"]}
    finding.holds(set(arrived) <= known, f"{len(set(arrived) - known)} mails belong to no notice")
    _as_many_repeats_as_there_could_be(evidence, finding, sum(times - 1 for times in arrived.values()))


def _as_many_repeats_as_there_could_be(evidence: Evidence, finding: Finding, repeats: int) -> None:
    """A provider that took a mail and did not say so in time is no fault of the sender: the mail is sent again.

    What the sender itself has lost sight of makes no room for itself: each such attempt is one more that is sent again,
    and there may be as many as were in its hands when something was done to it, or to what it writes down in.
    """
    unknown = [row for row in evidence.tables["notification"]["attempt"] if row["outcome"] == "unknown"]
    lost = sum(row["reason"] == _LOST for row in unknown)
    cut_off, unanswered = evidence.tally.mails_cut_off, len(unknown) - lost
    most = cut_off + unanswered
    told = f"{repeats} mails were repeated, {most} could be ({cut_off} cut off in flight, {unanswered} unanswered)"
    finding.holds(repeats <= most, told)
    finding.told.append(f"{told}; of {lost} attempts the sender does not know itself what became")


def _in_their_order(evidence: Evidence, finding: Finding) -> None:
    closed = {one.payload["notice"]: one.version for one in evidence.journals["notification"]}
    by_dossier: dict[str, list[tuple[int, int]]] = {}
    for row in evidence.tables["notification"]["notice"]:
        if row["id"] in closed:
            by_dossier.setdefault(row["dossier"], []).append((row["number"], closed[row["id"]]))
    for dossier, pairs in by_dossier.items():
        if len(pairs) > 1:
            versions = [version for _, version in sorted(pairs)]
            finding.holds(versions == sorted(versions), f"letters about {dossier} overtook one another")


INVARIANTS: Final = (
    Invariant("one notice for each event and channel that a citizen is told of", _one_for_each_event),
    Invariant("every notice was sent, or its citizen's data erased, and that was said once", _each_said_once),
    Invariant(
        "one mail for each notice; a second one is flagged, bounded by kills × mails in flight",
        _arrived_once_or_flagged,
    ),
    Invariant("letters about one dossier keep their order", _in_their_order),
)
