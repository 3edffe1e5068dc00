"""A client at the services' doors: asks, writes down, and asks again under the same id until it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from tests.faults.history import Asked, History, Operation, Outcome
from tests.flow.river import ADMINISTRATOR, WARD, WARD_DESK, River

_SHORTEST_WAIT: Final = 0.1
_LONGEST_WAIT: Final = 4.0
_TIMEOUT: Final = 10.0
_EVERY_ROLE: Final = "desk,officer,specialist,leader"
_PATHS: Final = {
    "submit": "/intake/dossiers",
    "bring_supplement": "/intake/dossiers/{dossier}/supplement",
    "withdraw": "/intake/dossiers/{dossier}/withdrawal",
    "collect_result": "/intake/dossiers/{dossier}/result",
    "erase": "/intake/dossiers/{dossier}/erasure",
}


@dataclass(slots=True)
class Doors:
    """Commands to intake and routing, each operation in the history before and after."""

    river: River
    history: History
    client: httpx.AsyncClient = field(
        default_factory=lambda: httpx.AsyncClient(timeout=_TIMEOUT, limits=httpx.Limits(max_connections=256))
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

    async def look(self, dossier: str) -> dict[str, Any] | None:
        """Where routing has a dossier; None when it does not know it yet, or cannot say."""
        return await self._seen(self.river.url("routing", f"/routing/dossiers/{dossier}"), ADMINISTRATOR)

    async def look_up(self, dossier: str) -> dict[str, Any] | None:
        """What intake tells of a dossier; None when it cannot say, or knows none."""
        return await self._seen(self.river.url("intake", f"/intake/dossiers/{dossier}"), WARD_DESK)

    async def _seen(self, url: str, who: Mapping[str, str]) -> dict[str, Any] | None:
        try:
            found = await self.client.get(url, headers=who)
        except httpx.TransportError:
            return None
        told: dict[str, Any] | None = found.json() if found.status_code == 200 else None
        return told

    async def _sent(self, asked: Asked, unit: str) -> tuple[Outcome, int | None, dict[str, Any], str]:
        path = _PATHS.get(asked.kind, "/routing/dossiers/{dossier}/commands").format(dossier=asked.dossier)
        actor = {"X-Dev-Actor": f"id={asked.actor}; unit={unit}; roles={_EVERY_ROLE}"}
        try:
            answer = await self.client.post(
                self.river.url(asked.service, path),
                json=asked.body,
                headers={**actor, "Idempotency-Key": asked.key},
            )
        except httpx.TransportError:
            return Outcome.INFO, None, {}, ""
        media_type = answer.headers.get("content-type", "").partition(";")[0]
        if answer.status_code >= 500:
            return Outcome.INFO, answer.status_code, {}, media_type
        said: dict[str, Any] = answer.json()
        return (Outcome.OK if answer.is_success else Outcome.FAIL), answer.status_code, said, media_type
