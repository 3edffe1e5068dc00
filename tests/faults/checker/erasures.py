"""Erasure: what the register says is erased is nowhere any more, opens for no program of ours, and does not come back.

The register counts, not a journal: it outlasts a database that was restored from before the erasure.
"""

from __future__ import annotations

from typing import Final

from shared.topics import CONTACT
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.history import Outcome


def _no_program_opens_it(evidence: Evidence, finding: Finding) -> None:
    """Whatever key there ever was: as a witness beside the store remembers it, and as it lies on the topic."""
    there = {(one.dossier, one.wrapped_key) for one in evidence.contacts if one.wrapped_key is not None}
    ever = {(row["dossier"], row["wrapped_key"]) for row in evidence.tables["intake"]["ever_sealed"]}
    living = set()
    for dossier, wrapped in there | ever:
        opens = evidence.opens(dossier, wrapped)
        if dossier in evidence.register:
            finding.holds(not opens, f"what was sealed for the erased {dossier} opens")
        elif opens:
            living.add((dossier, wrapped))
    if not living or not (living & there or CONTACT.name in evidence.tally.lost):
        finding.broken.append("no key opens anything at all: it was not looked at rightly")


def _the_stores_have_nothing_of_it(evidence: Evidence, finding: Finding) -> None:
    citizens = {row["dossier"] for row in evidence.tables["intake"]["citizen"]}
    snapshots = {
        row["aggregateid"]: row["payload"]
        for row in evidence.tables["intake"]["snapshot"]
        if row["topic"] == CONTACT.name
    }
    contacts = {row["dossier"]: row for row in evidence.tables["notification"]["contact"]}
    known = {row["id"] for row in evidence.tables["intake"]["dossier"]}
    for dossier in evidence.register:
        finding.holds(dossier not in citizens, f"intake has the citizen of the erased {dossier}")
        finding.holds(snapshots.get(dossier) is None, f"intake has the contact of the erased {dossier}")
        row = contacts.get(dossier)
        so = row is None or (row["erased"] and row["wrapped_key"] is None and row["sealed"] is None)
        finding.holds(so, f"notification has the contact of the erased {dossier}")
    if not known - set(evidence.register) & citizens:
        finding.broken.append("no citizen is left at all: it was not looked at rightly")


def _the_tombstone_lies_on_top(evidence: Evidence, finding: Finding) -> None:
    highest: dict[str, tuple[int, bool]] = {}
    for one in evidence.contacts:
        highest[one.dossier] = max(highest.get(one.dossier, (0, True)), (one.version, one.wrapped_key is None))
    for dossier, erasure in evidence.register.items():
        version, is_tombstone = highest.get(dossier, (0, False))
        so = is_tombstone and version >= erasure.contact_version
        finding.holds(so, f"the highest version of the erased {dossier} on {CONTACT.name} is no tombstone")


def _register_and_store_agree(evidence: Evidence, finding: Finding) -> None:
    stored = {row["dossier"] for row in evidence.tables["intake"]["erasure"]}
    known = {row["id"] for row in evidence.tables["intake"]["dossier"]}
    accepted = {
        one.asked.dossier for one in evidence.operations if one.asked.kind == "erase" and one.outcome is Outcome.OK
    }
    for dossier in accepted:
        finding.holds(dossier in evidence.register, f"the erasure of {dossier} was accepted, and is in no register")
    for dossier in stored:
        finding.holds(dossier in evidence.register, f"the erasure of {dossier} is in no register")
    for dossier in set(evidence.register) & known:
        finding.holds(dossier in stored, f"intake does not know that {dossier} is erased")


def _nobody_is_written_to(evidence: Evidence, finding: Finding) -> None:
    told = {
        one.asked.dossier: one.returned
        for one in reversed(evidence.operations)
        if one.asked.kind == "erase" and one.outcome is Outcome.OK and one.returned is not None
    }
    tried: dict[str, list[float]] = {}
    dossier_of = {row["id"]: row["dossier"] for row in evidence.tables["notification"]["notice"]}
    for row in evidence.tables["notification"]["attempt"]:
        if row["outcome"] == "accepted":
            tried.setdefault(dossier_of[row["notice"]], []).append(row["started"].timestamp())
    for dossier, answered in told.items():
        # What was in a sender's hand at that moment goes out; whatever was begun afterwards does not.
        later = [one for one in tried.get(dossier or "", ()) if one > answered]
        finding.holds(not later, f"{len(later)} mails about {dossier} went out after its erasure was answered")


INVARIANTS: Final = (
    Invariant(
        "what was sealed for an erased subject opens for no program of ours",
        _no_program_opens_it,
        outlasts_restores=True,
    ),
    Invariant("no store has anything of an erased citizen", _the_stores_have_nothing_of_it, outlasts_restores=True),
    Invariant(
        "of an erased contact the highest version is a tombstone",
        _the_tombstone_lies_on_top,
        unless=frozenset({"topic lost"}),
        outlasts_restores=True,
    ),
    Invariant(
        "every erasure that was accepted is in the register and in the store",
        _register_and_store_agree,
        outlasts_restores=True,
    ),
    Invariant("no mail is begun once an erasure was answered", _nobody_is_written_to, outlasts_restores=True),
)
