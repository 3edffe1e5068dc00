"""A campaign: strikes one after the other on a river under load, and the checker's verdict over all of it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from tests.bench.machine import described as machine
from tests.faults.checker import Verdict, examine, gathered
from tests.faults.ground import Ground, described
from tests.faults.needs import Needs
from tests.faults.strikes import strikes


@dataclass(frozen=True, slots=True)
class Blow:
    """A strike by its name, and how many times or for how many seconds."""

    strike: str
    times: int


def needed(blows: Sequence[Blow]) -> Needs:
    """What these blows need of the ground."""
    known = strikes()
    return Needs.of_all(known[one.strike].needs for one in blows)


async def struck(ground: Ground, blows: Sequence[Blow], *, rate: float) -> Verdict:
    """Strike while clients come, wait until all is quiet, and look into all that happened since the river began."""
    known = strikes()
    ground.failed = True  # until the checker has said that it has not
    async with ground.loaded(rate):
        for one in blows:
            await known[one.strike].do(ground, one.times)
    verdict = examine(await gathered(ground))
    ground.failed = bool(verdict.faults)
    sys.stdout.write("\n".join(report(ground, blows, verdict)) + "\n")
    return verdict


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
