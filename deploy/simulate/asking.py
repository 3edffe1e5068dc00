"""Asking the services about the town, with a patience that says what it waits for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from deploy.launcher.layout import SERVICES
from deploy.replay.doors import Doors, Patience, Reply, StoppedError
from deploy.simulate.town import NotReady, Town, town_of
from deploy.speaking import Actor
from shared.access import Role
from shared.calendar import from_data

HISTORY: Final = Actor("simulation", Role.HISTORY)
ONLOOKER: Final = Actor("simulation-onlooker", Role.INSPECTOR)

_PAGE: Final = 200
_IS_WORTH_SAYING: Final = 3.0


@dataclass(slots=True)
class Waiting(Patience):
    """Patience that keeps what it is being spent on, so that somebody can be told. In seconds."""

    seconds: float = 1800
    told: str | None = None
    _silent_since: float = field(default_factory=time.monotonic)

    def progress(self) -> None:
        Patience.progress(self)
        self.told, self._silent_since = None, time.monotonic()

    def spend(self, what: str) -> None:
        self.told = what
        Patience.spend(self, what)

    @property
    def worth_saying(self) -> str | None:
        """What is waited for, once it has taken a few seconds."""
        return self.told if time.monotonic() - self._silent_since > _IS_WORTH_SAYING else None


async def the_town(doors: Doors, day: datetime) -> Town:
    """The town as routing and intake tell it. ``day``: of what is simulated. Raises StoppedError for one without staff.

    Officers of any time are taken, each with the days of the appointment.
    """
    await doors.greet()
    units = (await doors.must(ONLOOKER, "GET", "/routing/units"))["units"]
    of_the_town = [one for one in units if one["level"] != "replay"]
    officers = (await doors.must(ONLOOKER, "GET", "/routing/officers"))["officers"]
    routes = (await doors.must(ONLOOKER, "GET", "/routing/routes"))["routes"]
    calendars = {}
    for code in sorted({one["calendar"] for one in of_the_town}):
        told = await doors.must(ONLOOKER, "GET", f"/routing/calendars/{code}")
        calendars[code] = from_data({**told["data"], "code": code, "version": told["version"]})
        if not calendars[code].knows(day.date()):
            raise StoppedError(
                f"The calendar {code} knows no holidays of {day.year}: publish it with that year, then simulate."
            )
    town = town_of(of_the_town, officers, routes, await _procedures(doors), calendars)
    if isinstance(town, NotReady):
        raise StoppedError(town.sentence)
    doors.patience.progress()
    return town


async def _procedures(doors: Doors) -> list[Mapping[str, Any]]:
    found: list[Mapping[str, Any]] = []
    while True:
        path = f"/intake/procedures?count={_PAGE}&skip={len(found)}"
        page = (await doors.must(ONLOOKER, "GET", path))["procedures"]
        found.extend(page)
        if len(page) < _PAGE:
            return found


async def unheard(doors: Doors) -> dict[str, int]:
    """What is still on its way, by service: not sent yet, not heard yet, or parked. Empty when all has been heard.

    A service that does not answer counts as one that has something left to hear.
    """
    left = {}
    for service in SERVICES:
        answer = await doors.ask(ONLOOKER, "GET", f"/{service}/operations/status")
        if not isinstance(answer, Reply):
            raise StoppedError(f"{service} does not tell how far it is. {answer}")
        figures = answer.body
        count = figures["unsent"] + sum(figures["lag"].values()) + figures["parked"]["count"]
        if count:
            left[service] = count
    return left
