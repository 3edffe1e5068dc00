"""Alive, ready, and how late the loop runs."""

import asyncio

from fastapi import FastAPI

from shared.http.health import TICK, TOO_LATE, WINDOW, LoopLag, health_router
from tests.http.asking import asking


class Time:
    """A clock that moves only when somebody sleeps, and then by as much as it is told to be late."""

    def __init__(self, late: list[float]) -> None:
        self.now = 1000.0
        self.late = late

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        if not self.late:
            raise asyncio.CancelledError
        self.now += seconds + self.late.pop(0)


async def lag_after(*late: float) -> tuple[LoopLag, Time]:
    time = Time(list(late))
    lag = LoopLag(time.clock, time.sleep)
    task = asyncio.create_task(lag.measure())
    await asyncio.wait([task])
    return lag, time


def an_app(lag: LoopLag | None = None, reasons: tuple[str, ...] = ()) -> FastAPI:
    async def ready() -> list[str]:
        return list(reasons)

    app = FastAPI()
    app.include_router(health_router(ready, lag))
    return app


async def test_a_process_that_answers_is_alive_and_one_without_a_reason_against_it_is_ready() -> None:
    async with asking(an_app()) as client:
        assert (await client.get("/health/live")).json() == {"status": "alive"}
        ready = await client.get("/health/ready")

    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "reasons": []})


async def test_a_process_that_is_not_ready_says_why_and_stays_alive() -> None:
    async with asking(an_app(reasons=("database_away", "catching_up"))) as client:
        ready, live = await client.get("/health/ready"), await client.get("/health/live")

    assert ready.status_code == 503
    assert ready.json()["reasons"] == ["database_away", "catching_up"]
    assert live.status_code == 200


async def test_a_loop_that_ran_late_makes_the_process_unready_until_it_has_kept_up_for_a_while() -> None:
    lag, time = await lag_after(0.0, TOO_LATE + 0.5, 0.0)

    assert lag.worst == TOO_LATE + 0.5
    async with asking(an_app(lag)) as client:
        late = await client.get("/health/ready")
        time.now += WINDOW
        kept_up = await client.get("/health/ready")

    assert late.json()["reasons"] == ["event_loop_late"]
    assert kept_up.status_code == 200


async def test_the_worst_tick_of_the_window_counts_and_older_ones_are_forgotten() -> None:
    lag, _ = await lag_after(0.75, *[0.0] * int(WINDOW / TICK), 0.125)

    assert lag.worst == 0.125


async def test_before_the_first_tick_nothing_is_late() -> None:
    lag, _ = await lag_after()

    assert lag.worst == 0.0


async def test_measuring_ends_with_its_block() -> None:
    async with LoopLag().measured() as lag:
        (task,) = [task for task in asyncio.all_tasks() if task.get_name() == "loop-lag"]

    assert task.cancelled()
    assert lag.worst == 0.0
