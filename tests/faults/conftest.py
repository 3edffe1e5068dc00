"""Stores for the mutants, the same as the handlers'; and a river that faults are done to."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from tests.faults.ground import Ground
from tests.faults.ground import ground as prepared
from tests.handlers.conftest import intake, keys, made, register, routing
from tests.layouts import FAULTS

__all__ = ["ground", "intake", "keys", "made", "register", "routing"]


@pytest.fixture
async def ground() -> AsyncIterator[Ground]:
    """A river for each test: a verdict is over all that happened since the river began. FAULTS_SEED has one again."""
    async with prepared(FAULTS, int(os.environ.get("FAULTS_SEED", "0")) or int.from_bytes(os.urandom(4))) as ours:
        yield ours
