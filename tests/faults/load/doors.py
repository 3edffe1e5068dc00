"""A client at the services' doors: asks, writes down, and asks again under the same id until it is told."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.faults.history import Asked, History, Operation, Outcome
from tests.flow.river import ADMINISTRATOR, WARD, WARD_DESK, River

_SHORTEST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 4.0
_TIMEOUT: Final = httpx.Timeout(10.0, pool=1.0)
_CONNECTIONS: Final = 512
"""More than ask at once where a service takes connections for half a minute and answers nothing. Whoever finds none
free within a second waits for other clients: that is counted."""

NO_CONNECTION: Final = "no connection was free"

_EVERY_ROLE: Final = "desk,officer,specialist,leader"
_PATHS: Final = {
    "submit": "/intake/dossiers",
    "bring_supplement": "/intake/dossiers/{dossier}/supplement",
    "withdraw": "/intake/dossiers/{dossier}/withdrawal",
    "collect_result": "/intake/dossiers/{dossier}/result",
    "erase": "/intake/dossiers/{dossier}/erasure",
}


@dataclass(frozen=True, slots=True)
class Look:
    """What somebody who only looks is shown; ``status`` is None where nobody answers."""

    status: int | None
    shown: dict[str, Any] | None = None

    @property
    def is_told(self) -> bool:
        """Whether somebody could say, be it that there is no such thing."""
        return self.status is not None and self.status < 500


@dataclass(slots=True)
class Doors:
    """Commands to intake and routing, each operation in the history before and after.

    ``met``: what looks were answered with, by status, and how often no connection was free.
    """

    river: River
    history: History
    met: Counter[str] = field(default_factory=Counter)
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=_TIMEOUT, limits=httpx.Limits(max_connections=_CONNECTIONS))
    )

    async def told(self, asked: Asked, unit: str = WARD) -> Operation:
        """Ask until there is an answer, be it a refusal: what a careful client does."""
        wait = _SHORTEST_WAIT
        while True:
            operation = await self.once(asked, unit)
            if operation.outcome is not Outcome.INFO:
                return operation
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)

    async def once(self, asked: Asked, unit: str = WARD) -> Operation:
        """Ask once."""
        number = await self.history.invoke(asked)
        outcome, status, answer, media_type = await self._sent(asked, unit)
        await self.history.returned(number, outcome, status, answer)
        return Operation(number, asked, outcome, status, answer, media_type=media_type)

    async def look(self, dossier: str) -> Look:
        """Where routing has a dossier, asked once."""
        return await self._seen(self.river.url("routing", f"/routing/dossiers/{dossier}"), ADMINISTRATOR)

    async def shown(self, dossier: str) -> Look:
        """The same, asked until somebody can say."""
        return await self._until_told(self.river.url("routing", f"/routing/dossiers/{dossier}"), ADMINISTRATOR)

    async def looked_up(self, dossier: str) -> Look:
        """What intake tells of a dossier, asked until somebody can say."""
        return await self._until_told(self.river.url("intake", f"/intake/dossiers/{dossier}"), WARD_DESK)

    async def _until_told(self, url: str, who: Mapping[str, str]) -> Look:
        wait = _SHORTEST_WAIT
        while not (look := await self._seen(url, who)).is_told:
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
        return look

    async def _seen(self, url: str, who: Mapping[str, str]) -> Look:
        try:
            found = await self.client.get(url, headers=who)
        except httpx.TransportError as error:
            self.met[NO_CONNECTION if isinstance(error, httpx.PoolTimeout) else "no answer"] += 1
            return Look(None)
        self.met[str(found.status_code)] += 1
        return Look(found.status_code, found.json() if found.status_code == 200 else None)

    async def _sent(self, asked: Asked, unit: str) -> tuple[Outcome, int | None, dict[str, Any], str]:
        path = _PATHS.get(asked.kind, "/routing/dossiers/{dossier}/commands").format(dossier=asked.dossier)
        actor = {"X-Dev-Actor": f"id={asked.actor}; unit={unit}; roles={_EVERY_ROLE}"}
        try:
            answer = await self.client.post(
                self.river.url(asked.service, path),
                json=asked.body,
                headers={**actor, "Idempotency-Key": asked.key},
            )
        except httpx.TransportError as error:
            self.met[NO_CONNECTION] += isinstance(error, httpx.PoolTimeout)
            return Outcome.INFO, None, {}, ""
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code >= 500:
            return Outcome.INFO, answer.status_code, {}, media_type
        said: dict[str, Any] = answer.json()
        return (Outcome.OK if answer.is_success else Outcome.FAIL), answer.status_code, said, media_type
