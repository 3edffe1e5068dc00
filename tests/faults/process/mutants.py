"""Mutants of a whole process: it lacks a guard for as long as it lives, so that a campaign can show what that is for.

What the tests of single guards show in one forced interleaving, these show to the harness itself: a checker that lets
one of them pass has seen nothing.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from typing import Any, Final

from services.intake import store as intake_store
from shared.outbox import relay
from shared.store import connect

_A_MOMENT: Final = 1.0
"""Seconds: longer than hearers gather what comes."""


def numbers_of_their_own() -> None:
    """Printed numbers come from a counter that commits by itself: whoever dies before his commit leaves a hole."""
    take = intake_store.take_numbers

    async def taken(_: Any, wanted: Mapping[tuple[str, date], int]) -> dict[tuple[str, date], int]:
        own = await connect(os.environ["DATABASE_URL_INTAKE"], name="mutant")
        try:
            return await take(own, wanted)
        finally:
            await own.close()

    module: Any = intake_store
    module.take_numbers = taken


def last_comes_first() -> None:
    """Of what it has read a relay sends to each partition the last first, and a moment later what comes before it."""
    send_all = relay._send_all

    async def sent(producer: Any, by_partition: Mapping[tuple[str, int], Sequence[Any]]) -> dict[Any, Any]:
        failed: dict[Any, Any] = await send_all(producer, {where: some[-1:] for where, some in by_partition.items()})
        await asyncio.sleep(_A_MOMENT)
        before = {where: some[:-1] for where, some in by_partition.items() if some[:-1]}
        return failed | await send_all(producer, before)

    module: Any = relay
    module._send_all = sent


MUTANTS: Final[dict[str, Callable[[], None]]] = {
    "numbers_of_their_own": numbers_of_their_own,
    "last_comes_first": last_comes_first,
}
