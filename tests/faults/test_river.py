"""The river under faults: what it may lose, double or misorder is nothing, whatever is done to its processes.

The tier of every test run; `make faults` does the same with larger numbers, docs/faults.md says what it shows.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from typing import Final

import pytest

from tests.faults.campaign import Blow, struck
from tests.faults.ground import Ground
from tests.faults.ground import ground as prepared
from tests.layouts import FAULTS

_RATE: Final = 12.0
_SEED: Final = int(os.environ.get("FAULTS_SEED", "0")) or int.from_bytes(os.urandom(4))


@pytest.fixture(scope="module")
async def ground() -> AsyncIterator[Ground]:
    async with prepared(FAULTS, _SEED) as ours:
        yield ours


@pytest.mark.timeout(600)
async def test_a_process_that_dies_at_any_crash_point_loses_and_doubles_nothing(ground: Ground) -> None:
    verdict = await struck(ground, [Blow("crash_points", 5)], rate=_RATE)

    assert verdict.faults == []


@pytest.mark.timeout(600)
async def test_services_killed_by_chance_lose_and_double_nothing(ground: Ground) -> None:
    verdict = await struck(ground, [Blow("kills", 15)], rate=_RATE)

    assert verdict.faults == []


@pytest.mark.timeout(600)
async def test_without_a_broker_dossiers_come_in_and_nothing_is_lost(ground: Ground) -> None:
    verdict = await struck(ground, [Blow("outage", 15), Blow("postgres_kills", 1), Blow("terminations", 3)], rate=_RATE)

    assert verdict.faults == []


@pytest.mark.timeout(600)
async def test_what_arrives_doubled_disordered_and_forged_changes_nothing(ground: Ground) -> None:
    verdict = await struck(ground, [Blow("disorder", 20_000), Blow("forgery", 5_000)], rate=_RATE)

    assert verdict.faults == []
