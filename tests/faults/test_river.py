"""The river under faults: what it may lose, double or misorder is nothing, whatever is done to its processes.

The tier of every test run; `make faults` does the same with larger numbers, docs/faults.md says what it shows.
"""

from __future__ import annotations

import pytest

from tests.faults.campaign import Blow, struck_briefly
from tests.faults.ground import Ground

# The campaign gives up before: a limit that is a signal may be raised in a client whose errors nobody looks at.
pytestmark = pytest.mark.timeout(900)


async def test_a_process_that_dies_at_any_crash_point_loses_and_doubles_nothing(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("crash_points", 5))

    assert verdict.faults == []


async def test_services_killed_by_chance_lose_and_double_nothing(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("kills", 15))

    assert verdict.faults == []


async def test_without_a_broker_dossiers_come_in_and_nothing_is_lost(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("outage", 15), Blow("postgres_kills", 1), Blow("terminations", 3))

    assert verdict.faults == []


async def test_what_arrives_doubled_disordered_and_forged_changes_nothing(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("disorder", 20_000), Blow("forgery", 5_000))

    assert verdict.faults == []
