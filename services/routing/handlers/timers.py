"""Deadlines whose instant has come, said under the dossier's lock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from services.routing import store
from services.routing.handlers.known import Calendars, calendars_of, known_for
from services.routing.rules import acting
from services.routing.values import Journey, Known, Timer
from shared import journal, telemetry
from shared.bus import Decided, Say, Unchanged
from shared.journal import Saying
from shared.store import Database, Transaction
from shared.topics import Service


async def fire_timers(
    database: Database,
    calendars: Calendars,
    dossiers: Sequence[str],
    is_credible: Callable[[datetime], bool] = lambda _: True,
) -> int:
    """Fire what is due of some dossiers, rechecked under their locks; returns how many deadlines were said.

    None is said when the instant by which it would be decided is not credible.
    """
    with telemetry.together() as work:
        async with database.transaction() as tx:
            return await _fire_due(tx, calendars, dossiers, is_credible, work)


async def _fire_due(
    tx: Transaction,
    calendars: Calendars,
    dossiers: Sequence[str],
    is_credible: Callable[[datetime], bool],
    work: telemetry.Work,
) -> int:
    """A timer is nobody's command: each dossier whose deadline comes begins a trace of its own."""
    locked = await journal.lock_known(tx, dossiers)
    now = await journal.instant(tx)
    if not is_credible(now):
        return 0
    journeys = await store.journeys(tx, locked)
    timers = await store.timers_of(tx, sorted(locked))
    known = await known_for(tx, calendars, calendars_of(journeys.values()))
    changed: list[Journey] = []
    sayings: list[Saying] = []
    for dossier, journey in journeys.items():
        clocks = (*timers.get(dossier, ()), *(one.timer for one in journey.branches if one.timer is not None))
        due = [one for one in clocks if one.fires_at <= now]
        if not due:  # another process fired them between our look and our lock
            continue
        fired = _fire(journey, due, now, known)
        changed.append(fired.state)
        if fired.say:
            trace = work.on("fire timer", dossier, alone=True)
            sayings.extend(
                Saying(dossier, one.event, now, origin=journey.origin, traceparent=trace) for one in fired.say
            )
    await journal.announce(tx, Service.ROUTING, locked, sayings)
    await store.save_journeys(tx, changed)
    return len(sayings)


def _fire(journey: Journey, due: Sequence[Timer], now: datetime, known: Known) -> Decided[Journey]:
    say: tuple[Say, ...] = ()
    for timer in due:
        decided = acting.fire(journey, timer, now, known)
        if isinstance(decided, Unchanged):  # it belongs to a clock that was set anew or stands: it goes
            journey = acting.set_clock(journey, timer, None)
        else:
            journey, say = decided.state, say + decided.say
    return Decided(journey, say)
