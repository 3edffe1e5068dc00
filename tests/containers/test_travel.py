"""The flow tests, against containers: the same sentences, the same assertions."""

from __future__ import annotations

import pytest

from tests.flow.test_sample import test_the_sample_is_fed_once_however_often_it_is_fed
from tests.flow.test_travel import (
    test_a_dossier_goes_from_the_ward_to_the_town_and_back_and_every_store_sees_it,
    test_every_service_answers_health_and_describes_its_interface,
)

__all__ = [
    "test_a_dossier_goes_from_the_ward_to_the_town_and_back_and_every_store_sees_it",
    "test_every_service_answers_health_and_describes_its_interface",
    "test_the_sample_is_fed_once_however_often_it_is_fed",
]

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]
