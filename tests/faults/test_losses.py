"""The river under losses: what Kafka forgets under hearers that lag comes back by itself, and nothing else does."""

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


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    """A river for each test: a verdict counts what was lost since the river began."""
    async with prepared(FAULTS, _SEED) as ours:
        yield ours


@pytest.mark.timeout(600)
async def test_what_topics_lose_under_lagging_hearers_comes_back_and_nothing_else(ground: Ground) -> None:
    blows = [Blow("losses", 3), Blow("last_lost", 1), Blow("control_lost", 1), Blow("restored_hearer", 1)]

    verdict = await struck(ground, blows, rate=_RATE)

    assert verdict.faults == []


@pytest.mark.timeout(600)
async def test_a_speaker_restored_from_an_older_copy_guesses_nothing_and_alarms_every_fork(ground: Ground) -> None:
    """Routing, of which forks are certain: what its officers do goes on at the same dossiers. Others: a release."""
    verdict = await struck(ground, [Blow("restored_routing", 1)], rate=_RATE)

    assert verdict.faults == []
