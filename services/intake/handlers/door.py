"""What else comes in through the door for a dossier: missing papers, the wish to have it back, the result going out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from msgspec.structs import replace

from services.intake import store
from services.intake.values import Dossier, Status
from shared import journal, telemetry
from shared.access import Actor
from shared.events import Event, ResultHandedOver, SupplementReceived, WithdrawalRequested
from shared.journal import Answer, CommandKey, Saying, Stream
from shared.store import Database
from shared.topics import Service

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

    code: Literal["unknown_dossier", "key_reused", "not_now", "live", "not_yet", "before_the_last"]
    do: str
    status: Status | None = None


@dataclass(frozen=True, slots=True)
class Coming:
    """Something that comes in for a dossier, under a command id.

    ``at`` and ``by``, from the role history only: when it came in, and who took it in.
    """

    dossier: str
    command: str
    digest: bytes
    wish: Wish
    at: datetime | None = None
    by: str | None = None


async def take(database: Database, actor: Actor, coming: Coming) -> Done | NotDone:
    """Write down what came in for a dossier, and announce it."""
    with telemetry.span(_NAMES[type(coming.wish)], attributes={telemetry.STREAM: coming.dossier}):
        return (await take_all(database, actor, [coming]))[0]


async def take_all(database: Database, actor: Actor, comings: Sequence[Coming]) -> list[Done | NotDone]:
    """The same for many, in one transaction and in the order given; each gets its own answer."""
    async with database.transaction() as tx:
        locked = await journal.lock_known(tx, {one.dossier for one in comings})
        answered = await journal.answers(tx, [CommandKey(one.dossier, one.command) for one in comings])
        desk = _Desk(actor, await journal.instant(tx), locked, await store.dossiers(tx, locked), answered)
        outcomes = [desk.take(one) for one in comings]
        await journal.announce(tx, Service.INTAKE, locked, desk.sayings)
        await store.change_dossiers(tx, desk.changed.values())
        await journal.add_answers(tx, desk.answers)
        return outcomes


@dataclass(slots=True)
class _Desk:
    """What comes in together: what it found, and what it came to so far."""

    actor: Actor
    now: datetime
    locked: Mapping[str, Stream]
    dossiers: dict[str, Dossier]
    answered: Mapping[CommandKey, Answer]
    changed: dict[str, Dossier] = field(default_factory=dict)
    sayings: list[Saying] = field(default_factory=list)
    answers: dict[CommandKey, Answer] = field(default_factory=dict)
    said: Counter[str] = field(default_factory=Counter)

    def take(self, one: Coming) -> Done | NotDone:
        key = CommandKey(one.dossier, one.command)
        before = self.answered.get(key) or self.answers.get(key)
        if before is not None:
            return Done(before.body) if before.digest == one.digest else NotDone("key_reused", "make a new command id")
        dossier = self.changed.get(one.dossier) or self.dossiers.get(one.dossier)
        if dossier is None:
            return NotDone("unknown_dossier", "check the id")
        # What comes in because of a request lies after it, whatever the two services' clocks say of each other.
        latest = max(dossier.as_of, self.locked[one.dossier].last_time)
        unfit = _unfit(one, dossier, latest, self.now)
        decided = unfit or decide(dossier, one.wish)
        if isinstance(decided, NotDone):
            return decided
        changed, event = decided
        time = one.at or max(self.now, latest)
        self.sayings.append(Saying(one.dossier, event, time, origin=dossier.origin, actor=one.by or self.actor.id))
        self.said[one.dossier] += 1
        self.changed[one.dossier] = replace(changed, as_of=max(changed.as_of, time))
        answer = _answer(changed, self.locked[one.dossier].version + self.said[one.dossier], time)
        self.answers[key] = Answer(one.digest, answer)
        return Done(answer)


def _unfit(one: Coming, dossier: Dossier, latest: datetime, now: datetime) -> NotDone | None:
    """Why nothing can have come in for a dossier at the time that is given."""
    if one.at is None:
        return None
    if dossier.origin is None:
        return NotDone("live", "what comes in for a live dossier comes in now: leave the time out")
    if one.at > now:
        return NotDone("not_yet", "a record holds what has happened: send when it really came in")
    if one.at < latest:
        return NotDone("before_the_last", "send what happened to a dossier in its order: its last entry is later")
    return None


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
