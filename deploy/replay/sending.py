"""Sending a plan through the front door: many dossiers at a time, their steps in bulk, each case's in order.

Nothing is remembered here. Ids follow from the file, and a command that came before gets its stored answer, so that
after a break the same replay is simply sent again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from deploy.replay import plan as planned
from deploy.replay.doors import ADMINISTRATOR, HISTORY, Doors, Reply, StoppedError, refusal
from deploy.replay.plan import Plan, PlannedCase
from shared.calendar import WorkingCalendar

RECEPTIONS_AT_ONCE: Final = 12
AT_ONCE: Final = RECEPTIONS_AT_ONCE + 1
"""Connections; more of them cost the sender more than intake gains by larger batches."""

STEPS_PER_BULK: Final = 500
"""What POST /routing/commands takes."""

_GATHERING: Final = 1.0
"""Seconds in which received cases gather, so that their steps share a transaction, at routing and at whoever hears of
them: for the receipt log, the CPU time of the services went from 22 s to 16-18 s."""

_NOT_HEARD_YET: Final = 0.3
_LOOK_AGAIN: Final = 0.5

_UNIT_ON_ITS_WAY: Final = frozenset({"unknown-unit", "no-calendar"})
"""What intake says before it has heard of the replay unit: routing owns units, and was told a moment ago."""


@dataclass(slots=True)
class Sent:
    """How far a replay is."""

    cases: int = 0
    cases_there_before: int = 0
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Held:
    """What the services hold of replayed history now; None where a service was not to be asked or is behind still."""

    intake: int
    dossiers: int | None
    steps: int | None
    complete: bool


@dataclass(slots=True)
class _Underway:
    """A case that intake has received, and how many of its steps routing has."""

    dossier: str
    case: PlannedCase
    carried_out: int = 0

    @property
    def left(self) -> int:
        return len(self.case.steps) - self.carried_out


@dataclass(slots=True)
class _Sending:
    doors: Doors
    plan: Plan
    sent: Sent
    waiting: deque[_Underway] = field(default_factory=deque)
    some_wait: asyncio.Event = field(default_factory=asyncio.Event)
    complete: int = 0

    async def all(self) -> None:
        cases = iter(self.plan.cases)
        await _together([*(self.receive(cases) for _ in range(RECEPTIONS_AT_ONCE)), self.carry_out()])

    async def receive(self, cases: Iterator[PlannedCase]) -> None:
        """Send receptions, one after the other, until none is left; several of these share the same iterator."""
        for case in cases:
            self.put(_Underway(await self.receive_one(case), case))
            self.sent.cases += 1

    def put(self, one: _Underway) -> None:
        """A case whose next steps can be sent."""
        self.waiting.append(one)
        self.some_wait.set()

    async def receive_one(self, case: PlannedCase) -> str:
        """The dossier that a case became, now or before."""
        while True:
            answer = await self.doors.ask(HISTORY, "POST", "/intake/dossiers", case.body, case.key)
            if isinstance(answer, Reply):
                self.doors.patience.progress()
                self.sent.cases_there_before += answer.repeated
                return str(answer.body["id"])
            if answer.name not in _UNIT_ON_ITS_WAY:
                raise StoppedError(f"Intake refused case {case.case}. {answer}")
            self.doors.patience.spend("intake does not hear of the replay unit; is its hearing at a stop?")
            await asyncio.sleep(_NOT_HEARD_YET)

    async def carry_out(self) -> None:
        """Send steps in bulk until every case has all of its own; one bulk at a time, so that their order holds."""
        while self.complete < len(self.plan.cases):
            await self.some_wait.wait()
            is_full = sum(one.left for one in self.waiting) >= STEPS_PER_BULK
            if not is_full and self.sent.cases < len(self.plan.cases):
                await asyncio.sleep(_GATHERING)
            await self.send(self.next_bulk())

    def next_bulk(self) -> list[tuple[_Underway, int]]:
        """Cases whose steps go together, with how many of each."""
        bulk: list[tuple[_Underway, int]] = []
        room = STEPS_PER_BULK
        while self.waiting and room:
            one = self.waiting.popleft()
            count = min(room, one.left)
            bulk.append((one, count))
            room -= count
        if not self.waiting:
            self.some_wait.clear()
        return bulk

    async def send(self, bulk: Iterable[tuple[_Underway, int]]) -> None:
        commands = [
            {"id": step.id, "dossier": one.dossier, "action": step.action}
            for one, count in bulk
            for step in one.case.steps[one.carried_out : one.carried_out + count]
        ]
        answer = await self.doors.must(HISTORY, "POST", "/routing/commands", {"commands": commands})
        outcomes = iter(answer["outcomes"])
        for one, count in bulk:
            unheard = self.judge(one, [next(outcomes) for _ in range(count)])
            if not one.left:
                self.complete += 1
            elif unheard:
                self.doors.patience.spend("routing does not hear of the dossiers; is its hearing at a stop?")
                asyncio.get_running_loop().call_later(_NOT_HEARD_YET, self.put, one)
            else:
                self.put(one)

    def judge(self, one: _Underway, outcomes: Iterable[Mapping[str, Any]]) -> bool:
        """Count what was carried out; whether routing has not heard of the dossier yet."""
        for outcome in outcomes:
            if outcome["done"]:
                one.carried_out += 1
                self.sent.steps += 1
                self.doors.patience.progress()
                continue
            refused = refusal(outcome["problem"]["status"], outcome["problem"])
            if refused.name == "unknown-dossier":
                return True
            raise StoppedError(f"Routing refused step {one.carried_out + 1} of case {one.case.case}. {refused}")
        return False


async def prepare(doors: Doors, calendar: WorkingCalendar) -> None:
    """Publish what the log needs; the same again changes nothing. Raises StoppedError."""
    await doors.greet()
    calendar_place = f"/routing/calendars/{planned.CALENDAR}"
    await doors.must(ADMINISTRATOR, "PUT", calendar_place, planned.calendar_body(calendar))
    await doors.must(ADMINISTRATOR, "PUT", f"/routing/units/{planned.UNIT}", planned.unit_body())
    await doors.must(ADMINISTRATOR, "PUT", "/intake/procedures", planned.procedures_body())
    doors.patience.progress()


async def send(doors: Doors, plan: Plan, sent: Sent) -> None:
    """Send everything; ``sent`` is kept up to date meanwhile. Raises StoppedError."""
    if plan.cases:
        await _Sending(doors, plan, sent).all()


async def held(doors: Doors, plan: Plan) -> Held:
    """What the services hold now; waits while reporting still hears. It may hold other logs, so it must stand still."""
    before: tuple[int, int] | None = None
    while True:
        intake = (await doors.must(ADMINISTRATOR, "GET", "/intake/counts"))["replayed"]
        now = await _history(doors)
        if now is None:
            return Held(intake, None, None, complete=True)
        if now == before and now[0] >= len(plan.cases) and now[1] >= plan.steps:
            return Held(intake, *now, complete=True)
        if now != before:
            doors.patience.progress()
            before = now
        if doors.patience.is_spent:
            return Held(intake, *now, complete=False)
        await asyncio.sleep(_LOOK_AGAIN)


async def _history(doors: Doors) -> tuple[int, int] | None:
    """Dossiers and steps of our origin in reporting; None where reporting does not tell."""
    answer = await doors.ask(ADMINISTRATOR, "GET", "/reporting/history")
    if not isinstance(answer, Reply):
        return None
    ours = [one for one in answer.body["history"] if one["origin"] == planned.ORIGIN]
    return sum(one["dossiers"] for one in ours), sum(one["steps"] for one in ours)


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all at once; the first that fails ends the others, and is what is raised."""
    tasks = [asyncio.create_task(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
