"""The clients themselves: they ask where nobody answers, nothing ends them unseen, and each has a chance of his own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, Final, cast

import httpx
import pytest

from tests.faults.ground import Ground, Tally
from tests.faults.ground.ends import Ends
from tests.faults.history import History, Outcome, read
from tests.faults.load import NO_CONNECTION, Doors, Load, submission
from tests.faults.strikes.broker import is_taken_in
from tests.flow.river import River
from tests.layouts import FAULTS

_JOURNEY: Final = {"dossier": "d", "version": 3, "state": "moving", "stage": "town_desk", "unit": "u"}

Answers = Callable[[httpx.Request], httpx.Response]


@pytest.fixture
def history(tmp_path: Path) -> History:
    opened = History(tmp_path / "history.jsonl")
    opened.open()
    return opened


def a_river() -> River:
    """Of which only the addresses are needed: nobody is there."""
    nobody: Any = None
    return River(FAULTS, nobody, {}, nobody, nobody)


def answering(answers: Answers) -> httpx.AsyncClient:
    """A client whose questions are answered so, and who is nowhere in the network."""
    return httpx.AsyncClient(transport=httpx.MockTransport(answers))


def a_load(history: History, answers: Answers, *, rate: float = 1000.0) -> Load:
    load = Load(a_river(), history, Random(7), rate)
    load._doors.client = answering(answers)
    return load


def shut(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("nobody listens", request=request)


async def until_so_many_came(load: Load, count: int) -> None:
    """Let so many clients come, and wait until each is through."""
    stop = asyncio.Event()
    letting_in = asyncio.create_task(load._let_in(stop))
    while load.came.arrived < count:
        await asyncio.sleep(0)
    stop.set()
    await letting_in
    while load.under_way:
        await asyncio.sleep(0)


async def test_whoever_finds_the_door_shut_asks_by_what_was_last_seen(history: History) -> None:
    def commands_alone(request: httpx.Request) -> httpx.Response:
        return shut(request) if request.method == "GET" else httpx.Response(200, json={"version": 4})

    for seed in range(8):  # with a look, and without one
        load = a_load(history, commands_alone)
        load.town.shown["d"] = _JOURNEY
        assert await load._acts_on("d", Random(seed))

    assert {one.asked.dossier for one in read(history.path)} == {"d"}


async def test_whoever_thinks_of_a_dossier_that_is_nowhere_hands_another_one_in(history: History) -> None:
    def unknown(request: httpx.Request) -> httpx.Response:
        return httpx.Response(404 if request.method == "GET" else 201, json={"id": "e"})

    load = a_load(history, unknown)
    load.town.open.append("d")
    await until_so_many_came(load, 20)

    assert load.came.asked == load.came.arrived
    assert {one.asked.kind for one in read(history.path)} == {"submit"}


async def test_an_answer_that_cannot_be_read_ends_a_client_and_is_told(history: History) -> None:
    load = a_load(history, lambda _: httpx.Response(400, text="no problem"))
    await until_so_many_came(load, 1)

    assert load.came.errors
    assert load.came.errors[0].startswith("JSONDecodeError at doors.py:")


async def test_a_client_for_whom_no_connection_was_free_is_counted_and_asks_again(history: History) -> None:
    tried = 0

    def late(request: httpx.Request) -> httpx.Response:
        nonlocal tried
        tried += 1
        if tried == 1:
            raise httpx.PoolTimeout("all of them ask", request=request)
        return httpx.Response(201, json={"id": "d"})

    doors = Doors(a_river(), history, client=answering(late))

    assert (await doors.told(submission(Random(1)))).outcome is Outcome.OK
    assert doors.met[NO_CONNECTION] == 1


async def test_what_a_client_asks_for_does_not_depend_on_how_long_others_waited(history: History) -> None:
    async def keys(waits: Callable[[], int]) -> set[str]:
        asked: set[str] = set()

        async def slow(request: httpx.Request) -> httpx.Response:
            asked.add(request.headers["idempotency-key"])
            for _ in range(waits()):
                await asyncio.sleep(0)
            return httpx.Response(201, json={"id": "d"})

        load = a_load(history, cast("Answers", slow))
        await until_so_many_came(load, 60)
        return asked

    late = Random(1)
    at_once, slowly = await keys(lambda: 0), await keys(lambda: late.randrange(40))

    assert at_once <= slowly or slowly <= at_once


@pytest.mark.parametrize("status", [500, 503, 409])
async def test_without_a_broker_no_refusal_is_forgiven(history: History, status: int) -> None:
    ground = Ground(a_river(), history, Random(1), 1, Ends(Tally()))
    doors = Doors(ground.river, history, client=answering(lambda _: httpx.Response(status, json={})))

    with pytest.raises(AssertionError, match=str(status)):
        await is_taken_in(ground, doors, submission(Random(1)))


async def test_without_a_broker_a_connection_that_failed_is_no_refusal(history: History) -> None:
    ground = Ground(a_river(), history, Random(1), 1, Ends(Tally()))

    assert not await is_taken_in(ground, Doors(ground.river, history, client=answering(shut)), submission(Random(1)))
    assert ground.tally.done == {"not answered while the broker was away": 1}
