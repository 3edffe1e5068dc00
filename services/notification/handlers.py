"""Notification: load, decide, save, announce. Ends with the table of what is heard."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace
from pydantic import ValidationError

from services.notification import store
from services.notification.rules import sending, telling
from services.notification.values import (
    EMAIL,
    Accepted,
    Attempted,
    Claimed,
    Close,
    Contact,
    Dossier,
    Ended,
    Known,
    Named,
    Outcome,
    Postponed,
    PutOff,
    Refused,
    Ruling,
    Standing,
    Unknown,
    Unsendable,
)
from shared import journal
from shared.bus import Hearer, Hears, Waiting, decide_all
from shared.bus.fates import ToBury
from shared.bus.hearing import bury
from shared.envelope import LARGEST_BODY, Cause, Heard, Record
from shared.events import (
    ContactGiven,
    DeadlinePassed,
    DossierAdopted,
    DossierReceived,
    DossierWithdrawn,
    FeeRequested,
    NoticeFailed,
    NoticeSent,
    PersonalDataErased,
    ProcedurePublished,
    ResultHandedOver,
    ResultReady,
    SupplementReceived,
    SupplementRequested,
    UnitPublished,
)
from shared.journal import Saying, Stream
from shared.outbox.said import rank
from shared.seal import DataKey, KeyErased, Keyring, open_sealed
from shared.store import Database, Transaction
from shared.topics import CONTACT, Service

log = logging.getLogger(__name__)

CONTACT_PURPOSE: Final = "contact"


# --- hearing -------------------------------------------------------------------------------------------------------


async def hear(tx: Transaction, _: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
    """Keep names, then decide what the citizens of the batch's dossiers are told. Nothing is said before it is sent.

    An erasure that lies further on is heeded first: what comes before it in its stream may wait for the very contact
    that was erased, and the tombstone which says so on the other topic is not kept for ever (decision 0071).
    """
    await _keep_names(tx, events)
    await _keep_erasures(tx, events)
    mine = [one for one in events if type(one.event) in HEARS]
    if not mine:
        return []
    subjects = {one.subject for one in mine}
    dossiers = await store.dossiers(tx, subjects)
    decided = decide_all(dossiers, mine, HEARS, await _known(tx, subjects, dossiers.values(), mine))
    await store.save_dossiers(tx, decided.changed.values())
    return decided.waiting


async def _keep_names(tx: Transaction, events: Sequence[Heard]) -> None:
    units = [
        Named(one.event.code, one.version, one.event.name) for one in events if isinstance(one.event, UnitPublished)
    ]
    if units:
        await store.save_units(tx, units)
    procedures = [
        Named(one.event.code, one.version, one.event.name)
        for one in events
        if isinstance(one.event, ProcedurePublished)
    ]
    if procedures:
        await store.save_procedures(tx, procedures)


async def _keep_erasures(tx: Transaction, events: Sequence[Heard]) -> None:
    erased = {
        one.subject: Contact(one.subject, one.event.contact_version, None, None)
        for one in events
        if isinstance(one.event, PersonalDataErased)
    }
    if erased:
        await store.save_contacts(tx, erased.values())


async def _known(tx: Transaction, subjects: set[str], dossiers: Iterable[Dossier], events: Sequence[Heard]) -> Known:
    units = {one.unit for one in dossiers} | {
        one.event.unit for one in events if isinstance(one.event, DossierReceived | ResultReady)
    }
    procedures = {one.event.procedure for one in events if isinstance(one.event, DossierReceived)}
    return Known(
        await store.units(tx, units),
        await store.procedures(tx, procedures) if procedures else {},
        await store.contact_states(tx, subjects),
    )


# --- contacts --------------------------------------------------------------------------------------------------------


async def hear_contacts(tx: Transaction, records: Sequence[Record]) -> list[str]:
    """Keep the highest version of each contact; a tombstone erases. Returns the keys under which somebody may wait."""
    newest: dict[str, Contact] = {}
    dead: list[ToBury] = []
    for record in records:
        contact = _contact(record)
        if isinstance(contact, ToBury):
            dead.append(contact)
            continue
        there = newest.get(contact.dossier)
        if there is None or (there.version, there.sealed is None) < (contact.version, contact.sealed is None):
            newest[contact.dossier] = contact
    if newest:
        await store.save_contacts(tx, newest.values())
    if dead:
        await bury(tx, dead)
    return [f"contact:{dossier}" for dossier in newest]


async def kept_contacts(tx: Transaction, dossiers: Sequence[str]) -> dict[str, int]:
    """The rank of each dossier's contact that is here."""
    states = await store.contact_states(tx, dossiers)
    return {dossier: rank(state.version, is_erased=state.erased) for dossier, state in states.items()}


