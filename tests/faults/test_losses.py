"""The river under losses: what Kafka forgets under hearers that lag comes back by itself, and nothing else does."""

from __future__ import annotations

import pytest

from tests.faults.campaign import Blow, struck_briefly
from tests.faults.ground import Ground

# The campaign gives up before: a limit that is a signal may be raised in a client whose errors nobody looks at.
pytestmark = pytest.mark.timeout(900)


async def test_what_topics_lose_under_lagging_hearers_comes_back_and_nothing_else(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("losses", 3))

    assert verdict.faults == []


async def test_a_last_event_the_topic_of_tallies_and_a_hearers_store_come_back_too(ground: Ground) -> None:
    verdict = await struck_briefly(ground, Blow("last_lost", 1), Blow("control_lost", 1), Blow("restored_hearer", 1))

    assert verdict.faults == []


async def test_a_speaker_restored_from_an_older_copy_guesses_nothing_and_alarms_every_fork(ground: Ground) -> None:
    """Routing, of which forks are certain: what its officers do goes on at the same dossiers. Others: a release."""
    verdict = await struck_briefly(ground, Blow("restored_routing", 1))

    assert verdict.faults == []
