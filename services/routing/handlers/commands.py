"""What officers ask for, one command at a time or in bulk: each gets its own answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from services.routing import store
from services.routing.handlers.known import Calendars, calendars_of, known_for
from services.routing.rules import past
from services.routing.rules.branches import chosen, open_runs, units_of
from services.routing.rules.officers import not_theirs
from services.routing.values import Adopt, Command, HandOver, Journey, Known, NotTheirs, Officer, RecordStep, Refused
from shared import journal, telemetry
from shared.access import Action as May
from shared.access import Actor, Allowed, Role, can
from shared.bus import Decided
from shared.events import DossierAdopted
from shared.journal import Answer, CommandKey, Saying, Stream
from shared.store import Database, Transaction
from shared.topics import Service


@dataclass(frozen=True, slots=True)
class Done:
    """Carried out (now, or by the same command before): the answer names versions and stages, never persons."""

    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Not carried out; ``since`` is what happened after the version that the sender saw."""

    code: Literal["unknown_dossier", "unseen", "run_missing", "stale", "denied", "key_reused", "refused"]
    do: str
    reason: str = ""
    version: int | None = None
    since: tuple[dict[str, Any], ...] = ()


async def act(
    database: Database, calendars: Calendars, actor: Actor, commands: Sequence[Command]
) -> list[Done | NotDone]:
    """Carry commands out in one transaction, in the order given; each gets its own answer, and a span of its own."""
    with telemetry.together() as work:
        async with database.transaction() as tx:
            return await _act(tx, calendars, actor, commands, work)


async def _act(
    tx: Transaction, calendars: Calendars, actor: Actor, commands: Sequence[Command], work: telemetry.Work
) -> list[Done | NotDone]:
    traces = [work.on(_span_name(command), command.dossier) for command in commands]
    locked = await journal.lock_known(tx, {command.dossier for command in commands})
    now = await journal.instant(tx)
    answered = await journal.answers(tx, [CommandKey(one.dossier, one.id) for one in commands])
    journeys = await store.journeys(tx, locked)
    known = await known_for(tx, calendars, calendars_of(journeys.values()))
    officers = await store.officers_of(tx, _named(actor, commands))
    desk = _Desk(tx, actor, now, known, locked, journeys, answered, officers)
    outcomes = [await desk.carry_out(command, trace) for command, trace in zip(commands, traces, strict=True)]
    await journal.announce(tx, Service.ROUTING, locked, desk.sayings)
    await store.save_journeys(tx, desk.changed.values())
    await journal.add_answers(tx, desk.answers)
    return outcomes


