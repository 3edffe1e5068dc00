"""A day of a simulated town goes through the real river twice, each time in fresh stores, with one seed."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from typing import Any

import pytest

from deploy.launcher.layout import REPOSITORY
from tests.flow.river import ADMINISTRATOR, TOWN, WARD, River, flowing
from tests.layouts import TWICE

pytestmark = pytest.mark.timeout(900)

DAY = "2019-03-05"
SMALL = ("--day", DAY, "--volume", "6000", "--seed", "7")
ORIGIN = f"simulation.{DAY}.seed-7.volume-6000"


async def simulated(river: River, *options: str) -> dict[str, Any]:
    """`lienthong simulate`, to its end; the summary."""
    command = ("-m", "deploy.cli", "simulate", "--url", river.layout.url("door"), "--json", *options)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    text, errors = await process.communicate()
    assert process.returncode == 0, errors.decode()
    told: dict[str, Any] = json.loads(text)
    return told


async def appoint(river: River) -> None:
    """Three officers in each role at both units."""
    for unit in (TOWN, WARD):
        for role in ("desk", "officer", "specialist", "leader"):
            for number in range(3):
                place = f"/routing/officers/{role}-{unit[4:6]}-{number}"
                await river.put("routing", place, {"unit": unit, "roles": [role], "valid_from": "2015-01-01"})


async def counted(river: River) -> dict[str, Counter[tuple[Any, ...]]]:
    """What every store holds of it, without what is drawn anew: stream ids, printed numbers' order, instants of now."""
    queries = {
        "intake": "SELECT unit, procedure, channel, received, promise, status, late, supplements, code FROM dossier "
        "WHERE attributes ? 'simulated'",
        "routing": "SELECT kind, run, at, stage, unit, officer, seconds, reason FROM ledger",
        "notification": "SELECT template, count(*) FROM notice GROUP BY template",
        "reporting": "SELECT type, time, unit, stage, officer, late, origin, actor FROM timeline "
        "WHERE origin IS NOT NULL",
    }
    held = {}
    for service, query in queries.items():
        async with river.store(service) as store:
            held[service] = Counter(tuple(row.values()) for row in await store.fetch(query))
    return held


async def report(river: River) -> dict[str, Any]:
    """The figures of the day, as reporting gives them."""
    answer = await river.client.get(
        river.url("reporting", "/reporting/counts"),
        params={"from": DAY, "to": DAY, "origin": ORIGIN},
        headers=ADMINISTRATOR,
    )
    answer.raise_for_status()
    figures: dict[str, Any] = answer.json()
    del figures["as_known_on"]
    return figures


async def a_town_s_day() -> tuple[dict[str, Any], dict[str, Counter[tuple[Any, ...]]], dict[str, Any]]:
    """The day in fresh stores; then once more, which changes nothing; and what is open is live."""
    async with flowing(TWICE) as river:
        await river.seed()
        await appoint(river)

        summary = await simulated(river, *SMALL)
        held, figures = await counted(river), await report(river)
        again = await simulated(river, *SMALL)

        assert again["played"]["there_before"] == summary["figures"]["received"]
        assert await counted(river) == held
        await is_live(river, summary["figures"])
        return summary["figures"], held, figures


async def is_live(river: River, figures: dict[str, Any]) -> None:
    """What is open at the end of the day is in the picture of now, has no old timers, and nobody was told anything."""
    left = figures["open"] + figures["ready"]
    now = (await river.client.get(river.url("reporting", "/reporting/now"))).json()
    recount = (await river.client.get(river.url("reporting", "/reporting/recount"), headers=ADMINISTRATOR)).json()
    async with river.store("routing") as store:
        live = await store.fetchval("SELECT count(*) FROM journey WHERE origin IS NULL")
        overdue = await store.fetchval("SELECT count(*) FROM timer WHERE fires_at <= clock_timestamp()")
    async with river.store("notification") as store:
        notices = await store.fetchval("SELECT count(*) FROM notice")
        known = await store.fetchval("SELECT count(*) FROM dossier WHERE origin IS NULL")

    assert left > 0
    assert sum(now["totals"]["by_status"].values()) == left
    assert (live, known, overdue, notices) == (left, left, 0, 0)
    assert recount["agrees"]


async def test_one_seed_gives_one_day_in_every_store_and_what_is_open_at_its_end_is_live() -> None:
    first = await a_town_s_day()
    second = await a_town_s_day()

    figures, _, reported = first
    assert first == second
    assert reported["received"]["total"] == figures["received"]
    assert (reported["finished"]["total"], reported["finished"]["late"]) == (figures["finished"], figures["late"])
    assert reported["in_process"]["total"] + sum(reported["waiting"].values()) == figures["open"]
