"""Mischief: a process that goes on living and does what the network might do to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from shared.outbox import relay

_GATHERS: Final = 0.4
"""Seconds for which a relay waits so that several versions of a subject lie in one round."""


def disorder(times: int) -> None:
    """What a round of the relay sends arrives ``times`` times, in any order: later versions before earlier ones."""
    chance = Random(times)
    send_all = relay._send_all

    async def sent(producer: Any, by_partition: Mapping[tuple[str, int], Sequence[Any]]) -> Any:
        disordered = {}
        for where, records in by_partition.items():
            copies = [record for record in records for _ in range(times)]
            chance.shuffle(copies)
            disordered[where] = copies
        failed = await send_all(producer, disordered)
        await asyncio.sleep(_GATHERS)
        return failed

    module: Any = relay
    module._send_all = sent


MISCHIEF: Final[dict[str, Callable[[int], None]]] = {"disorder": disorder}
