"""An open model: clients come at a constant rate and do not wait for one another, nor for the river.

A closed model (the next request when the last is answered) would hold its breath during every fault and see nothing. So
nobody goes away because a door is shut: whoever comes asks for something. Half of those who act on a dossier that was
seen before do so by that, without a look; the others look, and go by it, too, where nobody answers.
"""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any, Final

import asyncpg

from shared.store import is_transient
from tests.faults.history import Asked, History, Operation, Outcome
from tests.faults.load import steps
from tests.faults.load.doors import Doors
from tests.faults.load.town import Town
from tests.flow.river import TOWN_PROCEDURE, WARD, River

STEPS: Final = (
    "submit",
    "hand_over",
    "send_back",
    "request_supplement",
    "request_fee",
    "resume",
    "bring_supplement",
    "withdraw",
    "finish",
    "collect_result",
    "erase",
)
"""All that can be done with a dossier. Clients come at least until somebody has succeeded with each."""

RUNGS: Final = tuple(f"{scope} {rung}" for scope in ("stage", "dossier") for rung in ("near", "reached", "passed"))
"""Of both clocks of a dossier. Clients come at least until each has fallen due for somebody."""

_HERE: Final = Path(__file__).parent

_MOST_AT_ONCE: Final = 3000
"""Clients who are not told yet. Far more than have a connection, because whoever waits between two tries holds none:
after a minute in which a door refuses there are hundreds of them, and each has asked in time."""

_HANDED_IN: Final = 0.25
_SLEEPERS: Final = 0.12
_AGAIN: Final = 0.12
_OTHER_BODY: Final = 0.06
_TWO_AT_ONCE: Final = 0.25
_ERASED: Final = 0.05
_WITHOUT_A_LOOK: Final = 0.5

_SET_CLOCKS: Final = (
    """
    UPDATE timer SET stage_at = clock_timestamp() + interval '500 milliseconds'
     WHERE dossier = ANY($1::text[]) AND stage_at > clock_timestamp() + interval '1 minute'
    RETURNING dossier, 'stage' AS scope, stage_run AS run, stage_rung AS rung, stage_generation AS generation,
              stage_at AS fires_at
    """,
    """
    UPDATE timer SET dossier_at = clock_timestamp() + interval '500 milliseconds'
     WHERE dossier = ANY($1::text[]) AND dossier_at > clock_timestamp() + interval '1 minute'
    RETURNING dossier, 'dossier' AS scope, 0 AS run, dossier_rung AS rung, dossier_generation AS generation,
              dossier_at AS fires_at
    """,
)
_BEGUN: Final = "SELECT dossier FROM journey WHERE dossier = ANY($1::text[]) ORDER BY received, dossier"


@dataclass(frozen=True, slots=True)
class ClockSet:
    """A rung of one of a dossier's two clocks that was brought forward, in the database's time.

    ``run``: of the stage's clock; 0 for the dossier's own.
    """

    dossier: str
    scope: str
    run: int
    rung: str
    generation: int
    fires_at: datetime


@dataclass(slots=True)
class Came:
    """How many clients came, for how many there was no room, and how many asked for something.

    ``met``: what those who looked were answered (`Doors.met`); ``errors``: what ended clients who should not end so.
    ``clocks_set``: for those who wait.
    """

    arrived: int = 0
    dropped: int = 0
    asked: int = 0
    met: Counter[str] = field(default_factory=Counter)
    errors: list[str] = field(default_factory=list)
    clocks_set: list[ClockSet] = field(default_factory=list)

    def __add__(self, other: Came) -> Came:
        """Both."""
        return Came(
            self.arrived + other.arrived,
            self.dropped + other.dropped,
            self.asked + other.asked,
            self.met + other.met,
            [*self.errors, *other.errors],
            [*self.clocks_set, *other.clocks_set],
        )


