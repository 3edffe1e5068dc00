"""Erasure: what the register says is erased is nowhere any more, opens for no program of ours, and does not come back.

The register counts, not a journal: it outlasts a database that was restored from before the erasure.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Final

from shared.topics import CONTACT
from tests.faults.checker import Evidence, Finding, Invariant
from tests.faults.checker.evidence import WITNESSES
from tests.faults.history import Outcome

_NOT_LOOKED_AT_RIGHTLY: Final = "no key of anybody opens anything at all: it was not looked at rightly"
_SEALED: Final = re.compile(r"eyJ[\w-]+\.\.[\w-]+\.[\w-]+\.[\w-]+", re.ASCII)
"""How something sealed is written (JWE compact, `dir`), a data key under its envelope key too; JSON escapes nothing of
it."""


def _erased(evidence: Evidence) -> set[str]:
    """Whose data are erased: as clients were told, as intake has it, and as the register has it."""
    told = {one.asked.dossier for one in evidence.operations if one.asked.kind == "erase" and one.outcome is Outcome.OK}
    known = {row["dossier"] for row in evidence.tables["intake"]["erasure"]}
    return known | set(evidence.register) | {one for one in told if one is not None}


def _no_store_has_its_key(evidence: Evidence, finding: Finding) -> None:
    """The register binds our programs; a key that is left in a store opens for whoever has it and the keys."""
    kept: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for where, dossier, wrapped in _keys_in_stores(evidence):
        kept[dossier].add((where, wrapped))
    erased = _erased(evidence)
    for dossier in erased:
        opening = sorted({where for where, wrapped in kept[dossier] if evidence.opens_by_itself(dossier, wrapped)})
        finding.holds(not opening, f"a key that opens what was sealed for the erased {dossier} is in {opening}")
    living = ((dossier, wrapped) for dossier in set(kept) - erased for _, wrapped in kept[dossier])
    if not any(evidence.opens_by_itself(dossier, wrapped) for dossier, wrapped in living):
        finding.broken.append(_NOT_LOOKED_AT_RIGHTLY)


def _keys_in_stores(evidence: Evidence) -> Iterator[tuple[str, str, str]]:
    """Every wrapped key that there ever was and that lies in a table of a service, whichever it is; and of whom."""
    known = {
        wrapped.partition("\n")[0]: (dossier, wrapped)
        for dossier, wrapped in {*_ever_sealed(evidence), *_on_the_topic(evidence), *_where_stores_keep_them(evidence)}
    }
    for service, tables in evidence.tables.items():
        for table, rows in tables.items():
            if table.startswith(WITNESSES):
                continue
            for row in rows:
                for sealed in _SEALED.findall(_text(row.values())):
                    if sealed in known:
                        yield f"{service}'s {table}", *known[sealed]


def _text(values: Iterable[object]) -> str:
    return "\n".join(one.decode("latin-1") if isinstance(one, bytes) else str(one) for one in values)


def _ever_sealed(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """As a witness beside the store remembers it, as a backup would."""
    yield from ((row["dossier"], row["wrapped_key"]) for row in evidence.tables["intake"]["ever_sealed"])


def _on_the_topic(evidence: Evidence) -> Iterator[tuple[str, str]]:
    yield from ((one.dossier, one.wrapped_key) for one in evidence.contacts if one.wrapped_key is not None)


def _where_stores_keep_them(evidence: Evidence) -> Iterator[tuple[str, str]]:
    """Keys that the witness may not know: his memory goes with the store that is restored from an older copy."""
    for service, table in (("intake", "citizen"), ("notification", "contact")):
        for row in evidence.tables[service][table]:
            if row["wrapped_key"] is not None:
                yield row["dossier"], row["wrapped_key"]
    for row in evidence.tables["intake"]["snapshot"]:
        if row["topic"] == CONTACT.name and row["payload"] is not None:
            yield row["aggregateid"], json.loads(row["payload"])["wrapped_key"]


def _no_program_opens_a_backup(evidence: Evidence, finding: Finding) -> None:
    """Whatever key there ever was. Where the witness has forgotten with his store, the topic knows; or the reverse."""
    _opened_by_none_of_ours(evidence, finding, {*_ever_sealed(evidence), *_on_the_topic(evidence)})


def _no_program_opens_what_lies_there(evidence: Evidence, finding: Finding) -> None:
    _opened_by_none_of_ours(evidence, finding, set(_on_the_topic(evidence)))


def _opened_by_none_of_ours(evidence: Evidence, finding: Finding, keys: Iterable[tuple[str, str]]) -> None:
    """Our programs ask the register; whose data are erased is told by others as well, clients among them."""
    erased, living = _erased(evidence), 0
    for dossier, wrapped in keys:
        opens = evidence.opens(dossier, wrapped)
        if dossier in erased:
            finding.holds(not opens, f"what was sealed for the erased {dossier} opens")
        else:
            living += opens
    if not living:
        finding.broken.append(_NOT_LOOKED_AT_RIGHTLY)


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
    if not (known - set(evidence.register)) & citizens:
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
        "of an erased subject no key is left in a store that opens anything, register or not",
        _no_store_has_its_key,
        outlasts_restores=True,
    ),
    Invariant(
        "what a backup still has of an erased subject's keys opens for no program of ours",
        _no_program_opens_a_backup,
        outlasts_restores=True,
    ),
    Invariant(
        "what of them still lies on the topic of contacts opens for no program of ours",
        _no_program_opens_what_lies_there,
        unless=frozenset({"topic lost"}),
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
