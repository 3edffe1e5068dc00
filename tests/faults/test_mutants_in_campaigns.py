"""Mutants are shown to the harness itself: a campaign on a real river, whose verdict must name what each breaks.

The product goes through the same in `test_river`, in larger numbers.
"""

from __future__ import annotations

from typing import Final

import pytest

from tests.faults.checker import Verdict, examine, gathered
from tests.faults.ground import Ground
from tests.processes import until

pytestmark = pytest.mark.timeout(600)

_RATE: Final = 5.0
_MOVED: Final = 10
"""Dossiers of which routing has said two things at once."""


def _broken(verdict: Verdict) -> set[str]:
    return {sentence for sentence, one in verdict.findings.items() if one is not None and one.broken}


async def test_a_campaign_finds_the_holes_of_a_counter_outside_the_transaction(ground: Ground) -> None:
    """Intake dies before a commit: the first that it comes to is that of a reception, for there is nothing else yet."""
    ground.mutate("intake", "numbers_of_their_own")
    await ground.river.running["intake"].stop()
    async with ground.loaded(_RATE, until_all_is_taken=False):
        for _ in range(3):
            ground.set_off("intake", CRASH_AT="before_commit:1")
            assert await ground.dies("intake")
        await ground.started("intake", "intake ready after SIGKILL")

    assert "printed numbers are 1..n at each desk on each day" in _broken(examine(await gathered(ground)))


async def test_a_campaign_finds_the_order_that_a_relay_has_inverted(ground: Ground) -> None:
    """What an officer does is mostly two events of one dossier, in one round of routing's relay."""
    ground.mutate("routing", "last_comes_first")
    await ground.restarted("routing")

    async def have_moved() -> bool:
        said = await ground.versions.said_by("routing")
        return sum(version > 2 for version in said.values()) >= _MOVED

    async with ground.loaded(_RATE, until_all_is_taken=False):
        await until(have_moved, "dossiers move", seconds=300)

    assert _broken(examine(await gathered(ground))) >= {
        "on a topic a version first comes after the one before it",
        "nothing was ever parked for a gap within one source",
    }
