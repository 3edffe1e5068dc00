"""Receiving dossiers, many at a time: load, decide, number, seal, save, announce."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import uuid_utils
from msgspec import Struct

from services.intake import store
from services.intake.handlers.known import Kept, known_for
from services.intake.rules import reception as rules
from services.intake.values import Accepted, Citizen, Dossier, NotAccepted, Status, Submission
from shared import journal, telemetry
from shared.access import Actor
from shared.events import ContactGiven, DossierReceived
from shared.journal import Answer, CommandKey, Saying
from shared.seal import READERS, DataKey, Keyring, new_data_key, open_sealed, seal
from shared.store import Database, Transaction
from shared.topics import CONTACT, Service

APPLICANT: Final = "applicant"
CONTACT_PURPOSE: Final = "contact"

BODY_DIGEST: Final = "command"
"""A digest of a body with a name and a number in it is a person's fingerprint: who knows the rest finds the number by
trying. So it is sealed too, and erased with the key."""


class TakenMeanwhileError(Exception):
    """Another process received the same command at the same moment: run again, and its answer is found."""


class Asked(Struct, frozen=True):
    """A submission with who sent it, under which id, the trace that it belongs to, and since when it waits (ns)."""

    submission: Submission
    actor: Actor
    key: CommandKey
    digest: bytes
    traceparent: str | None
    since: int = 0


class Received(Struct, frozen=True):
    """Received, now or by the same command before; ``answer`` holds references only."""

    answer: dict[str, Any]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class KeyReused:
    """The command's id came before with another body."""


async def receive(
    database: Database, keyring: Keyring, kept: Kept, asked: Sequence[Asked]
) -> list[Received | NotAccepted | KeyReused]:
    """Receive submissions in one transaction; an answer for each, in order. Nothing is stored by halves."""
    while True:
        try:
            with telemetry.together() as work:
                async with database.transaction() as tx:
                    return await _receive(tx, keyring, kept, asked, work)
        except TakenMeanwhileError:
            continue


async def _receive(
    tx: Transaction, keyring: Keyring, kept: Kept, asked: Sequence[Asked], work: telemetry.Work
) -> list[Received | NotAccepted | KeyReused]:
    answered = await journal.answers(tx, [one.key for one in asked])
    known, now = await known_for(tx, kept, {one.submission.procedure for one in asked})
    new: dict[CommandKey, tuple[Asked, Accepted]] = {}
    refused: dict[tuple[CommandKey, bytes], NotAccepted] = {}
    for one in asked:
        if one.key in answered or one.key in new:
            continue
        decided = rules.receive(one.submission, known, now)
        if isinstance(decided, Accepted):
            new[one.key] = (one, decided)
            if not decided.holidays_known and one.submission.record is None:
                kept.ends(decided.calendar, decided.calendar_version)
        else:
            refused[one.key, one.digest] = decided
    answers = await _write(tx, keyring, list(new.values()), work)
    before = await _before(tx, keyring, answered)
    outcomes: list[Received | NotAccepted | KeyReused] = []
    for one in asked:
        if (one.key, one.digest) in refused:
            outcomes.append(refused[one.key, one.digest])
        elif one.key in new:
            first = new[one.key][0]
            same = first.digest == one.digest
            outcomes.append(Received(answers[one.key].body, repeated=first is not one) if same else KeyReused())
        else:
            same = before[one.key] in {None, one.digest}
            outcomes.append(Received(answered[one.key].body, repeated=True) if same else KeyReused())
    return outcomes


async def _before(
    tx: Transaction, keyring: Keyring, answered: Mapping[CommandKey, Answer]
) -> dict[CommandKey, bytes | None]:
    """The digests of the bodies that came before; None where they were erased with the citizen's data."""
    if not answered:
        return {}
    citizens = await store.citizens(tx, {answer.body["id"] for answer in answered.values()})
    return {key: _opened_digest(keyring, citizens.get(answer.body["id"]), answer) for key, answer in answered.items()}


def _opened_digest(keyring: Keyring, citizen: Citizen | None, answer: Answer) -> bytes | None:
    key = keyring.unwrap(citizen.dossier, citizen.wrapped_key) if citizen is not None else None
    opened = open_sealed(key, BODY_DIGEST, answer.digest.decode("ascii")) if isinstance(key, DataKey) else None
    return opened if isinstance(opened, bytes) else None