def _contact(record: Record) -> Contact | ToBury:
    try:
        dossier = (record.key or b"").decode("ascii")
        version = int(dict(record.headers)["ce_streamversion"] or b"")
    except (ValueError, KeyError):
        return _dead(record, "key or version that cannot be read")
    if len(dossier) != 36 or not dossier.isprintable() or not 1 <= version <= 2**31 - 1:
        return _dead(record, "key or version out of range")
    if not record.body:
        return Contact(dossier, version, None, None)
    if len(record.body) > LARGEST_BODY:
        return _dead(record, "oversized body")
    try:
        given = ContactGiven.model_validate_json(record.body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        return _dead(record, f"{first['loc'][0] if first['loc'] else 'body'}: {first['type']}")
    if given.version != version:
        return _dead(record, "version of the body is not that of the header")
    if not given.sealed or not given.wrapped_key or "\x00" in given.sealed + given.wrapped_key:
        return _dead(record, "nothing that could be opened")
    return Contact(dossier, version, given.wrapped_key, given.sealed)


def _dead(record: Record, reason: str) -> ToBury:
    # Without its body: an erasure destroys every copy of the wrapped key, and this table is none that it would look at.
    # The way out is to publish the contact again.
    return ToBury(replace(record, body=None), reason)


# --- sending ---------------------------------------------------------------------------------------------------------


def address_of(keyring: Keyring, claimed: Claimed) -> str | Unsendable:
    """The citizen's e-mail address, opened for this moment. Never logged, never stored."""
    contact = claimed.contact
    if contact is None:
        return Unsendable("cannot_open_contact")
    if contact.wrapped_key is None or contact.sealed is None:
        return Unsendable("contact_erased")
    key = keyring.unwrap(claimed.dossier, contact.wrapped_key)
    if isinstance(key, KeyErased):
        return Unsendable("contact_erased")
    opened = open_sealed(key, CONTACT_PURPOSE, contact.sealed) if isinstance(key, DataKey) else None
    if not isinstance(opened, bytes):
        return Unsendable("cannot_open_contact")
    try:
        given = json.loads(opened)
    except ValueError:
        return Unsendable("cannot_open_contact")
    address = given.get(EMAIL) if isinstance(given, dict) else None
    return address if isinstance(address, str) and address else Unsendable("no_email_address")


async def record_outcomes(database: Database, attempts: Sequence[Attempted]) -> None:
    """Write down what came of attempts, and announce the notices' ends in the same transaction."""
    said: list[tuple[Attempted, NoticeSent | NoticeFailed | None]] = []
    async with database.transaction() as tx:
        locked = await journal.lock(tx, [one.claimed.dossier for one in attempts])
        for each_once in _each_notice_once(attempts):
            said += await _record(tx, each_once)
        now = await journal.instant(tx)
        sayings = [
            Saying(
                one.claimed.dossier,
                event,
                now,
                because=Cause(Service(one.claimed.source), one.claimed.version),
                traceparent=one.traceparent,
            )
            for one, event in said
            if event is not None
        ]
        in_order = [journal.in_order(locked, saying) for saying in sayings]
        await journal.announce(tx, Service.NOTIFICATION, locked, in_order)
    for one, event in said:
        _log(one.claimed, one.outcome, event)


def _each_notice_once(attempts: Sequence[Attempted]) -> list[list[Attempted]]:
    """One after the other, where an attempt comes back together with the one that took its place."""
    lists: list[list[Attempted]] = []
    seen: Counter[str] = Counter()
    for one in attempts:
        place = seen[one.claimed.id]
        seen[one.claimed.id] += 1
        if place == len(lists):
            lists.append([])
        lists[place].append(one)
    return lists


async def _record(
    tx: Transaction, attempts: Sequence[Attempted]
) -> list[tuple[Attempted, NoticeSent | NoticeFailed | None]]:
    """Attempts of different notices, under their dossiers' locks; what is to be said of each."""
    standings = await store.notice_standings(tx, {one.claimed.id: one.claimed.attempt for one in attempts})
    ended = [_ended(one) for one in attempts]
    await store.end_attempts(tx, [one for one in ended if isinstance(one, Ended)])
    await store.drop_attempts(tx, [one for one in ended if not isinstance(one, Ended)])
    rulings = {
        one.claimed.id: sending.rule(one.outcome, one.claimed.attempt, standings[one.claimed.id]) for one in attempts
    }
    await store.close_notices(tx, {notice: one for notice, one in rulings.items() if isinstance(one, Close)})
    await store.postpone_notices(tx, {notice: one for notice, one in rulings.items() if isinstance(one, PutOff)})
    return [(one, _event(one.claimed, standings[one.claimed.id], rulings[one.claimed.id])) for one in attempts]


def _ended(one: Attempted) -> Ended | tuple[str, int]:
    """How the attempt ends; of one that was none, the notice and its number: nothing left the house."""
    outcome, notice, number = one.outcome, one.claimed.id, one.claimed.attempt
    name = sending.outcome_name(outcome)
    if name is None:
        return notice, number
    code = outcome.code if isinstance(outcome, Accepted | Refused | Postponed) else None
    reason = outcome.reason if isinstance(outcome, Unknown | Unsendable) else None
    return Ended(notice, number, name, code, reason)


def _event(claimed: Claimed, standing: Standing, ruling: Ruling) -> NoticeSent | NoticeFailed | None:
    if not isinstance(ruling, Close):
        return None
    if ruling.reason is None:
        return NoticeSent(
            notice=claimed.id,
            template=claimed.template.value,
            channel=EMAIL,
            attempts=standing.attempts,
            maybe_repeated=standing.maybe_repeated,
        )
    return NoticeFailed(
        notice=claimed.id,
        template=claimed.template.value,
        channel=EMAIL,
        attempts=standing.attempts,
        reason=ruling.reason,
    )


def _log(claimed: Claimed, outcome: Outcome, said: NoticeSent | NoticeFailed | None) -> None:
    fields = {
        "notice": claimed.id,
        "dossier": claimed.dossier,
        "template": claimed.template.value,
        "attempt": claimed.attempt,
    }
    if isinstance(said, NoticeSent):
        log.info("notice_sent", extra={**fields, "maybe_repeated": said.maybe_repeated})
    elif isinstance(said, NoticeFailed):
        log.error("notice_failed", extra={**fields, "reason": said.reason})
    elif isinstance(outcome, Postponed | Unknown):
        log.warning("notice_postponed", extra={**fields, "outcome": sending.outcome_name(outcome)})


# --- what is heard ---------------------------------------------------------------------------------------------------

HEARS: Final[Hears[Dossier, Known]] = {
    DossierReceived: telling.received,
    SupplementReceived: telling.supplement_received,
    ResultHandedOver: telling.result_handed_over,
    SupplementRequested: telling.supplement_requested,
    FeeRequested: telling.fee_requested,
    DeadlinePassed: telling.deadline_passed,
    ResultReady: telling.result_ready,
    DossierWithdrawn: telling.withdrawn,
    DossierAdopted: telling.adopted,
    PersonalDataErased: telling.erased,
}


def hearer() -> Hearer:
    """The whole of what notification listens to: the table above, names of units and procedures, and contacts."""
    return Hearer(
        Service.NOTIFICATION,
        frozenset({*HEARS, ProcedurePublished, UnitPublished}),
        hear,
        states={CONTACT: hear_contacts},
        opens={DossierReceived: 0},
        kept={CONTACT: kept_contacts},
    )
