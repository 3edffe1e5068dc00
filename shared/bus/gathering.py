"""Gathering: after a small batch a lane waits a while, so that what comes meanwhile is one batch (decision 0114).

A batch costs service, database and broker much the same for one event as for a hundred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka import ConsumerRecord

_BETWEEN_BATCHES: Final = 0.2
_LARGE: Final = 100
_LARGE_BYTES: Final = 262_144


async def gather(batch: Sequence[ConsumerRecord[bytes, bytes]], began: float) -> None:
    """Return when the next batch may begin: at once after a large one, because there is a backlog to be drained.

    ``began``: when the batch did (the loop's time). What comes after a quiet while waits for nothing.
    """
    if len(batch) < _LARGE and sum(len(one.value or b"") for one in batch) < _LARGE_BYTES:
        await asyncio.sleep(began + _BETWEEN_BATCHES - asyncio.get_running_loop().time())
