"""How tools speak to the services: over HTTP through the front door, as somebody; a refusal is a value."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import httpx

from deploy.launcher.errors import LaunchError
from shared.access import DEV_ACTOR_HEADER, Role

Answer: TypeAlias = dict[str, Any]

_SECONDS: Final = 30
_ABSENT: Final = frozenset({502, 503, 504})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A problem (RFC 9457) as a service told it; ``name`` is the last part of its type, ``field`` a JSON pointer."""

    status: int
    name: str
    title: str
    detail: str
    do: str
    field: str | None = None

    @property
    def is_absence(self) -> bool:
        """Nobody who could decide has answered; the same request may succeed a little later."""
        return self.status in _ABSENT

    def __str__(self) -> str:
        """One sentence, which ends with what to do."""
        where = f" ({self.field})" if self.field else ""
        told = self.title if self.detail.casefold() in {"", self.title.casefold()} else f"{self.title}: {self.detail}"
        return f"{told}{where}" + (f". What to do: {self.do}." if self.do else ".")


@dataclass(frozen=True, slots=True)
class Actor:
    """As whom a tool speaks, until there is a sign-in: a pseudonym, the unit, the role."""

    id: str
    role: Role
    unit: str | None = None

    @property
    def header(self) -> str:
        """The development header, which services believe from this machine only."""
        return f"id={self.id}; {f'unit={self.unit}; ' if self.unit else ''}roles={self.role.value}"


@dataclass(frozen=True, slots=True)
class Speaker:
    """Asks services at one address. Raises LaunchError when nothing answers there, or something else than we do."""

    client: httpx.AsyncClient
    url: str

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
        """A service's answer, or its refusal. ``key``: the command's id."""
        headers = {DEV_ACTOR_HEADER: who.header} | ({"Idempotency-Key": key} if key else {})
        try:
            response = await self.client.request(
                method, f"{self.url}{path}", headers=headers, json=body, params=query or {}
            )
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise LaunchError(f"{self.url!r} is no address: write it like http://127.0.0.1:8080.") from error
        except httpx.TimeoutException as error:
            raise LaunchError(
                f"{self.url} did not answer in time; whether {method} {path} had an effect is not known: look with "
                "`lienthong status`, then run this again."
            ) from error
        except httpx.TransportError as error:
            raise LaunchError(f"Nothing answers at {self.url}: start it with `lienthong up`.") from error
        return _read(response, self.url)

    async def must(
        self,
        who: Actor,
        method: str,
        path: str,
        *,
        body: object = None,
        key: str | None = None,
        query: Mapping[str, str | int] | None = None,
    ) -> Answer:
        """The same, where a refusal stands in the way: LaunchError with its sentence."""
        answer = await self.ask(who, method, path, body=body, key=key, query=query)
        if isinstance(answer, Refusal):
            raise LaunchError(_with_hint(answer))
        return answer


@asynccontextmanager
async def speaker(url: str, seconds: float = _SECONDS) -> AsyncIterator[Speaker]:
    """A speaker that waits so many seconds for each answer. No proxy of the environment stands in between."""
    async with httpx.AsyncClient(timeout=httpx.Timeout(seconds, connect=5), trust_env=False) as client:
        yield Speaker(client, url.rstrip("/"))


def _read(response: httpx.Response, url: str) -> Answer | Refusal:
    try:
        said = response.json()
    except ValueError:
        said = None
    if not isinstance(said, dict) or not (response.is_success or "type" in said):
        raise LaunchError(
            f"{url} answered {response.status_code}, but not as this product does: is it the address of its front door?"
        )
    if response.is_success:
        return said
    kind, title, detail, do = (str(said.get(part) or "") for part in ("type", "title", "detail", "do"))
    return Refusal(response.status_code, kind.rpartition("/")[2], title, detail, do, said.get("field"))


def _with_hint(refusal: Refusal) -> str:
    hint = " `lienthong status` shows what runs, `lienthong up` starts it." if refusal.is_absence else ""
    return f"{refusal}{hint}"
