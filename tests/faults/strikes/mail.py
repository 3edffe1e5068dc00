"""The mail provider: gone, or taking a connection and never answering."""

from __future__ import annotations

import asyncio
from typing import Final

from tests.faults.ground import Ground
from tests.faults.strikes import Strike


async def kill(ground: Ground, seconds: int) -> None:
    """No provider for so many seconds: hearing goes on, notices wait."""
    await ground.river.kill("mail")
    ground.tally.done["mail ended"] += 1
    await asyncio.sleep(seconds)
    await ground.river.start("mail")


async def suspend(ground: Ground, seconds: int) -> None:
    """A provider that takes connections and answers nothing, for so many seconds."""
    ground.river.running["mail"].suspend()
    ground.tally.done["mail ended"] += 1
    await asyncio.sleep(seconds)
    ground.river.running["mail"].resume()


STRIKES: Final = (
    Strike("no_mail", "the mail provider is gone for so many seconds", kill),
    Strike("silent_mail", "the mail provider answers nothing for so many seconds", suspend),
)
