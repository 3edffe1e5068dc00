"""A simulation that is refused, broken off, run again, or has its clock set: on the real river, as it is typed."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from deploy.launcher.layout import REPOSITORY
from deploy.replay.doors import Doors
from deploy.simulate.asking import Waiting, the_town
from deploy.simulate.live import Lived, Living
from deploy.simulate.model import the_model
from tests.flow.river import River, flowing
from tests.flow.test_simulation import appoint, counted, simulated
from tests.layouts import TWICE
from tests.processes import until

pytestmark = pytest.mark.timeout(600)

HOUR = 3600.0


@pytest.fixture(scope="module")
async def unstaffed() -> AsyncIterator[River]:
    """A town with procedures and without officers."""
    async with flowing(TWICE) as river:
        await river.seed()
        yield river


@pytest.fixture(scope="module")
async def staffed(unstaffed: River) -> River:
    """The same once officers are appointed: asked for by the tests after the first."""
    await appoint(unstaffed)
    await unstaffed.settled()
    return unstaffed


async def started(river: River, *options: str) -> asyncio.subprocess.Process:
    """`lienthong simulate`, as it is typed."""
    command = ("-m", "deploy.cli", "simulate", "--url", river.layout.url("door"), *options)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )


async def ended(process: asyncio.subprocess.Process) -> tuple[int | None, str]:
    """Its exit code and all that it said."""
    said, errors = await asyncio.wait_for(process.communicate(), 60)
    return process.returncode, said.decode() + errors.decode()


async def received(river: River, *, live: bool) -> int:
    """How many dossiers intake holds that are live, or that a simulation of the past has handed in."""
    query = "SELECT count(*) FROM dossier WHERE coalesce(attributes ? 'simulated', false) <> $1"
    async with river.store("intake") as store:
        return int(await store.fetchval(query, live))


@pytest.mark.parametrize("options", [("--rate", "2/s"), ("--day", "2019-03-05")])
async def test_a_town_without_officers_is_refused_in_one_sentence(unstaffed: River, options: tuple[str, str]) -> None:
    code, said = await ended(await started(unstaffed, *options))

    assert code == 1
    assert "The town has no officers" in said
    assert "Traceback" not in said
    assert await received(unstaffed, live=True) + await received(unstaffed, live=False) == 0


async def test_ctrl_c_ends_a_live_run_in_order_and_the_next_takes_over_what_is_open(staffed: River) -> None:
    before = await received(staffed, live=True)
    process = await started(staffed, "--rate", "4/s")
    await until(lambda: _more(staffed, before + 5, live=True), "some dossiers have come", seconds=60)

    process.send_signal(signal.SIGINT)
    code, said = await ended(process)
    await staffed.settled()

    told = re.findall(r"([\d,]+) came", said)
    assert code == 0, said
    assert said.rstrip().endswith("Run it again to go on with what is open.")
    assert "Traceback" not in said
    assert int(told[-1].replace(",", "")) == await received(staffed, live=True) - before
    async with staffed.store("routing") as store:
        left = [row["dossier"] for row in await store.fetch("SELECT dossier FROM journey")]
    assert len(left) == await received(staffed, live=True)
    again = await started(staffed, "--rate", "20/s", "--seed", "2")
    await until(lambda: _handed_over(staffed, left), "the next run works on what the first left open", seconds=90)
    again.send_signal(signal.SIGINT)
    code, said = await ended(again)
    assert code == 0, said


async def test_ctrl_c_ends_a_live_run_whose_door_does_not_answer_any_more(staffed: River) -> None:
    before = await received(staffed, live=True)
    process = await started(staffed, "--rate", "4/s")
    await until(lambda: _more(staffed, before + 2, live=True), "some dossiers have come", seconds=60)
    await staffed.kill("door")

    process.send_signal(signal.SIGINT)
    code, said = await ended(process)
    await staffed.start("door")

    assert code == 0, said
    assert said.rstrip().endswith("Run it again to go on with what is open.")


async def test_ctrl_c_in_a_run_of_history_leaves_whole_dossiers_and_the_same_again_doubles_nothing(
    staffed: River,
) -> None:
    options = ("--day", "2019-03-06", "--volume", "60000", "--seed", "3")
    process = await started(staffed, *options)
    await until(lambda: _more(staffed, 1, live=False), "the first have been handed in", seconds=90)

    process.send_signal(signal.SIGINT)
    code, said = await ended(process)
    begun = await received(staffed, live=False)
    whole = await simulated(staffed, *options)
    held = await counted(staffed)
    again = await simulated(staffed, *options)

    assert code == 130, said
    assert "Interrupted." in said
    assert "Traceback" not in said
    assert whole["played"]["there_before"] >= begun > 0
    assert await received(staffed, live=False) == whole["figures"]["received"]
    assert again["played"]["there_before"] == whole["figures"]["received"]
    assert await counted(staffed) == held


async def test_the_month_that_is_not_over_is_played_up_to_midnight_and_again_changes_nothing(staffed: River) -> None:
    month = f"{datetime.now(UTC) - timedelta(days=1):%Y-%m}"
    options = ("--month", month, "--volume", "1500", "--seed", "4")

    first = await simulated(staffed, *options)
    held = await counted(staffed)
    again = await simulated(staffed, *options)

    assert first["figures"]["received"] > 0
    assert again["played"]["there_before"] == first["figures"]["received"]
    assert again["figures"] == first["figures"]
    assert await counted(staffed) == held


async def test_a_clock_that_is_set_back_during_a_run_is_told_and_changes_nothing(staffed: River) -> None:
    lived, before = Lived(), await received(staffed, live=True)

    def wall() -> float:
        """This machine's clock, set back by an hour once three dossiers have come."""
        return time.time() - (HOUR if lived.received >= 3 else 0.0)

    async with httpx.AsyncClient(base_url=staffed.layout.url("door"), timeout=60) as client:
        doors = Doors(client, Waiting())
        town = await the_town(doors, datetime.now(UTC))
        await Living(doors, town, the_model(), 5, 3.0, 6.0, lived, wall=wall).all()
    await staffed.settled()

    assert [round(step / HOUR) for step in lived.clock_steps] == [-1]
    assert lived.received > 3
    assert await received(staffed, live=True) == before + lived.received


async def _handed_over(river: River, dossiers: list[str]) -> bool:
    query = "SELECT count(*) FROM journal WHERE aggregateid = ANY($1) AND type = 'HandedOver'"
    async with river.store("routing") as store:
        return bool(await store.fetchval(query, dossiers))


async def _more(river: River, count: int, *, live: bool) -> bool:
    return await received(river, live=live) >= count
