"""Routing: load, decide, save, announce. Ends with the table of what is heard."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final, Literal

from services.routing import store
from services.routing.rules import acting
from services.routing.rules import journey as rules
from services.routing.values import Command, Journey, Known, Level, RecordStep, Refused, Unit
from shared import journal
from shared.access import Action as May
from shared.access import Actor, Allowed, can
from shared.bus import Decided, Hearer, Hears, Say, Unchanged, Waiting, decide_all
from shared.calendar import WorkingCalendar, from_data, to_data
from shared.envelope import Heard
from shared.events import (
    CalendarPublished,
    DossierReceived,
    ProcedurePublished,
    Service,
    SupplementReceived,
    UnitPublished,
    WithdrawalRequested,
)
from shared.journal import Answer, CommandKey, Saying, Stream
from shared.store import Database, Transaction

log = logging.getLogger(__name__)

HISTORY: Final = "history"


@dataclass(slots=True)
class Calendars:
    """Calendars that were parsed before: a version never changes, and parsing one costs more than a batch may."""

    parsed: dict[tuple[str, int], WorkingCalendar] = field(default_factory=dict)

    async def all(self, tx: Transaction, wanted: set[tuple[str, int]]) -> dict[tuple[str, int], WorkingCalendar]:
        """Every version asked for that exists, and whatever was parsed before."""
        missing = wanted - self.parsed.keys()
        if missing:
            self.parsed.update(await store.calendars(tx, missing))
        return self.parsed


# --- hearing -------------------------------------------------------------------------------------------------------


async def hear(
    tx: Transaction, calendars: Calendars, locked: dict[str, Stream], events: Sequence[Heard]
) -> list[Waiting]:
    """Load every journey that the batch touches, decide in order, save and announce them together."""
    await _keep_procedures(tx, events)
    dossiers = [one for one in events if type(one.event) in HEARS]
    if not dossiers:
        return []
    journeys = await store.journeys(tx, {one.subject for one in dossiers})
    known = await _known(
        tx,
        calendars,
        {(one.calendar, one.calendar_version) for one in journeys.values()}
        | {
            (one.event.calendar, one.event.calendar_version)
            for one in dossiers
            if isinstance(one.event, DossierReceived)
        },
        {one.event.procedure for one in dossiers if isinstance(one.event, DossierReceived)},
    )
    decided = decide_all(journeys, dossiers, HEARS, known)
    await store.save_journeys(tx, decided.changed.values())
    await journal.announce(
        tx, Service.ROUTING, locked, [journal.in_order(locked, saying) for saying in decided.sayings]
    )
    return decided.waiting


async def _keep_procedures(tx: Transaction, events: Sequence[Heard]) -> None:
    given = {
        one.event.code: (one.version, one.event.level) for one in events if isinstance(one.event, ProcedurePublished)
    }
    if given:
        await store.save_procedures(tx, given)


async def _known(tx: Transaction, calendars: Calendars, wanted: set[tuple[str, int]], procedures: set[str]) -> Known:
    return Known(
        await store.units(tx),
        await calendars.all(tx, wanted),
        await store.routes(tx),
        await store.procedures(tx, procedures) if procedures else {},
    )


# --- commands of officers --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Done:
    """Carried out (now, or by the same command before): the answer names versions and stages, never persons."""

    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class NotDone:
    """Not carried out; ``since`` is what happened after the version that the sender saw."""

    code: Literal["unknown_dossier", "stale", "denied", "key_reused", "refused"]
    do: str
    reason: str = ""
    version: int | None = None
    since: tuple[dict[str, Any], ...] = ()


async def act(
    database: Database, calendars: Calendars, actor: Actor, commands: Sequence[Command]
) -> list[Done | NotDone]:
    """Carry commands out in one transaction, in the order given; each gets its own answer."""
    async with database.transaction() as tx:
        locked = await journal.lock_known(tx, {command.dossier for command in commands})
        now = await journal.instant(tx)
        answered = await journal.answers(tx, [CommandKey(one.dossier, one.id) for one in commands])
        journeys = await store.journeys(tx, locked)
        known = await _known(tx, calendars, {(one.calendar, one.calendar_version) for one in journeys.values()}, set())
        desk = _Desk(tx, actor, now, known, locked, journeys, answered)
        outcomes = [await desk.carry_out(command) for command in commands]
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
    changed: dict[str, Journey] = field(default_factory=dict)
    sayings: list[Saying] = field(default_factory=list)
    answers: dict[CommandKey, Answer] = field(default_factory=dict)
    said: dict[str, int] = field(default_factory=dict)

    async def carry_out(self, command: Command) -> Done | NotDone:
        key = CommandKey(command.dossier, command.id)
        before = self.answered.get(key) or self.answers.get(key)
        if before is not None:
            return _answered_before(before, command)
        journey = self.changed.get(command.dossier) or self.journeys.get(command.dossier)
        if journey is None:
            return NotDone("unknown_dossier", "check the id; if it was received just now, try again in a second")
        refused = await self._refuse(command, journey)
        if refused is not None:
            return refused
        at = max(self.now, journey.last_at)
        decided = acting.carry_out(journey, command.action, at, self.known)
        if isinstance(decided, Refused):
            return NotDone("refused", decided.do, decided.code, self._version(command.dossier))
        self._keep(decided, at)
        answer = {
            "dossier": command.dossier,
            "version": self._version(command.dossier),
            "state": decided.state.state,
            "stage": decided.state.stage,
            "run": decided.state.run,
            "unit": decided.state.unit,
            "due": decided.state.due.isoformat(),
        }
        self.answers[key] = Answer(command.digest, answer)
        return Done(answer)

    async def _refuse(self, command: Command, journey: Journey) -> NotDone | None:
        recorded = isinstance(command.action, RecordStep)
        wanted = May.GIVE_PAST_TIME if recorded else May.CARRY_OUT_STAGE
        if not isinstance(can(self.actor, wanted, journey.unit), Allowed):
            return NotDone("denied", f"only an officer of the unit that holds the dossier ({journey.unit}) may do this")
        version = self._version(command.dossier)
        if recorded and command.seen is None:
            return None
        if command.seen is None:
            return NotDone("stale", "say which version you saw (seen)", version=version)
        if command.seen == version:
            return None
        since = tuple(await journal.said_since(self.tx, command.dossier, command.seen))
        return NotDone("stale", "look at what happened since, then decide again", version=version, since=since)

    def _version(self, dossier: str) -> int:
        return self.locked[dossier].version + self.said.get(dossier, 0)

    def _keep(self, decided: Decided[Journey], at: datetime) -> None:
        dossier = decided.state.dossier
        self.changed[dossier] = decided.state
        self.said[dossier] = self.said.get(dossier, 0) + len(decided.say)
        self.sayings.extend(_sayings(decided.state, decided.say, at, self.actor.id))


def _answered_before(before: Answer, command: Command) -> Done | NotDone:
    if before.digest != command.digest:
        return NotDone("key_reused", "this command id was used for something else: make a new one")
    return Done(before.body)


def _sayings(journey: Journey, say: Sequence[Say], at: datetime, actor: str | None) -> list[Saying]:
    return [Saying(journey.dossier, one.event, one.time or at, origin=journey.origin, actor=actor) for one in say]


# --- timers ---


async def fire_timers(database: Database, calendars: Calendars, dossiers: Sequence[str]) -> int:
    """Fire what is due of some dossiers, rechecked under their locks; returns how many deadlines were said."""
    async with database.transaction() as tx:
        locked = await journal.lock_known(tx, dossiers)
        now = await journal.instant(tx)
        journeys = await store.journeys(tx, locked)
        timers = await store.timers_of(tx, sorted(locked))
        known = await _known(tx, calendars, {(one.calendar, one.calendar_version) for one in journeys.values()}, set())
        changed, sayings = [], []
        for dossier, journey in journeys.items():
            fired = _fire(journey, timers.get(dossier, ()), now, known)
            changed.append(fired.state)
            sayings.extend(_sayings(fired.state, fired.say, now, None))
        await journal.announce(tx, Service.ROUTING, locked, [journal.in_order(locked, saying) for saying in sayings])
        await store.save_journeys(tx, changed)
        return len(sayings)


def _fire(journey: Journey, timers: tuple[Any, ...], now: datetime, known: Known) -> Decided[Journey]:
    state = replace(journey, unsaved=replace(journey.unsaved, timers=timers))
    say: tuple[Say, ...] = ()
    for timer in timers:
        if timer.fires_at > now:
            continue
        decided = acting.fire(state, timer, now, known)
        if isinstance(decided, Unchanged):
            left = tuple(one for one in state.unsaved.timers or () if one != timer)
            state = replace(state, unsaved=replace(state.unsaved, timers=left))
        else:
            state, say = decided.state, say + decided.say
    return Decided(state, say)


# --- units and calendars -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Published:
    """A version took effect; the same content again keeps the version that there was."""

    version: int


@dataclass(frozen=True, slots=True)
class NotPublished:
    """What it names does not exist."""

    field: str
    do: str


async def publish_calendar(database: Database, code: str, data: dict[str, Any], actor: Actor) -> Published:
    """Publish a calendar's next version. CalendarError (a ValueError) when the data is none."""
    calendar = to_data(from_data({**data, "code": code, "version": 1}))
    subject = f"calendar:{code}"
    async with database.transaction() as tx:
        locked = await journal.lock(tx, [subject])
        version = locked[subject].version
        if version:
            known = (await store.calendars(tx, [(code, version)]))[code, version]
            if to_data(known) == {**calendar, "version": version}:
                return Published(version)
        calendar["version"] = version + 1
        await store.save_calendar(tx, code, version + 1, calendar)
        await _announce_one(tx, locked, subject, CalendarPublished(code=code, data=calendar), actor)
        return Published(version + 1)


