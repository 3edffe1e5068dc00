"""Hands the sample in through the front door, like anybody else. Feeding twice changes nothing."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final

from deploy.launcher.errors import LaunchError
from deploy.sample.publishing import publish
from deploy.sample.story import TALES, Act, Bring, HandOut, Step, Tale, Withdraw
from deploy.sample.town import DIGITS, Town
from deploy.speaking import Actor, Answer, Refusal, Speaker, speaker
from shared.access import Role
from shared.events import Channel

log = logging.getLogger(__name__)

_PORTAL: Final = Actor("mau-cong-dvc", Role.PORTAL)
_ONLOOKER: Final = Actor("mau-thanh-tra", Role.INSPECTOR)
_PATIENCE: Final = 30.0
_PAUSE: Final = 0.05

# What passes once the services have heard of each other; any other refusal is a fault, and not waited for.
_NOT_YET_RECEIVED: Final = frozenset({"unknown-unit", "no-calendar", "unknown-procedure"})
_NOT_YET_THERE: Final = frozenset({"unknown-dossier", "stale", "refused"})
_NOT_NOW: Final = frozenset({"not-now"})


async def feed(base_url: str, digits: str = DIGITS) -> int:
    """Publish the sample town, hand its dossiers in, and move some along; how much was published that was not there.

    ``base_url`` is the front door's, ``digits`` those of the town in every unit code. Returns when every service that
    takes part has carried out what it was asked for. Raises LaunchError when the sample may not go in here, something
    is refused, nothing answers, or a wait of 30 s ends in vain: it says which.
    """
    town = Town(digits)
    async with speaker(base_url) as services:
        published = await publish(services, town, _until)
        for tale in TALES:
            await _tell(services, town, tale)
    log.info("sample_fed", extra={"published": published, "dossiers": len(TALES)})
    return published


async def _tell(services: Speaker, town: Town, tale: Tale) -> None:
    unit = town.code(tale.unit)
    desk = Actor(town.officer(unit, "desk"), Role.DESK, unit)
    sender = _PORTAL if tale.channel is Channel.ONLINE else desk
    received = await _until(
        lambda: services.ask(
            sender, "POST", "/intake/dossiers", body={**tale.body, "unit": unit}, key=f"{tale.name}-receive"
        ),
        _NOT_YET_RECEIVED,
        f"intake to hear of the unit {unit} and its calendar",
    )
    for number, step in enumerate(tale.steps, start=1):
        await _take(services, town, step, desk, received, f"{tale.name}-step-{number}")


async def _take(services: Speaker, town: Town, step: Step, desk: Actor, received: Answer, key: str) -> None:
    door = f"/intake/dossiers/{received['code']}"
    match step:
        case Act(action):
            await _until(
                lambda: _act(services, town, str(received["id"]), dict(action), key),
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


async def _act(services: Speaker, town: Town, dossier: str, action: dict[str, Any], key: str) -> Answer | Refusal:
    """A command by somebody of the unit that holds the dossier, with the version that he sees there."""
    seen = await services.ask(_ONLOOKER, "GET", f"/routing/dossiers/{dossier}")
    if isinstance(seen, Refusal):
        return seen
    role = Role(seen["role"] or Role.DESK)  # nobody sits at a posting: a step before it is being repeated
    holder = Actor(town.officer(seen["unit"], role.value), role, seen["unit"])
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