async def _write(
    tx: Transaction, keyring: Keyring, accepted: Sequence[tuple[Asked, Accepted]], work: telemetry.Work
) -> dict[CommandKey, Answer]:
    if not accepted:
        return {}
    keys = [new_data_key(str(uuid_utils.uuid7())) for _ in accepted]
    traces = {key.subject: _traced(work, key.subject, asked) for key, (asked, _) in zip(keys, accepted, strict=True)}
    citizens = [_citizen(keyring, key, asked.submission) for key, (asked, _) in zip(keys, accepted, strict=True)]
    # The counters are shared by all who receive at a desk: locked last, and only until the commit.
    last = await store.take_numbers(tx, Counter((one.unit.code, one.day) for _, one in accepted))
    left = Counter((one.unit.code, one.day) for _, one in accepted)
    dossiers: list[Dossier] = []
    sayings: list[Saying] = []
    answers: dict[CommandKey, Answer] = {}
    for key, citizen, (asked, decided) in zip(keys, citizens, accepted, strict=True):
        where = (decided.unit.code, decided.day)
        left[where] -= 1
        dossier = _dossier(key.subject, asked.submission, decided, last[where] - left[where])
        dossiers.append(dossier)
        sayings.append(_saying(asked, decided, dossier, citizen, traces[dossier.id]))
        sealed = seal(key, BODY_DIGEST, asked.digest)
        answers[asked.key] = Answer(sealed.encode("ascii"), _answer(dossier, decided))
    await store.add_dossiers(tx, dossiers, citizens)
    states = [
        (citizen.dossier, citizen.contact_version, _contact_given(citizen, dossier.received))
        for citizen, dossier in zip(citizens, dossiers, strict=True)
        if citizen.contact is not None
    ]
    if await journal.begin(tx, Service.INTAKE, sayings, CONTACT, states, answers) != answers.keys():
        raise TakenMeanwhileError
    return answers


def _traced(work: telemetry.Work, subject: str, asked: Asked) -> str | None:
    """The reception of one dossier in its request's trace; how long the request had waited for this batch is told."""
    waited = max(0, time.time_ns() - asked.since) / 1e9
    return work.on("receive dossier", subject, parent=asked.traceparent, attributes={telemetry.WAITED_DOOR: waited})


def _dossier(ident: str, submission: Submission, decided: Accepted, ordinal: int) -> Dossier:
    return Dossier(
        id=ident,
        code=rules.printed_code(decided.unit.code, decided.day, ordinal),
        unit=decided.unit.code,
        procedure=decided.procedure.code,
        procedure_version=decided.procedure.version,
        channel=submission.channel,
        received=decided.received,
        promise=decided.promise,
        calendar=decided.calendar,
        calendar_version=decided.calendar_version,
        components=submission.components,
        origin=submission.record.origin if submission.record else None,
        attributes=submission.record.attributes if submission.record else {},
        status=Status.RECEIVED,
        due=decided.promise,
        at_unit=decided.unit.code,
        at_stage=None,
        run=0,
        late=False,
        supplements=0,
        requested=None,
        notices_sent=0,
        notices_failed=0,
        as_of=decided.received,
    )


def _citizen(keyring: Keyring, key: DataKey, submission: Submission) -> Citizen:
    return Citizen(
        key.subject,
        keyring.wrap(key, READERS),
        seal(key, APPLICANT, submission.personal),
        seal(key, CONTACT_PURPOSE, submission.contact) if submission.contact is not None else None,
        1 if submission.contact is not None else 0,
    )


def _contact_given(citizen: Citizen, given: datetime) -> str:
    assert citizen.contact is not None
    return ContactGiven(
        version=citizen.contact_version, wrapped_key=citizen.wrapped_key, sealed=citizen.contact, given=given
    ).model_dump_json()


def _saying(asked: Asked, decided: Accepted, dossier: Dossier, citizen: Citizen, trace: str | None) -> Saying:
    event = DossierReceived(
        code=dossier.code,
        procedure=dossier.procedure,
        procedure_version=dossier.procedure_version,
        unit=dossier.unit,
        unit_version=decided.unit.version,
        channel=dossier.channel,
        term=decided.term,
        promise=dossier.promise,
        calendar=dossier.calendar,
        calendar_version=dossier.calendar_version,
        contact_version=citizen.contact_version,
        attributes=dict(dossier.attributes),
    )
    return Saying(
        dossier.id,
        event,
        dossier.received,
        origin=dossier.origin,
        actor=asked.actor.id,
        traceparent=trace,
    )


def _answer(dossier: Dossier, decided: Accepted) -> dict[str, Any]:
    return {
        "id": dossier.id,
        "code": dossier.code,
        "version": 1,
        "unit": dossier.unit,
        "procedure": dossier.procedure,
        "channel": dossier.channel.value,
        "received": dossier.received.isoformat(),
        "promise": dossier.promise.isoformat(),
        "term": {"value": decided.term.value, "unit": decided.term.unit.value},
        "calendar": dossier.calendar,
        "calendar_version": dossier.calendar_version,
        "components": list(dossier.components),
        "holidays_known": decided.holidays_known,
        "legs": [
            {
                "level": one.leg.level,
                "term": {"value": one.leg.term.value, "unit": one.leg.term.unit.value},
                "promise": one.promise.isoformat(),
            }
            for one in decided.legs
        ],
    }
