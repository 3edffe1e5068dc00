"""Time: a year's turn, Tết and a month's end are lived through, and a wall clock is stepped under a running river."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import Final

from deploy.launcher.layout import SERVICES
from tests.faults.clock import Clock
from tests.faults.ground import Ground
from tests.faults.needs import Needs
from tests.faults.strikes import Strike
from tests.processes import until

_HERE: Final = timezone(timedelta(hours=7))
"""Vietnam has one time zone and no summer time."""


def _at(year: int, month: int, day: int, hour: int, minute: int, second: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, second, tzinfo=_HERE)


BEGAN: Final = _at(2018, 2, 9, 9, 0)
"""The Friday before Tết: ten working days from here are the 2nd of March."""

_TURNS: Final = (
    ("Tết begins", _at(2018, 2, 13, 23, 59, 50)),
    ("a month's end", _at(2018, 2, 28, 23, 59, 50)),
    ("a dossier comes near its due instant after Tết", _at(2018, 3, 1, 16, 29, 50)),
    ("a due instant after Tết", _at(2018, 3, 2, 16, 59, 50)),
    ("a due date is over", _at(2018, 3, 2, 23, 59, 50)),
    ("dossiers come in before two holidays", _at(2018, 4, 27, 9, 0)),
    ("a due instant after two holidays", _at(2018, 5, 15, 16, 59, 50)),
    ("a due date after two holidays is over", _at(2018, 5, 15, 23, 59, 50)),
    ("the year's turn", _at(2018, 12, 31, 23, 59, 50)),
)
"""Ten seconds before something happens. Between two of them the town sleeps: nothing runs, as over a long night."""

_STEP: Final = timedelta(days=400)
_STEPPED_FOR: Final = 8.0
_SAID: Final = "SELECT count(*) FROM journal WHERE type LIKE 'Deadline%'"


async def turn(ground: Ground, seconds: int) -> None:
    """Live through each of the turns for so many seconds; dossiers that are left alone fall due in them, or between."""
    clock = ground.clock
    assert clock is not None, "nobody can turn this river's time"
    ground.hurry(so=False)
    began = clock.now()
    await asyncio.sleep(seconds)
    for what, instant in _TURNS:
        await _falls_asleep(ground, clock, began)
        for service in SERVICES:
            await ground.river.running[service].stop()
            ground.ended(service)
        clock.set(instant)
        await asyncio.gather(*(ground.started(each, f"{each} ready after SIGTERM") for each in SERVICES))
        began = clock.now()
        await asyncio.sleep(seconds)
        ground.tally.done[f"lived through: {what}"] += 1
    await _falls_asleep(ground, clock, began)
    ground.tally.done["turns of time"] += len(_TURNS)
    ground.hurry(so=True)
    await until(lambda: bool(ground.came.clocks_set), "time passes fast for somebody", seconds=120)


async def _falls_asleep(ground: Ground, clock: Clock, began: datetime) -> None:
    """Wait until routing has said what is due, and write down since when and until when the river was awake."""
    looked = began

    async def has_said_all() -> bool:
        nonlocal looked
        looked = clock.now()
        return await _has_said_all(ground)

    await until(has_said_all, "routing has said what is due before time is turned", seconds=60)
    ground.tally.lived.append((began, looked))


async def step(ground: Ground, times: int) -> None:
    """The clock is wrong by 400 days for a while. AssertionError when a deadline is said by it, or no alarm."""
    clock = ground.clock
    assert clock is not None, "nobody can step this river's clock"
    for _ in range(times):
        ground.hurry(so=False)
        await asyncio.sleep(3)
        await until(lambda: _has_said_all(ground), "routing has said what is due", seconds=60)
        before = await _deadlines_said(ground)
        clock.step(_STEP)
        ground.tally.stepped = _STEP
        ground.tally.done["mail cut off"] += 1  # sessions and claims are suddenly 400 days old
        try:
            await until(lambda: _is_alarmed(ground), "routing has noticed the step", seconds=30)
            await asyncio.sleep(_STEPPED_FOR)
            said = await _deadlines_said(ground) - before
        finally:
            clock.step(-_STEP)
        assert not said, f"{said} deadlines were said by a clock that was wrong by {_STEP}"
        await asyncio.sleep(3)
        assert await _is_alarmed(ground), "routing trusts a clock again that was stepped"
        await ground.restarted("routing")
        ground.hurry(so=True)
        ground.tally.done["the clock was stepped and set right"] += 1
        await asyncio.sleep(3)


async def _has_said_all(ground: Ground) -> bool:
    told = await ground.river.status("routing")  # without figures, while its connections are renewed
    return bool(told.get("timers", {}).get("overdue") == 0)


async def _is_alarmed(ground: Ground) -> bool:
    told = await ground.river.status("routing")  # without figures, while its connections are renewed
    return bool(told.get("timers", {}).get("clock_stepped"))


async def _deadlines_said(ground: Ground) -> int:
    async with ground.river.store("routing") as store:
        count: int = await store.fetchval(_SAID)
        return count


_UNDER_A_CLOCK: Final = Needs(clock=BEGAN)

STRIKES: Final = (
    Strike("turns", "Tết, a month's end and a year's turn, so many seconds at each", turn, _UNDER_A_CLOCK),
    Strike("steps", "the wall clock is stepped by 400 days and set right again", step, _UNDER_A_CLOCK),
)
