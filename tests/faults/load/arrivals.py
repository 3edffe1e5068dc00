"""An open model: clients come at a constant rate and do not wait for one another, nor for the river.

A closed model (the next request when the last is answered) would hold its breath during every fault and see nothing.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Final

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

_MOST_AT_ONCE: Final = 3000
_HANDED_IN: Final = 0.25
_SLEEPERS: Final = 0.12
_AGAIN: Final = 0.12
_OTHER_BODY: Final = 0.06
_TWO_AT_ONCE: Final = 0.25
_ERASED: Final = 0.05

_SET_CLOCKS = """
UPDATE timer SET dossier_at = clock_timestamp() + interval '500 milliseconds'
 WHERE dossier = ANY($1::text[]) AND dossier_at > clock_timestamp() + interval '1 minute'
RETURNING dossier, dossier_rung AS rung, dossier_generation AS generation, dossier_at AS fires_at
"""


@dataclass(frozen=True, slots=True)
class ClockSet:
    """A rung of a dossier's own clock that was brought forward, in the database's time."""

    dossier: str
    rung: str
    generation: int
    fires_at: datetime


@dataclass(slots=True)
class Came:
    """How many clients came, for how many there was no room, and which clocks were set for those who wait."""

    arrived: int = 0
    dropped: int = 0
    clocks_set: list[ClockSet] = field(default_factory=list)

    def __add__(self, other: Came) -> Came:
        """Both."""
        return Came(self.arrived + other.arrived, self.dropped + other.dropped, [*self.clocks_set, *other.clocks_set])


@dataclass(slots=True)
class Load:
    """Arrivals at ``rate`` a second. Whoever is dropped because there is no room spoils the run.

    ``hurries``: whether time is made to pass fast for the sleepers.
    """

    river: River
    history: History
    chance: Random
    rate: float
    town: Town = field(default_factory=Town)
    came: Came = field(default_factory=Came)
    hurries: bool = True
    not_taken: set[str] = field(default_factory=lambda: set(STEPS))
    """Steps that nobody has succeeded with since these clients began to come."""
    _doors: Doors = field(init=False)
    _under_way: set[asyncio.Task[None]] = field(default_factory=set)

    def __post_init__(self) -> None:
        self._doors = Doors(self.river, self.history)

    @property
    def under_way(self) -> int:
        """Clients who are not told yet."""
        return len(self._under_way)

    async def run(self, stop: asyncio.Event) -> None:
        """Let clients come until ``stop``, then wait until each was told what became of his wish."""
        loop = asyncio.get_running_loop()
        begun, number = loop.time(), 0
        clocks = asyncio.create_task(self._set_clocks(stop))
        while not stop.is_set():
            # The pace of arrivals is what is made here; whoever is late for it comes at once, and nobody is left out.
            await asyncio.sleep(max(0.0, begun + number / self.rate - loop.time()))
            number += 1
            self.came.arrived += 1
            if len(self._under_way) >= _MOST_AT_ONCE:
                self.came.dropped += 1
                continue
            task = asyncio.create_task(self._arrive())
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
        await asyncio.gather(clocks, *self._under_way)

    def break_off(self) -> None:
        """Nobody waits any longer: the run has failed."""
        for task in self._under_way:
            task.cancel()

    async def close(self) -> None:
        """No more connections."""
        await self._doors.client.aclose()

    async def _arrive(self) -> None:
        if self.town.ended and self.chance.random() < _ERASED:
            await self._erase()
            return
        dossier = None if self.chance.random() < _HANDED_IN else self.town.one_of(self.chance)
        if dossier is None:
            await self._hand_in()
            return
        journey = await self._doors.look(dossier)
        if journey is None:
            return  # not there yet, or nobody to ask: he comes again another time
        is_hot = dossier == self.town.hot
        asked = steps.next_step(self.chance, journey, ends=not is_hot)
        if steps.is_over(journey):
            self.town.closed(dossier)
            if journey["state"] == "withdrawn":
                self._ended(dossier)
                return
        if is_hot and asked.service == "routing" and self.chance.random() < _TWO_AT_ONCE:
            rival = steps.next_step(self.chance, journey, ends=False)
            await asyncio.gather(self._ask(asked, journey["unit"]), self._doors.told(rival, journey["unit"]))
            return
        told = await self._ask(asked, journey["unit"] if asked.service == "routing" else WARD)
        if asked.kind == "finish" and told.outcome is Outcome.OK:
            self.town.ready(dossier)
        if asked.kind == "collect_result" and told.outcome is Outcome.OK:
            self._ended(dossier)

    def _ended(self, dossier: str) -> None:
        if dossier not in self.town.known_as_ended:
            self.town.known_as_ended.add(dossier)
            self.town.ended.append(dossier)

    async def _erase(self) -> None:
        """Once for each dossier: intake may still hear that it has ended, then he comes again another time."""
        dossier = self.town.ended.pop(self.chance.randrange(len(self.town.ended)))
        seen = await self._doors.look_up(dossier)
        asked = steps.erasure(self.chance, seen) if seen is not None else None
        if asked is None or (await self._ask(asked)).outcome is not Outcome.OK:
            self.town.ended.append(dossier)

    async def _hand_in(self) -> None:
        sleeps = self.town.hot is not None and self.chance.random() < _SLEEPERS
        asked = steps.submission(self.chance, procedure=TOWN_PROCEDURE if sleeps else None)
        told = await self._ask(asked)
        if told.outcome is not Outcome.OK:
            return
        dossier = told.answer["id"]
        if sleeps:
            self.town.sleeping.add(dossier)
        else:
            self.town.add(dossier)

    async def _ask(self, asked: Asked, unit: str = WARD) -> Operation:
        """Ask until told; now and then twice at the same time, once more, or with something else under the same id."""
        if self.chance.random() < _AGAIN / 2:
            first, _ = await asyncio.gather(self._doors.told(asked, unit), self._doors.told(asked, unit))
        else:
            first = await self._doors.told(asked, unit)
        if first.outcome is Outcome.OK:
            self.not_taken.discard(asked.kind)
        if self.chance.random() < _AGAIN:
            await self._doors.told(asked, unit)
        if first.outcome is Outcome.OK and self.chance.random() < _OTHER_BODY and asked.kind != "withdraw":
            await self._doors.told(steps.other_body(asked), unit)
        return first

    async def _set_clocks(self, stop: asyncio.Event) -> None:
        """Time passes fast for the sleepers: whatever rung comes next is due in half a second."""
        while not stop.is_set():
            await asyncio.sleep(1)
            if not self.hurries:
                continue
            try:
                async with self.river.store("routing") as store:
                    rows = await store.fetch(_SET_CLOCKS, sorted(self.town.sleeping))
            except Exception as error:
                # Treated badly, or not there, because another is put in its place: time stands still meanwhile.
                if not is_transient(error) and not isinstance(error, asyncpg.InvalidCatalogNameError):
                    raise
                continue
            self.came.clocks_set += [ClockSet(**row) for row in rows]
