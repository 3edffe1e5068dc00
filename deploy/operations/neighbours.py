"""The services and the receiver as the pages ask them: over HTTP, as the operator, each at its own address."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES
from deploy.speaking import Actor, Answer, Refusal, Speaker

_PARKED_SHOWN = 20
_LETTERS_SHOWN = 20


class Neighbour(Speaker):
    """A speaker for whom an address at which nobody answers is a refusal, not the end."""

    async def ask(
        self,
        who: Actor,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Answer | Refusal:
        """A service's answer, or its refusal; 503 when it cannot be reached or says something else than we do."""
        try:
            return await super().ask(who, method, path, body=body, key=key, query=query)
        except LaunchError as error:
            return Refusal(503, "away", "It does not answer", "", str(error))


@dataclass(frozen=True, slots=True)
class ServiceNow:
    """One of the four as it is now. ``figures`` is what it says of itself, None when it does not answer.

    ``reasons`` are the codes that stand against its readiness. ``parked`` begins with the oldest, ``letters`` with the
    newest.
    """

    name: str
    ready: bool
    reasons: tuple[str, ...]
    figures: Answer | None
    parked: tuple[Answer, ...]
    letters: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Now:
    """The whole picture: the four in the river's order, the receiver's shelves (None: away), its newest warnings."""

    services: tuple[ServiceNow, ...]
    receiver: Answer | None
    warnings: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Whom the pages can ask, by name."""

    client: httpx.AsyncClient
    addresses: Mapping[str, str]

    def of(self, name: str) -> Neighbour:
        """One of them."""
        return Neighbour(self.client, self.addresses[name])

    async def now(self, who: Actor) -> Now:
        """Ask all of them at once."""
        *services, receiver, lines = await asyncio.gather(
            *(self._service(who, name) for name in SERVICES),
            self.of("receiver").ask(who, "GET", "/telemetry/status"),
            self.of("receiver").ask(who, "GET", "/telemetry/logs", query={"level": "warning", "count": 15}),
        )
        return Now(
            tuple(one for one in services if isinstance(one, ServiceNow)),
            receiver if isinstance(receiver, dict) else None,
            tuple(lines["lines"]) if isinstance(lines, dict) else (),
        )

    async def _service(self, who: Actor, name: str) -> ServiceNow:
        asked = self.of(name)
        path = f"/{name}/operations"
        reasons, figures, parked, letters = await asyncio.gather(
            self._reasons(name),
            asked.ask(who, "GET", f"{path}/status"),
            asked.ask(who, "GET", f"{path}/parked", query={"count": _PARKED_SHOWN}),
            asked.ask(who, "GET", f"{path}/dead-letters", query={"count": _LETTERS_SHOWN}),
        )
        return ServiceNow(
            name,
            not reasons,
            reasons,
            None if isinstance(figures, Refusal) else figures,
            () if isinstance(parked, Refusal) else tuple(parked["parked"]),
            () if isinstance(letters, Refusal) else tuple(letters["dead_letters"]),
        )

    async def _reasons(self, name: str) -> tuple[str, ...]:
        """Why it is not ready, in its own codes; `away` when it does not answer."""
        try:
            answer = await self.client.get(f"{self.addresses[name]}/health/ready")
            said: Any = answer.json()
        except (httpx.HTTPError, ValueError):
            return ("away",)
        reasons = said.get("reasons") if isinstance(said, dict) else None
        if answer.is_success:
            return ()
        return tuple(map(str, reasons)) if isinstance(reasons, list) and reasons else ("not_ready",)
