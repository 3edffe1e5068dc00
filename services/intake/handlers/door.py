"""What else comes in through the door for a dossier: missing papers, the wish to have it back, the result going out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from services.intake import store
from services.intake.values import Dossier, Status
from shared import journal, telemetry
from shared.access import Actor
from shared.events import Event, ResultHandedOver, Service, SupplementReceived, WithdrawalRequested
from shared.journal import Answer, CommandKey, Saying
from shared.store import Database

Way: TypeAlias = Literal["desk", "post", "online"]


@dataclass(frozen=True, slots=True)
class Supplement:
    """Papers that were asked for."""

    components: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The citizen wants the dossier back; routing decides."""


@dataclass(frozen=True, slots=True)
class HandOut:
    """The result goes to the citizen."""

    way: Way


Wish: TypeAlias = Supplement | Withdrawal | HandOut

_NAMES: Final = {
    Supplement: "take supplement",
    Withdrawal: "take withdrawal",
    HandOut: "hand out result",
}
"""What the spans are called."""


@dataclass(frozen=True, slots=True)
class Done:
    """Written down (now, or by the same command before)."""

    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Why not, and what to do."""

    code: Literal["key_reused", "not_now"]
    do: str
    status: Status | None = None


async def take(
    database: Database, actor: Actor, dossier_id: str, command: str, digest: bytes, wish: Wish
) -> Done | NotDone:
    """Write down what came in for a dossier that exists, and announce it."""
    with telemetry.span(_NAMES[type(wish)], attributes={telemetry.STREAM: dossier_id}):
        return await _take(database, actor, dossier_id, CommandKey(dossier_id, command), digest, wish)


async def _take(
    database: Database, actor: Actor, dossier_id: str, key: CommandKey, digest: bytes, wish: Wish
) -> Done | NotDone:
    async with database.transaction() as tx:
        locked = await journal.lock_known(tx, [dossier_id])
        before = (await journal.answers(tx, [key])).get(key)
        if before is not None:
            return Done(before.body) if before.digest == digest else NotDone("key_reused", "make a new command id")
        dossier = (await store.dossiers(tx, [dossier_id]))[dossier_id]
        decided = decide(dossier, wish)
        if isinstance(decided, NotDone):
            return decided
        changed, event = decided
        # What comes in because of a request lies after it, whatever the two services' clocks say of each other.
        now = max(await journal.instant(tx), dossier.as_of)
        saying = journal.in_order(locked, Saying(dossier_id, event, now, origin=dossier.origin, actor=actor.id))
        await journal.announce(tx, Service.INTAKE, locked, [saying])
        await store.change_dossiers(tx, [replace(changed, as_of=max(changed.as_of, saying.time))])
        answer = _answer(changed, locked[dossier_id].version, saying.time)
        await journal.add_answers(tx, {key: Answer(digest, answer)})
        return Done(answer)


def decide(dossier: Dossier, wish: Wish) -> tuple[Dossier, Event] | NotDone:
    """Whether it can be taken as the dossier stands, and what is announced then."""
    match wish:
        case Supplement(components):
            if dossier.status is not Status.WAITS_FOR_SUPPLEMENT:
                return NotDone("not_now", "no papers are missing: nothing was asked for", dossier.status)
            return replace(dossier, requested=dossier.requested or "supplement"), SupplementReceived(
                components=components
            )
        case Withdrawal():
            if dossier.status not in {
                Status.RECEIVED,
                Status.IN_PROCESS,
                Status.WAITS_FOR_SUPPLEMENT,
                Status.WAITS_FOR_FEE,
            }:
                return NotDone("not_now", "the dossier is closed: there is nothing to withdraw", dossier.status)
            if dossier.requested == "withdrawal":
                return NotDone("not_now", "it was asked for before: routing is about to decide", dossier.status)
            return replace(dossier, requested="withdrawal"), WithdrawalRequested()
        case HandOut(way):
            if dossier.status is not Status.RESULT_READY:
                return NotDone("not_now", "the result is not at the desk yet", dossier.status)
            return replace(dossier, status=Status.RESULT_HANDED_OVER), ResultHandedOver(way=way)


def _answer(dossier: Dossier, version: int, time: datetime) -> dict[str, Any]:
    return {
        "id": dossier.id,
        "code": dossier.code,
        "version": version,
        "status": int(dossier.status),
        "requested": dossier.requested,
        "time": time.isoformat(),
    }
