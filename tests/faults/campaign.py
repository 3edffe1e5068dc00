"""A campaign: strikes one after the other on a river under load, and the checker's verdict over all of it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from tests.bench.machine import described as machine
from tests.faults.checker import Verdict, examine, gathered
from tests.faults.ground import Ground, described
from tests.faults.needs import Needs
from tests.faults.strikes import strikes

_BRIEFLY: Final = 5.0
"""Clients a second in the tests: what a slow machine still follows while processes end and start."""

_BRIEFLY_WITHIN: Final = 600.0
"""Seconds; a campaign of the tests takes one to three minutes."""


@dataclass(frozen=True, slots=True)
class Blow:
    """A strike by its name, and how many times or for how many seconds."""

    strike: str
    times: int


def needed(blows: Sequence[Blow]) -> Needs:
    """What these blows need of the ground."""
    known = strikes()
    return Needs.of_all(known[one.strike].needs for one in blows)


async def struck(ground: Ground, blows: Sequence[Blow], *, rate: float, within: float | None = None) -> Verdict:
    """Strike while clients come, wait until all is quiet, and look into all that happened since the river began.

    ``within``: seconds after which it is given up, with an AssertionError that tells what was being done; None: never.
    """
    known = strikes()
    ground.failed = True  # until the checker has said that it has not
    now = "clients begin to come"
    async with _given_up(within, lambda: f"{now}; seed {ground.seed}; {described(ground.tally)}"):
        async with ground.loaded(rate):
            for one in blows:
                now = f"{one.strike} × {one.times}"
                await known[one.strike].do(ground, one.times)
            now = "everybody is told"
        now = "the checker looks"
        verdict = examine(await gathered(ground))
    ground.failed = bool(verdict.faults)
    sys.stdout.write("\n".join(report(ground, blows, verdict)) + "\n")
    return verdict


async def struck_briefly(ground: Ground, *blows: Blow) -> Verdict:
    """A campaign as the tests run it: at a rate that a slow machine follows, and given up where it never ends."""
    return await struck(ground, blows, rate=_BRIEFLY, within=_BRIEFLY_WITHIN)


@asynccontextmanager
async def _given_up(within: float | None, doing: Callable[[], str]) -> AsyncIterator[None]:
    """A limit that everything inside is told of as asyncio tells it, so that it ends in good order.

    A signal would be raised in whatever runs when it comes, be it a client whose errors nobody looks at.
    """
    try:
        async with asyncio.timeout(within):
            yield
    except TimeoutError:
        raise AssertionError(f"not over after {within:.0f} s: {doing()}") from None


def report(ground: Ground, blows: Sequence[Blow], verdict: Verdict) -> list[str]:
    """What was done, on what machine, and what came of it."""
    told = [
        "",
        f"{', '.join(f'{one.strike} × {one.times}' for one in blows) or 'a calm river'}; seed {ground.seed}",
        f"  {machine()}",
        *(f"  {what}: {figure}" for what, figure in described(ground.tally).items()),
        *verdict.lines(),
    ]
    if verdict.faults:
        told += [f"FAILED; the history is kept in {ground.history.path.name} (seed {ground.seed})", *verdict.faults]
    return told