@dataclass(slots=True)
class Load:
    """Arrivals at ``rate`` a second. Whoever is dropped because there is no room spoils the run.

    What each of them draws is drawn from a chance of his own, so that it does not depend on how long others waited.
    ``hurries``: whether time is made to pass fast for the sleepers.
    """

    river: River
    history: History
    chance: Random
    rate: float
    town: Town = field(default_factory=Town)
    came: Came = field(default_factory=Came)
    hurries: bool = True
    not_taken: set[str] = field(default_factory=lambda: {*STEPS, *RUNGS})
    """Steps that nobody has succeeded with since these clients began to come, and rungs that fell due for nobody."""
    _doors: Doors = field(init=False)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._doors = Doors(self.river, self.history, self.came.met)

    @property
    def under_way(self) -> int:
        """Clients who are not told yet."""
        return len(self._under_way)

    async def run(self, stop: asyncio.Event) -> None:
        """Let clients come until ``stop``, then wait until each was told what became of his wish."""
        stores = asyncio.create_task(self._look_into_stores(stop))
        try:
            await self._let_in(stop)
            await asyncio.gather(*self._under_way, return_exceptions=True)
            await stores
        finally:
            stores.cancel()

    async def _let_in(self, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        begun, number = loop.time(), 0
        while not stop.is_set():
            # The pace of arrivals is what is made here; whoever is late for it comes at once, and nobody is left out.
            await asyncio.sleep(max(0.0, begun + number / self.rate - loop.time()))
            number += 1
            self.came.arrived += 1
            chance = Random(self.chance.getrandbits(64))
            if len(self._under_way) >= _MOST_AT_ONCE:
                self.came.dropped += 1
                continue
            task = asyncio.create_task(self._arrive(chance))
            self._under_way.add(task)
            task.add_done_callback(self._left)

    def break_off(self) -> None:
        """Nobody waits any longer: the run has failed."""
        for task in self._under_way:
            task.cancel()

    async def close(self) -> None:
        """No more connections."""
        await self._doors.client.aclose()

    def _left(self, task: asyncio.Task[None]) -> None:
        """A client is through; what ended one who was not told is kept for the verdict."""
        self._under_way.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.came.errors.append(_described(error))

    async def _arrive(self, chance: Random) -> None:
        """Whoever finds that there is nothing to do with the dossier that he thinks of hands another one in."""
        if self.town.ended and chance.random() < _ERASED and await self._erases(chance):
            return
        dossier = None if chance.random() < _HANDED_IN else self.town.one_of(chance)
        if dossier is None or not await self._acts_on(dossier, chance):
            await self._hand_in(chance)

    async def _acts_on(self, dossier: str, chance: Random) -> bool:
        """Take the next step of a dossier; False when there is none, or routing has no such dossier."""
        journey = await self._on_screen(dossier, chance)
        if journey is None:
            return False
        if journey["state"] == "withdrawn":
            self._ended(dossier)
            return False
        is_hot = dossier == self.town.hot
        asked = steps.next_step(chance, journey, ends=not is_hot)
        if is_hot and asked.service == "routing" and chance.random() < _TWO_AT_ONCE:
            rival = steps.next_step(chance, journey, ends=False)
            told, _ = await asyncio.gather(
                self._ask(asked, chance, journey["unit"]), self._doors.told(rival, journey["unit"])
            )
        else:
            told = await self._ask(asked, chance, journey["unit"] if asked.service == "routing" else WARD)
        await self._is_told(asked, told, dossier)
        return True

    async def _on_screen(self, dossier: str, chance: Random) -> dict[str, Any] | None:
        """What he acts by: what was last seen, or what routing shows him now. None: it has no such dossier.

        Where something was seen earlier he asks routing once, and goes by that when there is no answer.
        """
        last = self.town.shown.get(dossier)
        if last is not None and chance.random() < _WITHOUT_A_LOOK:
            return last
        look = await (self._doors.shown(dossier) if last is None else self._doors.look(dossier))
        if look.shown is None:
            return last
        self.town.shown[dossier] = look.shown
        return look.shown

    async def _is_told(self, asked: Asked, told: Operation, dossier: str) -> None:
        """He looks what has become of the dossier, and remembers it; it may be that nobody can say."""
        look = await self._doors.look(dossier)
        if look.shown is not None:
            self.town.shown[dossier] = look.shown
        elif look.is_told:
            self.town.shown.pop(dossier, None)
        if asked.kind == "finish" and told.outcome is Outcome.OK:
            self.town.ready(dossier)
        elif asked.kind == "collect_result" and told.outcome is Outcome.OK:
            self._ended(dossier)
        elif asked.kind == "collect_result":
            self.town.put_off(dossier)

    def _ended(self, dossier: str) -> None:
        self.town.closed(dossier)
        if dossier not in self.town.known_as_ended:
            self.town.known_as_ended.add(dossier)
            self.town.ended.append(dossier)

    async def _erases(self, chance: Random) -> bool:
        """Once for each dossier. False when intake has not heard yet that it has ended: another time."""
        dossier = self.town.ended.pop(chance.randrange(len(self.town.ended)))
        seen = (await self._doors.looked_up(dossier)).shown
        asked = steps.erasure(chance, seen) if seen is not None else None
        if asked is None or (await self._ask(asked, chance)).outcome is not Outcome.OK:
            self.town.ended.append(dossier)
        return asked is not None

    async def _hand_in(self, chance: Random) -> None:
        sleeps = self.town.hot is not None and chance.random() < _SLEEPERS
        asked = steps.submission(chance, procedure=TOWN_PROCEDURE if sleeps else None)
        told = await self._ask(asked, chance)
        if told.outcome is Outcome.OK:
            (self.town.sleeping if sleeps else self.town.expected).add(told.answer["id"])

    async def _ask(self, asked: Asked, chance: Random, unit: str = WARD) -> Operation:
        """Ask until told; now and then twice at the same time, once more, or with something else under the same id."""
        self.came.asked += 1
        if chance.random() < _AGAIN / 2:
            first, _ = await asyncio.gather(self._doors.told(asked, unit), self._doors.told(asked, unit))
        else:
            first = await self._doors.told(asked, unit)
        if first.outcome is Outcome.OK:
            self.not_taken.discard(asked.kind)
        if chance.random() < _AGAIN:
            await self._doors.told(asked, unit)
        if first.outcome is Outcome.OK and chance.random() < _OTHER_BODY and asked.kind != "withdraw":
            await self._doors.told(steps.other_body(asked), unit)
        return first

    async def _look_into_stores(self, stop: asyncio.Event) -> None:
        """Every second: which dossiers have come to a desk; and time passes fast for those who sleep."""
        while not stop.is_set():
            await asyncio.sleep(1)
            try:
                async with self.river.store("routing") as store:
                    for row in await store.fetch(_BEGUN, sorted(self.town.expected)):
                        self.town.begun(row["dossier"])
                    if self.hurries:
                        await self._set_clocks(store)
            except Exception as error:
                # Treated badly, or not there, because another is put in its place: what is there is seen later.
                if not is_transient(error) and not isinstance(error, asyncpg.InvalidCatalogNameError):
                    raise

    async def _set_clocks(self, store: asyncpg.Connection[asyncpg.Record]) -> None:
        """Whatever rung comes next of either clock is due in half a second."""
        for statement in _SET_CLOCKS:
            for row in await store.fetch(statement, sorted(self.town.sleeping)):
                self.came.clocks_set.append(ClockSet(**row))
                self.not_taken.discard(f"{row['scope']} {row['rung']}")


def _described(error: BaseException) -> str:
    """What it was, and where among the clients."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename).parent == _HERE]
    where = f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    return f"{type(error).__name__}{where}: {error}"
