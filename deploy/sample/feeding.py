"""Hands the sample in through the front door, like anybody else. Feeding twice changes nothing."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from deploy.launcher.errors import LaunchError
from deploy.sample.calendars import DESK_WEEK, OFFICE_WEEK, vietnam_calendar
from deploy.sample.story import TALES, Act, Bring, HandOut, Step, Tale, Withdraw
from deploy.speaking import Actor, Answer, Refusal, Speaker, speaker
from shared.access import Role
from shared.calendar import to_data
from shared.events import Channel

log = logging.getLogger(__name__)

_HERE: Final = Path(__file__).parent
_ADMINISTRATOR: Final = Actor("mau-quan-tri", Role.ADMINISTRATOR)
_PORTAL: Final = Actor("mau-cong-dvc", Role.PORTAL)
_ONLOOKER: Final = Actor("mau-thanh-tra", Role.INSPECTOR)
_CALENDARS: Final = {"hoang-mai-office": OFFICE_WEEK, "hoang-mai-desk": DESK_WEEK}
_FIRST_YEAR: Final = 2018
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.05

# What passes once the services have heard of each other; any other refusal is a fault, and not waited for.
_NOT_YET_RECEIVED: Final = frozenset({"unknown-unit", "no-calendar", "unknown-procedure"})
_NOT_YET_THERE: Final = frozenset({"unknown-dossier", "stale", "refused"})
_NOT_NOW: Final = frozenset({"not-now"})


async def feed(base_url: str) -> None:
    """Publish calendars, units and procedures of the sample, hand its dossiers in, and move some along.

    ``base_url`` is the front door's. Returns when every service that takes part has carried out what it was asked for.
    Raises LaunchError when something is refused, nothing answers, or a wait of 30 s ends in vain: it says for what.
    """
    async with speaker(base_url) as services:
        await _publish(services)
        for tale in TALES:
            await _tell(services, tale)
    log.info("sample_fed", extra={"dossiers": len(TALES)})


async def _publish(services: Speaker) -> None:
    # Two years ahead, so that the longest term of the sample ends on a day that the calendar knows.
    last_year = datetime.now(ZoneInfo("Asia/Ho_Chi_Minh")).year + 2
    for code, week in _CALENDARS.items():
        calendar = vietnam_calendar(code, first_year=_FIRST_YEAR, last_year=last_year, week=week)
        await _put(services, f"/routing/calendars/{code}", {"data": to_data(calendar)})
    given = _data("units.json")
    town = next(one["code"] for one in given["units"] if one["level"] == "town")
    for one in sorted(given["units"], key=lambda unit: unit["level"] != "town"):
        place = {"calendar": next(iter(_CALENDARS)), "valid_from": given["valid_from"]}
        parent = {} if one["code"] == town else {"parent": town}
        content = {name: value for name, value in one.items() if name != "code"}
        await _put(services, f"/routing/units/{one['code']}", {**content, **place, **parent})
    await _put(services, "/intake/procedures", {"procedures": _data("procedures.json")["procedures"]})


async def _put(services: Speaker, path: str, body: dict[str, Any]) -> None:
    await _until(
        lambda: services.ask(_ADMINISTRATOR, "PUT", path, body=body),
        frozenset(),
        f"the sample's {path} to be published",
    )


async def _tell(services: Speaker, tale: Tale) -> None:
    desk = Actor(f"mau-mot-cua-{tale.unit[4:6]}", Role.DESK, tale.unit)
    sender = _PORTAL if tale.channel is Channel.ONLINE else desk
    received = await _until(
        lambda: services.ask(sender, "POST", "/intake/dossiers", body=tale.body, key=f"{tale.name}-receive"),
        _NOT_YET_RECEIVED,
        f"intake to hear of the unit {tale.unit} and its calendar",
    )
    for number, step in enumerate(tale.steps, start=1):
        await _take(services, step, desk, received, f"{tale.name}-step-{number}")


async def _take(services: Speaker, step: Step, desk: Actor, received: Answer, key: str) -> None:
    door = f"/intake/dossiers/{received['code']}"
    match step:
        case Act(action):
            await _until(
                lambda: _act(services, str(received["id"]), dict(action), key),
                _NOT_YET_THERE,
                f"routing to carry out {action['kind']} for {received['code']}",
            )
        case Bring(components):
            await _until(
                lambda: services.ask(
                    desk, "POST", f"{door}/supplement", body={"components": list(components)}, key=key
                ),
                _NOT_NOW,
                f"intake to hear that papers are missing for {received['code']}",
            )
        case Withdraw():
            await _until(
                lambda: services.ask(desk, "POST", f"{door}/withdrawal", key=key),
                _NOT_NOW,
                f"intake to take back {received['code']}",
            )
        case HandOut(way):
            await _until(
                lambda: services.ask(desk, "POST", f"{door}/result", body={"way": way}, key=key),
                _NOT_NOW,
                f"intake to hear that the result of {received['code']} is ready",
            )


async def _act(services: Speaker, dossier: str, action: dict[str, Any], key: str) -> Answer | Refusal:
    """A command by somebody of the unit that holds the dossier, with the version that he sees there."""
    seen = await services.ask(_ONLOOKER, "GET", f"/routing/dossiers/{dossier}")
    if isinstance(seen, Refusal):
        return seen
    role = Role(seen["role"] or Role.DESK)
    holder = Actor(f"mau-{role.value}-{seen['unit'][4:6]}", role, seen["unit"])
    return await services.ask(
        holder,
        "POST",
        f"/routing/dossiers/{dossier}/commands",
        body={"seen": seen["version"], "action": action},
        key=key,
    )


async def _until(attempt: Callable[[], Awaitable[Answer | Refusal]], passing: Collection[str], what: str) -> Answer:
    """Try until it is done; a refusal that does not pass by waiting ends it at once."""
    until, said = time.monotonic() + _PATIENCE, False
    while True:
        answer = await attempt()
        if not isinstance(answer, Refusal):
            return answer
        if answer.name not in passing and not answer.is_absence:
            raise LaunchError(f"The sample cannot be handed in, waiting for {what}. {answer}")
        if time.monotonic() > until:
            raise LaunchError(
                f"The sample cannot be handed in: waited {_PATIENCE:.0f} s in vain for {what}. {answer} "
                "`lienthong status` shows whether somebody lags behind."
            )
        if not said:
            log.info("sample_waits", extra={"what": what})
            said = True
        await asyncio.sleep(_PAUSE)


def _data(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((_HERE / name).read_text(encoding="utf-8"))
    return content
