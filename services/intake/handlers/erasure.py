"""Erasing a citizen's data: key and ciphertext are destroyed, and it is said twice (decisions 0070 to 0072).

What was erased stays so: after a restored backup it is done again from the register of erasures.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec
import uuid_utils

from services.intake import store
from services.intake.rules import erasing
from services.intake.values import Dossier, ErasureReason
from shared import journal, outbox, telemetry
from shared.access import Actor
from shared.events import PersonalDataErased
from shared.journal import Answer, CommandKey, Saying, Stream
from shared.seal import Erasure, Register
from shared.store import Database, Transaction, is_transient
from shared.topics import CONTACT, Service

log = logging.getLogger(__name__)

_CHUNK: Final = 500
_LONGEST_WAIT: Final = 5.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """An erasure as it was decided, under a command id; ``seen``: the version that the decider saw."""

    dossier: str
    command: str
    digest: bytes
    seen: int
    reason: ErasureReason


@dataclass(frozen=True, slots=True)
class Erased:
    """Done, now or before."""

    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotErased:
    """Why not, and what to do. A stale sender sees what happened since."""

    code: Literal["unknown_dossier", "key_reused", "stale", "still_open"]
    do: str
    version: int | None = None
    since: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """Register and store after they were made to agree: how many erasures there are, how many had to be done again,
    how many the register did not have, and which dossiers are not in the store at all."""

    erasures: int
    done_again: tuple[str, ...]
    written_down: int
    unknown: tuple[str, ...]


async def erase(database: Database, register: Register, actor: Actor, wanted: Wanted) -> Erased | NotErased:
    """Destroy a citizen's data, announce it, and write it into the register. Raises RegisterError after the commit when
    that cannot be written: the same command again writes it."""
    with telemetry.span("erase personal data", attributes={telemetry.STREAM: wanted.dossier}):
        async with database.transaction() as tx:
            outcome, erasure = await _erase(tx, actor, wanted)
        if erasure is not None:
            await asyncio.to_thread(register.keep, [erasure])
        return outcome


async def _erase(tx: Transaction, actor: Actor, wanted: Wanted) -> tuple[Erased | NotErased, Erasure | None]:
    """What became of it; and the erasure, whenever there is one, for the register."""
    ident = wanted.dossier
    locked = await journal.lock_known(tx, [ident])
    key = CommandKey(ident, wanted.command)
    before = (await journal.answers(tx, [key])).get(key)
    dossier = (await store.dossiers(tx, locked)).get(ident)
    done = (await store.erasures(tx, [ident])).get(ident)
    if dossier is None:
        return NotErased("unknown_dossier", "check the id"), None
    if before is not None and before.digest != wanted.digest:
        return NotErased("key_reused", "make a new command id"), None
    if done is not None:  # whoever asked first: it cannot be done twice, and it is as both wanted it
        return Erased(_answer(dossier, done)), done
    version = locked[ident].version
    if wanted.seen != version:
        since = tuple(await journal.said_since(tx, ident, wanted.seen))
        return NotErased("stale", "look at what happened since, then decide again", version, since), None
    first = erasing.what_to_do_first(dossier)
    if first is not None:
        return NotErased("still_open", first), None
    now = max(await journal.instant(tx), dossier.as_of, locked[ident].last_time)
    erasure = Erasure(ident, str(uuid_utils.uuid7()), version + 1, 1, now, wanted.reason.value, actor.id)
    (done,) = await _destroy(tx, locked, {ident: dossier}, [erasure])
    answer = _answer(dossier, done)
    await journal.add_answers(tx, {key: Answer(wanted.digest, answer)})
    return Erased(answer), done


async def _destroy(
    tx: Transaction, locked: dict[str, Stream], dossiers: Mapping[str, Dossier], wanted: Sequence[Erasure]
) -> list[Erasure]:
    """Destroy, say and write down; the erasures as they are then: with their versions, that of the contact included."""
    contacts = await store.erase_citizens(tx, [one.dossier for one in wanted])
    done = [
        msgspec.structs.replace(
            one,
            version=locked[one.dossier].version + 1,
            contact_version=max(one.contact_version, contacts.get(one.dossier, 0) + 1),
        )
        for one in sorted(wanted, key=lambda one: one.dossier)
    ]
    sayings = [
        Saying(
            one.dossier,
            PersonalDataErased(contact_version=one.contact_version, reason=one.reason),
            one.time,
            origin=dossiers[one.dossier].origin,
            actor=one.actor,
            ident=one.event,
        )
        for one in done
    ]
    await journal.announce(tx, Service.INTAKE, locked, sayings)
    await journal.put_snapshots(tx, CONTACT, [(one.dossier, one.contact_version, None) for one in done])
    await store.change_dossiers(
        tx,
        [
            msgspec.structs.replace(dossiers[one.dossier], as_of=max(dossiers[one.dossier].as_of, one.time))
            for one in done
        ],
    )
    await store.add_erasures(tx, done)
    return done


def _answer(dossier: Dossier, erasure: Erasure) -> dict[str, Any]:
    return {
        "id": dossier.id,
        "code": dossier.code,
        "version": erasure.version,
        "erased": erasure.time.isoformat(),
        "reason": erasure.reason,
    }


# --- after a restored backup ----------------------------------------------------------------------------------------


async def compare(database: Database, register: Register) -> Compared:
    """Make store and register agree: do again what the store has lost, write down what the register has not.

    Raises RegisterError when the register is damaged or cannot be written.
    """
    written_down = 0
    async for chunk in _of_the_store(database):
        written_down += await asyncio.to_thread(register.keep, chunk)
    all_of_them = sorted((await asyncio.to_thread(register.erasures)).values(), key=lambda one: one.dossier)
    done_again: list[str] = []
    unknown: list[str] = []
    for start in range(0, len(all_of_them), _CHUNK):
        async with database.transaction() as tx:
            again, strange = await _do_again(tx, all_of_them[start : start + _CHUNK])
        done_again += again
        unknown += strange
    if done_again:
        log.warning("erasures_done_again", extra={"dossiers": len(done_again)})
    return Compared(len(all_of_them), tuple(done_again), written_down, tuple(unknown))


async def replay(database: Database, register: Register) -> Compared:
    """As `compare`, and every erased dossier is published again: for hearers whose store was restored."""
    compared = await compare(database, register)
    async for chunk in _of_the_store(database):
        await outbox.republish(database, [one.dossier for one in chunk])
    return compared


async def agree_at_start(database: Database, register: Register) -> None:
    """A loop of intake's: compares once, as soon as the database is there, and then rests for ever."""
    wait = 0.2
    while True:
        try:
            await compare(database, register)
            break
        except Exception as error:
            if not is_transient(error):
                raise
        await asyncio.sleep(wait)
        wait = min(wait * 2, _LONGEST_WAIT)
    await asyncio.Event().wait()


async def _of_the_store(database: Database) -> AsyncIterator[list[Erasure]]:
    last = ""
    while True:
        async with database.connection() as connection:
            chunk = await store.erasures_after(connection, last, _CHUNK)
        if not chunk:
            return
        yield chunk
        last = chunk[-1].dossier


async def _do_again(tx: Transaction, erasures: Sequence[Erasure]) -> tuple[list[str], list[str]]:
    """Which dossiers' data were erased again, and which dossiers are not known here."""
    locked = await journal.lock_known(tx, [one.dossier for one in erasures])
    dossiers = await store.dossiers(tx, locked)
    there = await store.erasures(tx, locked)
    again = [one for one in erasures if one.dossier in dossiers and one.dossier not in there]
    # The same entry, if it stands where it stood; after other entries were lost with it, it is another one.
    fitting = [
        one
        if one.version == locked[one.dossier].version + 1
        else msgspec.structs.replace(one, event=str(uuid_utils.uuid7()))
        for one in again
    ]
    if fitting:
        await _destroy(tx, locked, dossiers, fitting)
    return [one.dossier for one in again], [one.dossier for one in erasures if one.dossier not in dossiers]
