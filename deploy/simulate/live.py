"""The town as it works now: dossiers come in at a rate, and whoever holds one acts on it after a while.

Time is lapsed: a rate above the town's own makes everybody faster by as much, so that what comes also goes. Nothing is
remembered: every act is decided by where the dossier is, and sent with the version that was seen; its id is made of
both, so that neither a lost answer nor a clock that jumps doubles it. Waiting is by the monotonic clock alone.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from random import Random
from typing import Any, Final
from uuid import NAMESPACE_URL, UUID, uuid4, uuid5

from deploy.replay.doors import Doors, Reply, StoppedError
from deploy.simulate import people
from deploy.simulate.arrivals import a_channel, a_procedure, doors
from deploy.simulate.asking import ONLOOKER
from deploy.simulate.model import Model
from deploy.simulate.town import Officer, Town
from deploy.speaking import Actor, Refusal
from shared.access import Role
from shared.events import Channel

AT_ONCE: Final = 16
"""Workers, and their connections."""

PORTAL: Final = Actor("simulation-portal", Role.PORTAL)

_WORKING_SECONDS: Final = 8 * 3600.0
_WORKING_DAYS: Final = 250
_LARGEST_STEP: Final = 1.0
_LOOK_AGAIN: Final = 0.5
_GRACE_SECONDS: Final = 5.0
_PASSES: Final = frozenset({"stale", "not-now", "unknown-dossier", "unknown-unit", "no-calendar", "refused"})


@dataclass(slots=True)
class Lived:
    """What has happened so far. ``clock_steps``: in seconds, as the wall clock jumped."""

    received: int = 0
    acts: int = 0
    finished: int = 0
    supplements: int = 0
    withdrawn: int = 0
    handed_out: int = 0
    left_alone: int = 0
    clock_steps: list[float] = field(default_factory=list)


@dataclass(slots=True)
class _Dossier:
    """A dossier that is worked on; ``taken``: how many acts were decided for it."""

    id: str
    door: str
    channel: Channel
    draw: Random
    taken: int = 0
    supplements: int = 0


@dataclass(slots=True)
class Living:
    """The town at work. ``rate``: dossiers a second; ``seconds`` None: until it is stopped.

    ``wall`` is the clock that is watched, in seconds: nothing here goes by it.
    """

    doors: Doors
    town: Town
    model: Model
    seed: int
    rate: float
    seconds: float | None
    lived: Lived
    run: UUID = field(default_factory=uuid4)
    due: list[tuple[float, int, _Dossier | None]] = field(default_factory=list)
    order: count[int] = field(default_factory=count)
    numbers: count[int] = field(default_factory=count)
    stops: asyncio.Event = field(default_factory=asyncio.Event)
    wall: Callable[[], float] = time.time

    @property
    def lapse(self) -> float:
        """By how much everybody is faster than in the model; never slower."""
        return max(1.0, self.rate * _WORKING_SECONDS * _WORKING_DAYS / self.model.volume)

    async def all(self) -> None:
        """Work until the time is over or `stops` is set; what was begun is ended.

        Where a door does not answer, that is not waited for longer than some seconds: what was sent there came to it as
        a whole or not at all.
        """
        lives, stopping = asyncio.create_task(self.lives()), asyncio.create_task(self.stops.wait())
        watch = asyncio.create_task(self.watch_the_clock())
        try:
            await asyncio.wait({lives, stopping}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({lives}, timeout=_GRACE_SECONDS)
            if lives.done():
                lives.result()
        finally:
            for task in (lives, stopping, watch):
                task.cancel()
            await asyncio.gather(lives, stopping, watch, return_exceptions=True)

    async def lives(self) -> None:
        """Take over what is there, then work on it and on what comes."""
        await self.takes_over()
        draw = Random(f"{self.seed}/live")
        began = time.monotonic()
        self.put(None, draw.expovariate(self.rate))
        workers = [asyncio.create_task(self.work(draw, began)) for _ in range(AT_ONCE)]
        try:
            await asyncio.gather(*workers)
        finally:
            for task in workers:
                task.cancel()
            await asyncio.gather(*workers, return_exceptions=True)

    async def takes_over(self) -> None:
        """Whatever lies in the worklists is worked on too, from now on."""
        number = 0
        taken = set()
        for unit in sorted(self.town.units):
            after = ""
            while not self.stops.is_set():
                path = f"/routing/worklist?unit={unit}&count=500{after}"
                page = await self.doors.must(ONLOOKER, "GET", path)
                for one in page["worklist"]:
                    if one["dossier"] in taken:  # it lies in several places, and is one dossier
                        continue
                    taken.add(one["dossier"])
                    draw = Random(f"{self.seed}/live/{number}/there")
                    number += 1
                    dossier = _Dossier(one["dossier"], unit, Channel.DESK, draw)
                    self.put(dossier, draw.uniform(0, 3 * _WORKING_SECONDS / self.lapse))
                if page["next"] is None:
                    break
                after = f"&after={page['next'].replace('+', '%2B')}"

    def put(self, one: _Dossier | None, after: float) -> None:
        """Something is due after so many seconds; None: the next citizen comes."""
        heapq.heappush(self.due, (time.monotonic() + after, next(self.order), one))

    async def work(self, draw: Random, began: float) -> None:
        """One of several who do what is due, one thing after the other, until it is time to stop."""
        while not self.is_over(began):
            if not self.due or self.due[0][0] > time.monotonic():
                wait = min(self.due[0][0] - time.monotonic(), _LOOK_AGAIN) if self.due else _LOOK_AGAIN
                await asyncio.sleep(max(wait, 0.0))
                continue
            when, _, one = heapq.heappop(self.due)
            if one is None:
                # From when this one was due, not from now: a busy machine makes them late, not fewer.
                heapq.heappush(self.due, (when + draw.expovariate(self.rate), next(self.order), None))
                await self.comes(next(self.numbers))
            else:
                await self.acts(one)

    def is_over(self, began: float) -> bool:
        return self.stops.is_set() or (self.seconds is not None and time.monotonic() - began >= self.seconds)

    async def watch_the_clock(self) -> None:
        """Say when the wall clock jumps against the monotonic one. Nothing here goes by the wall clock."""
        wall, steady = self.wall(), time.monotonic()
        while True:
            await asyncio.sleep(_LOOK_AGAIN)
            step = (self.wall() - wall) - (time.monotonic() - steady)
            if abs(step) > _LARGEST_STEP:
                self.lived.clock_steps.append(round(step, 1))
            wall, steady = self.wall(), time.monotonic()

    # --- citizens

    async def comes(self, number: int) -> None:
        """The next citizen hands something in."""
        draw = Random(f"{self.seed}/live/{number}")
        shares = doors(self.town, self.model)
        door = draw.choices(list(shares), list(shares.values()))[0]
        procedure, channel = a_procedure(self.town, self.model, door, draw), a_channel(self.model, draw)
        who = people.applicant(draw)
        body: dict[str, Any] = {
            "unit": door,
            "procedure": procedure.code,
            "channel": channel.value,
            "applicant": who,
            "components": ["to_khai"],
        }
        if draw.random() < self.model.contact:
            body["contact"] = people.contact(draw, who)
        clerk = PORTAL if channel is Channel.ONLINE else self.somebody(door, "desk", draw)
        if clerk is None:
            self.lived.left_alone += 1
            return
        self.lived.received += 1
        answer = await self.doors.ask(clerk, "POST", "/intake/dossiers", body, f"{self.run}/{number}")
        if isinstance(answer, Refusal):
            raise StoppedError(f"Intake refused a dossier. {answer}")
        self.doors.patience.progress()
        one = _Dossier(str(answer.body["id"]), door, channel, draw)
        self.put(one, self.after(one, 0.5))

    def after(self, one: _Dossier, days: float) -> float:
        """Seconds until somebody acts: so many working days, more or less, at the speed of the lapse."""
        return days * one.draw.lognormvariate(0.0, 0.5) * _WORKING_SECONDS / self.lapse

    # --- officers

    async def acts(self, one: _Dossier) -> None:
        """Whoever holds the dossier does the next thing, as it stands now."""
        seen = await self.doors.ask(ONLOOKER, "GET", f"/routing/dossiers/{one.id}")
        if isinstance(seen, Refusal):
            if seen.name == "unknown-dossier":
                self.doors.patience.spend("routing has not heard of a dossier yet")
                self.put(one, _LOOK_AGAIN)
                return
            raise StoppedError(f"Routing does not show a dossier. {seen}")
        self.doors.patience.progress()
        journey = _somewhere(seen.body, one.draw)
        match journey["state"]:
            case "moving":
                await self.moves(one, journey)
            case "paused" if journey["pause_reason"] == "supplement":
                await self.brings(one, "supplement", {"components": ["giay_to_bo_sung"]})
            case "paused":
                await self.commands(one, journey, {"kind": "resume"})
            case "done":
                await self.brings(one, "result", {"way": "online" if one.channel is Channel.ONLINE else "desk"})
            case _:
                return

    async def moves(self, one: _Dossier, journey: Mapping[str, Any]) -> None:
        model = self.model
        if journey["stage"] == "" or journey["role"] is None:
            self.put(one, self.after(one, 0.2))
            return
        if one.draw.random() < model.withdrawal / 4:
            await self.brings(one, "withdrawal", {})
            return
        examines = journey["role"] in {"officer", "specialist"}
        if examines and one.supplements < 2 and one.draw.random() < model.supplement:
            one.supplements += 1
            missing = {"components": ["giay_to_bo_sung"], "reason": "papers_missing"}
            await self.commands(one, journey, {"kind": "request_supplement", **missing})
            return
        await self.commands(one, journey, {"kind": "hand_over"})

    async def commands(self, one: _Dossier, journey: Mapping[str, Any], action: dict[str, Any]) -> None:
        """An officer of the unit does it, on the version that he saw."""
        officer = self.somebody(journey["unit"], str(journey["role"]), one.draw)
        if officer is None:
            self.lived.left_alone += 1
            return
        path = f"/routing/dossiers/{one.id}/commands"
        answer = await self._command(officer, path, one, journey, action)
        if isinstance(answer, Refusal) and action["kind"] == "hand_over" and "last stage" in f"{answer.do}":
            action = {"kind": "finish"}
            answer = await self._command(officer, path, one, journey, action)
        if isinstance(answer, Refusal):
            self._stays(one, answer)
            return
        self._done(one, action["kind"])
        waits = {"request_supplement": self.model.supplement_days.median, "finish": self.model.collect_days.median}
        self.put(one, self.after(one, waits.get(action["kind"], 0.5)))

    async def _command(
        self, officer: Actor, path: str, one: _Dossier, journey: Mapping[str, Any], action: dict[str, Any]
    ) -> Reply | Refusal:
        key = str(uuid5(NAMESPACE_URL, f"{one.id}/{journey['version']}/{action['kind']}"))
        several = len(journey["open_runs"]) > 1
        body = {"seen": journey["version"], "action": action} | ({"run": journey["run"]} if several else {})
        return await self.doors.ask(officer, "POST", path, body, key)

    async def brings(self, one: _Dossier, what: str, body: dict[str, Any]) -> None:
        """The citizen comes: with papers, to have the dossier back, or to collect the result."""
        clerk = self.somebody(one.door, "desk", one.draw)
        if one.channel is Channel.ONLINE and what != "result":
            clerk = PORTAL
        if clerk is None:
            self.lived.left_alone += 1
            return
        key = str(uuid5(NAMESPACE_URL, f"{one.id}/{what}/{one.taken}"))
        answer = await self.doors.ask(clerk, "POST", f"/intake/dossiers/{one.id}/{what}", body, key)
        if isinstance(answer, Refusal):
            self._stays(one, answer)
            return
        self._done(one, what)
        if what == "supplement":
            self.put(one, self.after(one, 0.3))

    def _done(self, one: _Dossier, what: str) -> None:
        one.taken += 1
        self.lived.acts += 1
        self.doors.patience.progress()
        self.lived.finished += what == "finish"
        self.lived.supplements += what == "supplement"
        self.lived.withdrawn += what == "withdrawal"
        self.lived.handed_out += what == "result"

    def _stays(self, one: _Dossier, refusal: Refusal) -> None:
        """It was not done: somebody else was faster, or a message is on its way. Looked at again a little later."""
        if refusal.status == 403:
            self.lived.left_alone += 1
        elif refusal.name in _PASSES:
            self.put(one, max(_LOOK_AGAIN, self.after(one, 0.1)))
        else:
            raise StoppedError(f"An act was refused. {refusal}")

    def somebody(self, unit: str, role: str, draw: Random) -> Actor | None:
        """An officer who is in office today, as who he acts."""
        today = self.town.calendar_of(unit).day_of(datetime.now(UTC)) if unit in self.town.units else None
        there: list[Officer] = [
            one
            for one in self.town.officers
            if today and one.unit == unit and role in one.roles and one.is_there(today)
        ]
        return Actor(draw.choice(there).id, Role(role), unit) if there else None


def _somewhere(journey: Mapping[str, Any], draw: Random) -> Mapping[str, Any]:
    """The journey as one of those sees it who have the dossier; whoever it is of several places is chance."""
    if len(journey["open_runs"]) < 2:
        return journey
    return {**journey, **draw.choice(journey["open_runs"])}


def rate_of(text: str) -> float:
    """Dossiers a second: ``2/s``, ``30/m``, ``500/h``. Raises ValueError for anything else."""
    number, _, unit = text.partition("/")
    seconds = {"s": 1, "m": 60, "min": 60, "h": 3600}[unit]
    rate = float(number) / seconds
    if not 0 < rate <= 1000:
        raise ValueError(text)
    return rate


def span_of(text: str) -> float:
    """Seconds: ``90s``, ``10m``, ``2h``. Raises ValueError for anything else."""
    seconds = float(text[:-1]) * {"s": 1, "m": 60, "h": 3600}[text[-1:]]
    if not seconds > 0:
        raise ValueError(text)
    return seconds
