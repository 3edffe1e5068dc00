"""Waiting for a river: until it is quiet, until what was lost is heard, until its relays have carried what there was.

Every wait lasts as long as something moves (docs/decisions/0088).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from deploy.launcher.layout import SERVICES
from tests.faults.ground.tally import Tally
from tests.faults.ground.versions import HEARERS, Versions
from tests.flow.river import River

FORGERS: Final = "forged-"
"""How subjects begin of which no service ever speaks."""

_STUCK: Final = 300.0
"""Seconds in which nothing moves at all: then it is waited for in vain. A machine that is busy takes its time, and a
notice whose sender was killed over it five times is kept for more than three minutes."""

_OLDEST_POINTER: Final = "SELECT coalesce(min(id), 0) FROM outbox"
_NEWEST_POINTER: Final = "SELECT coalesce(max(id), 0) FROM outbox"
_UNSENT_BEFORE: Final = "SELECT count(*) FROM outbox WHERE id <= $1"
_PARKED: Final = "SELECT count(*) FROM parked WHERE NOT starts_with(subject, $1)"


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of one river; how long each took goes into the tally."""

    river: River
    tally: Tally
    versions: Versions

    async def quiet(self) -> None:
        """Wait until nothing is unsent, unheard, parked or on its way to a citizen; what was forged does not count."""
        calm, reasons = 0, ["not looked at yet"]

        async def twice() -> bool:
            nonlocal calm, reasons
            reasons = await self._unquiet()
            calm = 0 if reasons else calm + 1
            return calm > 1

        began = time.monotonic()
        try:
            await while_it_moves(twice, lambda: tuple(reasons), "the river is quiet")
        except AssertionError as error:
            raise AssertionError(f"{error}: {', '.join(reasons)}") from None
        self.tally.took("drained", time.monotonic() - began)

    async def healed(self) -> None:
        """Wait until all that had been said and sent when this was called is heard, whatever was lost of it."""
        sent = {source: await self.versions.sent_by(source) for source in HEARERS}
        contacts = await self.versions.contacts_said()
        began, missing = time.monotonic(), 0

        async def is_heard() -> bool:
            nonlocal missing
            kept = await self.versions.contacts_kept()
            missing = sum(kept.get(one, 0) < version for one, version in contacts.items())
            for source, hearers in HEARERS.items():
                for hearer in hearers:
                    heard = await self.versions.heard_by(hearer, source)
                    missing += sum(heard.get(one, 0) < version for one, version in sent[source].items())
            return not missing

        await while_it_moves(is_heard, lambda: missing, "what was lost is heard")
        self.tally.took("healed", time.monotonic() - began)

    async def carried(self) -> None:
        """Wait until the relays have carried what is in the outboxes now; what clients say meanwhile comes and goes."""
        lowest: list[int] = []

        async def is_carried() -> bool:
            lowest.clear()
            waiting = 0
            for service in SERVICES:
                async with self.river.store(service) as store:
                    lowest.append(await store.fetchval(_OLDEST_POINTER))
                    waiting += await store.fetchval(_UNSENT_BEFORE, before[service])
            return not waiting

        before: dict[str, int] = {}
        for service in SERVICES:
            async with self.river.store(service) as store:
                before[service] = await store.fetchval(_NEWEST_POINTER)
        await while_it_moves(is_carried, lambda: tuple(lowest), "the relays have carried what was waiting")

    async def _unquiet(self) -> list[str]:
        reasons = [one for one in await self.river.unsettled() if " parked " not in one]
        for service in SERVICES:
            async with self.river.store(service) as store:
                parked = await store.fetchval(_PARKED, FORGERS)
            if parked and not self.tally.undone:
                reasons.append(f"{service} parked {parked}")
        for service in SERVICES:
            figures = (await self.river.status(service)).get("tally", {})
            if not figures.get("compared"):
                reasons.append(f"{service} has not compared yet")
            elif figures["lacking"] > figures["unhealed"]:  # it may have heard them since; the next look will tell
                reasons.append(f"{service} lacked {figures['lacking']} streams when it compared last")
        if not self.tally.undone:
            for (source, hearer), missing in (await self.versions.missing()).items():
                reasons.append(f"{hearer} has not heard {missing} that {source} said")
        return reasons + [f"nobody is told that {source} was restored" for source in await self._unalarmed()]

    async def _unalarmed(self) -> list[str]:
        """Speakers that were restored and have not said yet that hearers are ahead of them."""
        found = []
        for source in self.tally.undone:
            sent = await self.versions.sent_by(source)
            hearers = [each for each in HEARERS[source] if each not in self.tally.undone]
            heard = [await self.versions.heard_by(each, source) for each in hearers]
            is_ahead = any(version > sent.get(one, 0) for some in heard for one, version in some.items())
            if is_ahead and b"hearer_ahead" not in self.river.layout.log(source).read_bytes():
                found.append(source)
        return found


async def while_it_moves(
    holds: Callable[[], bool | Awaitable[bool]], moves: Callable[[], object], what: str, *, stuck: float = _STUCK
) -> None:
    """Ask again and again until it holds; fail when what ``moves`` shows has been the same for so many seconds."""
    loop = asyncio.get_running_loop()
    seen, since = moves(), loop.time()
    while True:
        answer = holds()
        if await answer if isinstance(answer, Awaitable) else answer:
            return
        if (now := moves()) != seen:
            seen, since = now, loop.time()
        if loop.time() - since > stuck:
            raise AssertionError(f"nothing moves for {stuck:.0f} s, waited for: {what} ({seen})")
        await asyncio.sleep(0.05)