async def publish_unit(
    database: Database,
    actor: Actor,
    *,
    code: str,
    name: str,
    level: Level,
    parent: str | None,
    calendar: str,
    valid_from: date,
    valid_to: date | None,
    head: str | None,
) -> Published | NotPublished:
    """Publish a unit's next version; its calendar and its parent must exist."""
    subject = f"unit:{code}"
    async with database.transaction() as tx:
        locked = await journal.lock(tx, [subject])
        version = locked[subject].version
        units = await store.units(tx)
        if parent is not None and parent not in units:
            return NotPublished("parent", "publish the parent unit first")
        if calendar not in await store.calendar_versions(tx):
            return NotPublished("calendar", "publish the calendar first")
        if head is not None:
            await store.save_head(tx, code, head, valid_from)
        unit = Unit(code, version, name, level, parent, calendar, valid_from, valid_to)
        if units.get(code) == unit:
            return Published(version)
        await store.save_unit(tx, replace(unit, version=version + 1))
        said = UnitPublished(
            code=code,
            name=name,
            level=level,
            parent=parent,
            calendar=calendar,
            valid_from=valid_from,
            valid_to=valid_to,
        )
        await _announce_one(tx, locked, subject, said, actor)
        return Published(version + 1)


async def _announce_one(
    tx: Transaction,
    locked: dict[str, Stream],
    subject: str,
    event: CalendarPublished | UnitPublished,
    actor: Actor,
) -> None:
    saying = Saying(subject, event, await journal.instant(tx), actor=actor.id)
    await journal.announce(tx, Service.ROUTING, locked, [journal.in_order(locked, saying)])


# --- what is heard ---------------------------------------------------------------------------------------------------

HEARS: Final[Hears[Journey, Known]] = {
    DossierReceived: rules.begin,
    SupplementReceived: rules.resume_by_citizen,
    WithdrawalRequested: rules.withdraw,
}


def hearer(calendars: Calendars) -> Hearer:
    """The whole of what routing listens to: the table above, and intake's catalogue."""

    async def hear_all(tx: Transaction, locked: dict[str, Stream], events: Sequence[Heard]) -> list[Waiting]:
        return await hear(tx, calendars, locked, events)

    return Hearer(Service.ROUTING, frozenset(HEARS) | {ProcedurePublished}, hear_all)
