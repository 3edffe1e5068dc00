"""Playing a plan as history: many dossiers at a time, each one's acts in their order, at the times of the plan.

Nothing is remembered here. Ids follow from the plan, and a command that came before gets its stored answer, so that
after a break the same run is simply played again. A dossier that an earlier run has made live is left as it is.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.replay.doors import Doors, StoppedError, refusal
from deploy.simulate.asking import HISTORY, unheard
from deploy.simulate.values import Act, Course, Door, Plan
from deploy.speaking import Refusal

RECORDS_PER_BULK: Final = 100
ACTS_PER_BULK: Final = 500
"""What the doors take is 200 and 500."""

AT_ONCE: Final = 5
"""Requests under way: one of receptions, two at each door; more gain nothing on the machine that this was tried on."""

_UNDER_WAY: Final = 3000
"""Dossiers that are played at the same time: the services hear what one of them did while others are sent."""

_SENDERS: Final[Mapping[Door, int]] = {"intake": 1, "routing": 2}
_AGAIN: Final = 0.4
_GATHERING: Final = 0.1
_LOOK_AGAIN: Final = 0.5

_PATHS: Final[Mapping[Door, str]] = {"intake": "/intake/commands", "routing": "/routing/commands"}
_NOT_HEARD_YET: Final = frozenset({"unknown-dossier", "not-now", "unknown-unit", "no-calendar", "unknown-procedure"})
_ADOPT: Final = {"kind": "adopt"}


@dataclass(slots=True)
class Played:
    """How far it is."""

    dossiers: int = 0
    there_before: int = 0
    acts: int = 0
    adopted: int = 0
    live_before: int = 0
    unheard: int = 0


@dataclass(slots=True)
class _Underway:
    """A dossier that intake has received, and how many of its acts are done."""

    dossier: str
    course: Course
    done: int = 0

    @property
    def left(self) -> int:
        return len(self.course.acts) - self.done

    @property
    def leg(self) -> tuple[Act, ...]:
        """The next acts at one and the same door: what comes after them waits until they have been heard there.

        What follows on the other door goes alone, until it shows that this was heard: else a later act of the leg might
        fit where an earlier one does not yet.
        """
        acts = self.course.acts
        end = self.done
        if acts[end].door == "intake" or (end and acts[end - 1].door == "intake"):
            return (acts[end],)
        while end < len(acts) and acts[end].door == acts[self.done].door:
            end += 1
        return acts[self.done : end]


@dataclass(slots=True)
class _Queue:
    waiting: deque[_Underway] = field(default_factory=deque)
    some_wait: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, one: _Underway) -> None:
        self.waiting.append(one)
        self.some_wait.set()

    def next_bulk(self) -> list[tuple[_Underway, tuple[Act, ...]]]:
        """Dossiers whose acts go together; a leg is never parted, so that a bulk is as full as legs allow."""
        bulk: list[tuple[_Underway, tuple[Act, ...]]] = []
        room = ACTS_PER_BULK
        while self.waiting and room:
            leg = self.waiting[0].leg[:ACTS_PER_BULK]
            if len(leg) > room:
                break
            bulk.append((self.waiting.popleft(), leg))
            room -= len(leg)
        if not self.waiting:
            self.some_wait.clear()
        return bulk


@dataclass(slots=True)
class Playing:
    """A plan on its way through the doors."""

    doors: Doors
    plan: Plan
    played: Played
    queues: dict[Door, _Queue] = field(default_factory=lambda: {"intake": _Queue(), "routing": _Queue()})
    dossiers: dict[str, str] = field(default_factory=dict)
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_UNDER_WAY))
    left: int = 0
    all_done: asyncio.Event = field(default_factory=asyncio.Event)

    async def all(self) -> None:
        """Everything that happened, then the adoption of what is open, then until all has been heard."""
        self.left = len(self.plan.courses)
        if self.left:
            senders = [self.send(door) for door, many in _SENDERS.items() for _ in range(many)]
            await _until(self.all_done, [self.receive(), *senders])
            await self.adopt()
        await self.is_heard()

    async def receive(self) -> None:
        """Hand everything in, in the order in which it came: the printed numbers follow it."""
        courses = self.plan.courses
        for start in range(0, len(courses), RECORDS_PER_BULK):
            bulk = courses[start : start + RECORDS_PER_BULK]
            for _ in bulk:
                await self.room.acquire()
            for course, dossier in zip(bulk, await self.received(bulk), strict=True):
                self.dossiers[course.id] = dossier
                self.put(_Underway(dossier, course))

    async def received(self, bulk: Iterable[Course]) -> list[str]:
        """The dossiers that courses became, now or before."""
        records = [{"id": course.id, **course.body} for course in bulk]
        while True:
            outcomes = (await self.doors.must(HISTORY, "POST", "/intake/records", {"records": records}))["outcomes"]
            waits = None
            for outcome in outcomes:
                if outcome["done"]:
                    continue
                waits = _problem(outcome)
                if waits.name == "idempotency-key-reused":
                    raise StoppedError(
                        "This run was begun before, and the town has changed since (officers, procedures, calendars or "
                        "the model): choose another --seed."
                    )
                if waits.name not in _NOT_HEARD_YET:
                    raise StoppedError(f"Intake refused a dossier. {waits}")
            if waits is None:
                self.doors.patience.progress()
                self.played.dossiers += len(records)
                self.played.there_before += sum(outcome["repeated"] for outcome in outcomes)
                return [str(outcome["answer"]["id"]) for outcome in outcomes]
            self.doors.patience.spend(f"intake has not heard of the town yet: {waits}")
            await asyncio.sleep(_AGAIN)

    def put(self, one: _Underway) -> None:
        """A dossier whose next acts can be sent; or it is done with."""
        if one.left:
            self.queues[one.course.acts[one.done].door].put(one)
            return
        self.left -= 1
        self.room.release()
        if not self.left:
            self.all_done.set()

    async def send(self, door: Door) -> None:
        """Send acts to one door in bulk, for ever. No dossier is in two bulks at once, so that its order holds."""
        queue = self.queues[door]
        while True:
            await queue.some_wait.wait()
            if len(queue.waiting) < ACTS_PER_BULK // 2:
                await asyncio.sleep(_GATHERING)
            bulk = queue.next_bulk()
            if not bulk:
                continue
            commands = [
                _command(door, one, number, act) for one, leg in bulk for number, act in enumerate(leg, start=one.done)
            ]
            outcomes = iter((await self.doors.must(HISTORY, "POST", _PATHS[door], {"commands": commands}))["outcomes"])
            for one, leg in bulk:
                self.judge(door, one, [next(outcomes) for _ in leg])

    def judge(self, door: Door, one: _Underway, outcomes: Iterable[Mapping[str, Any]]) -> None:
        """Count what was done of a leg; what was not heard of there yet is sent again."""
        for outcome in outcomes:
            if outcome["done"]:
                one.done += 1
                self.played.acts += 1
                self.doors.patience.progress()
                continue
            problem = _problem(outcome)
            reason = outcome["problem"].get("reason")
            if "live" in {reason, problem.name}:
                self.played.live_before += 1
                self.played.acts += one.left
                one.done = len(one.course.acts)
                break
            if problem.name not in _NOT_HEARD_YET and reason != "paused":
                act = one.course.acts[one.done]
                raise StoppedError(
                    f"{door.capitalize()} refused {act.action['kind']} of {one.dossier} at {act.at}. {problem}"
                )
            self.doors.patience.spend(
                f"{door} has not heard yet what happened to a dossier before; is its hearing at a stop?"
            )
            asyncio.get_running_loop().call_later(_AGAIN, self.put, one)
            return
        self.put(one)

    async def adopt(self) -> None:
        """What is open at the end becomes live."""
        is_open = [course for course in self.plan.courses if course.end != "closed"]
        for start in range(0, len(is_open), ACTS_PER_BULK):
            commands = [
                {"id": f"{course.id}/adopt", "dossier": self.dossiers[course.id], "action": _ADOPT}
                for course in is_open[start : start + ACTS_PER_BULK]
            ]
            while commands:
                answer = await self.doors.must(HISTORY, "POST", _PATHS["routing"], {"commands": commands})
                commands = self._not_adopted(commands, answer["outcomes"])
                if commands:
                    self.doors.patience.spend("routing has not heard yet of dossiers that are to become live")
                    await asyncio.sleep(_AGAIN)

    def _not_adopted(
        self, commands: list[dict[str, Any]], outcomes: Iterable[Mapping[str, Any]]
    ) -> list[dict[str, Any]]:
        again = []
        for command, outcome in zip(commands, outcomes, strict=True):
            if outcome["done"]:
                self.played.adopted += 1
                self.doors.patience.progress()
            elif _problem(outcome).name == "unknown-dossier":
                again.append(command)
            elif outcome["problem"].get("reason") == "live":
                self.played.live_before += 1
            else:
                raise StoppedError(f"Routing refused to adopt {command['dossier']}. {_problem(outcome)}")
        return again

    async def is_heard(self) -> None:
        """Wait until every service has sent and heard everything; twice in a row: a record may be between two looks."""
        quiet = 0
        while quiet < 2:
            left = await unheard(self.doors)
            quiet = 0 if left else quiet + 1
            if sum(left.values()) != self.played.unheard:
                self.doors.patience.progress()
            self.played.unheard = sum(left.values())
            if left:
                told = ", ".join(f"{service} {count:,}" for service, count in left.items())
                self.doors.patience.spend(f"still on its way: {told}")
            await asyncio.sleep(_LOOK_AGAIN)


def _command(door: Door, one: _Underway, number: int, act: Act) -> dict[str, Any]:
    given: dict[str, Any] = {"at": act.at.isoformat()} | ({"by": act.by} if act.by else {})
    whose = {"id": f"{one.course.id}/{number}", "dossier": one.dossier}
    if door == "intake":
        return {**whose, "action": {**act.action, **given}}
    return {**whose, "action": dict(act.action), **given} | ({"run": act.run} if act.run is not None else {})


def _problem(outcome: Mapping[str, Any]) -> Refusal:
    return refusal(outcome["problem"]["status"], outcome["problem"])


async def _until(done: asyncio.Event, work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all until the event; the first that fails ends the others, and is what is raised."""
    waiting = asyncio.create_task(done.wait())
    tasks = [asyncio.create_task(one) for one in work]
    try:
        pending: set[asyncio.Task[Any]] = {waiting, *tasks}
        while not waiting.done():
            ended, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in ended:
                task.result()
    finally:
        for task in (waiting, *tasks):
            task.cancel()
        await asyncio.gather(waiting, *tasks, return_exceptions=True)
