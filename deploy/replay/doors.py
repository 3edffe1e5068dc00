"""Asking the front door with patience: what is temporary is asked again, what is refused is a value."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import httpx

from deploy.launcher.errors import LaunchError
from deploy.speaking import Actor, Refusal, Speaker
from shared.access import DEV_ACTOR_HEADER, Role

HISTORY: Final = Actor("replay", Role.HISTORY)
ADMINISTRATOR: Final = Actor("replay-setup", Role.ADMINISTRATOR)

_TEMPORARY: Final = frozenset({429, 502, 503, 504})
_FIRST_WAIT: Final = 0.2
_LONGEST_WAIT: Final = 10.0


class StoppedError(Exception):
    """The replay cannot go on. Its text is one or two sentences."""


@dataclass(slots=True)
class Patience:
    """How long nothing may go forward: a replay may take hours, but not stand for minutes. In seconds."""

    seconds: float = 60
    _since: float = field(default_factory=time.monotonic)

    def progress(self) -> None:
        """Something went forward."""
        self._since = time.monotonic()

    @property
    def is_spent(self) -> bool:
        return time.monotonic() - self._since > self.seconds

    def spend(self, what: str) -> None:
        """Raises StoppedError when nothing has gone forward for too long; `what` says what was waited for."""
        if self.is_spent:
            raise StoppedError(f"Nothing went forward for {self.seconds:.0f} s: {what}")


@dataclass(frozen=True, slots=True)
class Reply:
    """A successful answer. ``repeated``: it is the stored answer of a command that came before."""

    body: dict[str, Any]
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Doors:
    """The services behind one address. The client has it as its base."""

    client: httpx.AsyncClient
    patience: Patience

    async def greet(self) -> None:
        """Ask whether it is our front door. Raises StoppedError at once when not: there is nothing to wait for."""
        try:
            answer = await Speaker(self.client, str(self.client.base_url).rstrip("/")).ask(
                ADMINISTRATOR, "GET", "/intake/counts"
            )
        except LaunchError as error:
            raise StoppedError(str(error)) from error
        if isinstance(answer, Refusal) and not answer.is_absence:
            raise StoppedError(str(answer))

    async def ask(
        self, who: Actor, method: str, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> Reply | Refusal:
        """The answer; asked again while the service is away or busy (Retry-After is kept). Raises StoppedError.

        Every command has an id, so that one whose answer was lost is sent again without harm.
        """
        headers = {DEV_ACTOR_HEADER: who.header} | ({"Idempotency-Key": key} if key else {})
        wait = _FIRST_WAIT
        while True:
            asked_for: float | None = None
            try:
                answer = await self.client.request(method, path, json=body, headers=headers)
            except httpx.TransportError as error:
                told = f"{method} {path} broke off ({type(error).__name__})."
            else:
                if answer.status_code not in _TEMPORARY:
                    return _read(answer)
                told = str(refusal(answer.status_code, _body(answer)))
                asked_for = retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))
            self.patience.spend(told)
            await asyncio.sleep(wait if asked_for is None else min(asked_for, _LONGEST_WAIT))
            wait = min(wait * 2, _LONGEST_WAIT)

    async def must(
        self, who: Actor, method: str, path: str, body: Mapping[str, Any] | None = None, key: str | None = None
    ) -> dict[str, Any]:
        """The body of a successful answer. Raises StoppedError with what the service says otherwise."""
        answer = await self.ask(who, method, path, body, key)
        if isinstance(answer, Refusal):
            raise StoppedError(f"{method} {path} was refused. {answer}")
        return answer.body


def retry_after(header: str | None, now: datetime) -> float | None:
    """The seconds that a Retry-After asks for, as a number or as a date (RFC 9110 10.2.3); None when there is none."""
    if header is None:
        return None
    if header.isascii() and header.isdigit():
        return float(header)
    try:
        until = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp() - now.timestamp())


def refusal(status: int, problem: Mapping[str, Any]) -> Refusal:
    """A problem (RFC 9457) as a value; whatever else was answered becomes one too."""
    name = str(problem.get("type", "")).rpartition("/")[2]
    title, detail, do = (str(problem.get(part) or "") for part in ("title", "detail", "do"))
    return Refusal(status, name, title or f"Status {status}", detail, do, problem.get("field"))


def _read(answer: httpx.Response) -> Reply | Refusal:
    body = _body(answer)
    if answer.is_success:
        return Reply(body, repeated="Idempotent-Replayed" in answer.headers)
    return refusal(answer.status_code, body)


def _body(answer: httpx.Response) -> dict[str, Any]:
    try:
        body = answer.json()
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
