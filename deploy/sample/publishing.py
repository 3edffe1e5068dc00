"""Publishes the sample town by the front door: once, quickly, and never beside real data."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from zoneinfo import ZoneInfo

from deploy.launcher.errors import LaunchError
from deploy.sample.town import Town
from deploy.speaking import Actor, Answer, Refusal, Speaker
from shared.access import Role

ADMINISTRATOR: Final = Actor("mau-quan-tri", Role.ADMINISTRATOR)
_AT_ONCE: Final = 8
_CHUNK: Final = 200
_OURS: Final = "Mẫu:"
SAYS_SAMPLE: Final = "(mẫu)"
"""How the name of every unit of the sample ends."""

Until = Callable[[Callable[[], Awaitable[Answer | Refusal]], Collection[str], str], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class There:
    """What a store holds of units, officers, routes and procedures, by code."""

    units: frozenset[str]
    officers: frozenset[str]
    routes: frozenset[str]
    procedures: frozenset[str]


async def publish(services: Speaker, town: Town, until: Until) -> int:
    """Publish what of the town is not there yet; how much that was. What is there already stays as it is.

    Raises LaunchError where the store holds what is not the sample's, or its pages would not say that it is a sample.
    """
    there = await _look(services, town, until)
    # Two years ahead, so that the longest term of the sample ends on a day that the calendar knows.
    last_year = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year + 2
    units = {code: body for code, body in town.units.items() if code not in there.units}
    if units:
        for code, calendar in town.calendars(last_year).items():
            await _put(services, until, f"/routing/calendars/{code}", {"data": calendar})
    above = next(iter(town.units))
    if above in units:
        await _put(services, until, f"/routing/units/{above}", units.pop(above))
    await _together(_put(services, until, f"/routing/units/{code}", body) for code, body in units.items())
    officers = {ident: body for ident, body in town.officers.items() if ident not in there.officers}
    routes = {code: body for code, body in town.routes.items() if code not in there.routes}
    await _together(
        [
            *(_put(services, until, f"/routing/officers/{ident}", body) for ident, body in officers.items()),
            *(_put(services, until, f"/routing/routes/{code}", body) for code, body in routes.items()),
        ]
    )
    procedures = [one for one in town.procedures if one["code"] not in there.procedures]
    for begin in range(0, len(procedures), _CHUNK):
        body = {"procedures": procedures[begin : begin + _CHUNK]}
        await _put(services, until, "/intake/procedures", body)
    return len(units) + len(officers) + len(routes) + len(procedures)


async def _look(services: Speaker, town: Town, until: Until) -> There:
    """What is there, if the sample may go in beside it."""
    about = await _ask(services, until, "/intake/about")
    if not about["banner"]:
        raise LaunchError(
            "The sample is not loaded: the services would not say on their pages that it is one. Start them with "
            "BANNER_VI set (`lienthong up` does, unless LIENTHONG_SAMPLE=no)."
        )
    names = {one["code"]: one["name"] for one in (await _ask(services, until, "/routing/units"))["units"]}
    units = frozenset(names)
    procedures = await _procedures(services, until)
    if not names.get(next(iter(town.units)), "").endswith(SAYS_SAMPLE):
        live = await _ask(services, until, "/intake/counts")
        foreign = (
            f"the unit {min(units)}"
            if units
            else f"{live['live'] + live['replayed']} dossiers"
            if live["live"] or live["replayed"]
            else next((f"the procedure {code}" for code, source in procedures if not source.startswith(_OURS)), None)
        )
        if foreign is not None:
            raise LaunchError(
                f"The sample is not loaded: {foreign} is there already, which is not the sample's; it goes into an "
                "empty store only. Start this one with LIENTHONG_SAMPLE=no, or give the sample a LIENTHONG_VAR of its "
                "own."
            )
    officers = await _ask(services, until, "/routing/officers")
    routes = await _ask(services, until, "/routing/routes")
    return There(
        units,
        frozenset(one["id"] for one in officers["officers"]),
        frozenset(one["code"] for one in routes["routes"]),
        frozenset(code for code, _ in procedures),
    )


async def _procedures(services: Speaker, until: Until) -> list[tuple[str, str]]:
    """Code and source of every procedure that is there."""
    found: list[tuple[str, str]] = []
    while True:
        page = await _ask(services, until, "/intake/procedures", {"skip": len(found), "count": _CHUNK})
        found.extend((one["code"], one["source"]) for one in page["procedures"])
        if len(found) >= page["total"] or not page["procedures"]:
            return found


async def _ask(services: Speaker, until: Until, path: str, query: Mapping[str, int] | None = None) -> Answer:
    return await until(
        lambda: services.ask(ADMINISTRATOR, "GET", path, query=query), frozenset(), f"{path} to be answered"
    )


async def _put(services: Speaker, until: Until, path: str, body: dict[str, Any]) -> None:
    # A route that intake has not heard of yet is on its way.
    await until(
        lambda: services.ask(ADMINISTRATOR, "PUT", path, body=body),
        frozenset({"unknown-route"}),
        f"the sample's {path} to be published",
    )


async def _together(work: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Some at once, and no more: they share the services with everybody else."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(coroutine: Coroutine[Any, Any, None]) -> None:
        async with gate:
            await coroutine

    async with asyncio.TaskGroup() as group:
        for coroutine in work:
            group.create_task(one(coroutine))