@dataclass(slots=True)
class _Desk:
    """One bulk of commands on its way: what they found, and what they came to so far."""

    tx: Transaction
    actor: Actor
    now: datetime
    known: Known
    locked: dict[str, Stream]
    journeys: dict[str, Journey]
    answered: dict[CommandKey, Answer]
    officers: dict[str, tuple[Officer, ...]]
    changed: dict[str, Journey] = field(default_factory=dict)
    sayings: list[Saying] = field(default_factory=list)
    answers: dict[CommandKey, Answer] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)

    async def carry_out(self, command: Command, trace: str | None) -> Done | NotDone:
        key = CommandKey(command.dossier, command.id)
        before = self.answered.get(key) or self.answers.get(key)
        if before is not None:
            return _answered_before(before, command)
        journey = self.changed.get(command.dossier) or self.journeys.get(command.dossier)
        if journey is None:
            return NotDone("unknown_dossier", "check the id; if it was received just now, try again in a second")
        meant = journey if isinstance(command.action, RecordStep | Adopt) else chosen(journey, command.run)
        if isinstance(meant, Refused):
            return self._hidden(command, journey) or await self._stale(command) or self._not_chosen(command, meant)
        next_run, journey = journey.next_run, meant
        refused = await self._refuse(command, journey)
        if refused is not None:
            return refused
        decided = self._decide(command, journey)
        if isinstance(decided, Refused):
            return NotDone("refused", decided.do, decided.code, self._version(command.dossier))
        at = command.at or max(self.now, journey.last_at)
        unfit = self._unfit(decided.state.officer, decided.state, at) if decided.state.run >= next_run else None
        if unfit is not None:
            return NotDone("refused", unfit.do, "receiver_not_there", self._version(command.dossier))
        self._keep(decided, command, journey.origin, trace)
        answer = {
            "dossier": command.dossier,
            "version": self._version(command.dossier),
            "state": decided.state.state,
            "stage": decided.state.stage,
            "run": decided.state.run,
            "unit": decided.state.unit,
            "due": decided.state.due.isoformat(),
            "open_runs": [one.run for one in open_runs(decided.state)],
        }
        self.answers[key] = Answer(command.digest, answer)
        return Done(answer)

    def _decide(self, command: Command, journey: Journey) -> Decided[Journey] | Refused:
        if command.at is not None:
            unfit = past.unfit(journey, command.at, self._latest(journey), self.now)
            if unfit is not None:
                return unfit
        now = max(self.now, journey.last_at)
        return past.carry_out(journey, command.action, command.at or now, now, self.known)

    def _latest(self, journey: Journey) -> datetime:
        """The business time of the last entry. A request that was made in the same bulk is in the journey already."""
        return max(journey.last_at, self.locked[journey.dossier].last_time)

    async def _refuse(self, command: Command, journey: Journey) -> NotDone | None:
        denied = _denied(self.actor, command, journey)
        if denied is not None:
            return denied
        if not isinstance(command.action, RecordStep | Adopt):
            at = command.at or max(self.now, journey.last_at)
            unfit = self._unfit(command.by or self.actor.id, journey, at)
            if unfit is not None:
                return NotDone("denied", unfit.do)
        if command.seen is None and not command.is_of_the_past:
            version = self._version(command.dossier)
            return NotDone("unseen", "say in seen which version was on your screen", version=version)
        return await self._stale(command)

    async def _stale(self, command: Command) -> NotDone | None:
        """Why a command comes too late: something happened after what its sender saw."""
        version = self._version(command.dossier)
        if command.seen is None or command.seen == version:
            return None
        since = tuple(await journal.said_since(self.tx, command.dossier, command.seen))
        return NotDone("stale", "look at what happened since, then decide again", version=version, since=since)

    def _hidden(self, command: Command, journey: Journey) -> NotDone | None:
        """Who may not look learns nothing. Who held a stage may have ended it in this very bulk, and may."""
        if any(_may_look(self.actor, one) for one in (journey, self.journeys[command.dossier])):
            return None
        return _denied(self.actor, command, journey)

    def _not_chosen(self, command: Command, why: Refused) -> NotDone:
        version = self._version(command.dossier)
        if why.code == "run_missing":
            return NotDone("run_missing", why.do, version=version)
        return NotDone("refused", why.do, why.code, version)

    def _unfit(self, officer: str | None, journey: Journey, at: datetime) -> NotTheirs | None:
        """Why an officer who is known here may not hold the journey's stage at an instant."""
        versions = self.officers.get(officer, ()) if officer is not None else ()
        if not versions:
            return None
        return not_theirs(versions, journey.unit, journey.role, self.known.calendar_of(journey).day_of(at))

    def _version(self, dossier: str) -> int:
        return self.locked[dossier].version + self.said.get(dossier, 0)

    def _keep(self, decided: Decided[Journey], command: Command, origin: str | None, trace: str | None) -> None:
        journey = decided.state
        self.changed[journey.dossier] = journey
        self.said[journey.dossier] = self.said.get(journey.dossier, 0) + len(decided.say)
        self.sayings.extend(
            Saying(
                journey.dossier,
                one.event,
                one.time or self.now,
                # A record's adoption is the first that happens to it here and now.
                origin=None if isinstance(one.event, DossierAdopted) else origin,
                actor=command.by or self.actor.id,
                traceparent=trace,
            )
            for one in decided.say
        )


def _span_name(command: Command) -> str:
    """`HandOver` is "carry out hand over"."""
    words = "".join(f" {sign.lower()}" if sign.isupper() else sign for sign in type(command.action).__name__)
    return f"carry out{words}"


def _named(actor: Actor, commands: Sequence[Command]) -> set[str]:
    """Who acts, and to whom dossiers are handed."""
    receivers = {one.action.officer for one in commands if isinstance(one.action, HandOver)}
    return (
        {actor.id}
        | {officer for officer in receivers if officer is not None}
        | {one.by for one in commands if one.by is not None}
    )


def _may_look(actor: Actor, journey: Journey) -> bool:
    """What happened to a dossier, and where it lies, is told to nobody else."""
    return any(isinstance(can(actor, May.CARRY_OUT_STAGE, unit), Allowed) for unit in units_of(journey))


def _denied(actor: Actor, command: Command, journey: Journey) -> NotDone | None:
    """Staff act at the unit that holds the dossier; the role history acts on records only, wherever they are.

    That a dossier is no record any more is told to the role history by the rule, which knows better what to do.
    """
    of_the_past = command.is_of_the_past
    answer = can(actor, May.GIVE_PAST_TIME if of_the_past else May.CARRY_OUT_STAGE, journey.unit)
    on_records = not of_the_past or isinstance(command.action, RecordStep)
    if isinstance(answer, Allowed) and not (answer.role is Role.HISTORY and on_records and journey.origin is None):
        return None
    if of_the_past and not isinstance(command.action, RecordStep):
        return NotDone("denied", "only the role history gives times of its own, and adopts: leave at and by out")
    if of_the_past or isinstance(answer, Allowed):
        return NotDone("denied", "recorded steps come from the role history, and belong to dossiers that are records")
    where = f" ({journey.unit})" if _may_look(actor, journey) else ""
    return NotDone("denied", f"only an officer of the unit that holds the dossier{where} may do this")


def _answered_before(before: Answer, command: Command) -> Done | NotDone:
    if before.digest != command.digest:
        return NotDone("key_reused", "this command id was used for something else: make a new one")
    return Done(before.body)
