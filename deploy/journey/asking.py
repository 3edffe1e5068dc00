"""Asking for a journey over HTTP: intake for the stream id of a printed code, the receiver for the spans."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias
from urllib.parse import quote

from deploy.journey.walks import Walk, walk_of
from deploy.launcher.errors import LaunchError
from deploy.speaking import Actor, Refusal, Speaker

_STREAM: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
_TRACE: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Unknown:
    """No dossier has this code."""

    given: str


@dataclass(frozen=True, slots=True)
class NoSpans:
    """Nothing is kept of it: too old, not recorded, or not yet arrived."""

    what: str


@dataclass(frozen=True, slots=True)
class Away:
    """Who was to be asked does not answer: `intake` or `receiver`."""

    who: str


@dataclass(frozen=True, slots=True)
class Journey:
    """A stream's commands, oldest first. ``reads`` counts the looks at it that are kept, too, and not shown."""

    stream: str
    walks: tuple[Walk, ...]
    reads: int


Nothing: TypeAlias = Unknown | NoSpans | Away


def is_trace(given: str) -> bool:
    """Whether it is written as a trace's id is."""
    return _TRACE.fullmatch(given) is not None


async def stream_of(intake: Speaker, who: Actor, given: str) -> str | Unknown | Away:
    """The stream id of a dossier by its printed code; a stream id is its own. Raises LaunchError when refused."""
    if _STREAM.fullmatch(given.lower()):
        return given.lower()
    if not _CODE.fullmatch(given):
        return Unknown(given)
    answer = await intake.ask(who, "GET", f"/intake/operations/streams/{given}")
    if isinstance(answer, Refusal):
        if answer.status == 404:
            return Unknown(given)
        return _away_or_raise(answer, "intake")
    return str(answer["stream"])


async def journey_of(
    receiver: Speaker, who: Actor, stream: str, *, reads: bool = False, count: int = 200
) -> Journey | NoSpans | Away:
    """The journey of a stream, at most its newest commands. Raises LaunchError when refused."""
    query: dict[str, str | int] = {"count": count, "reads": str(reads).lower()}
    answer = await receiver.ask(who, "GET", f"/telemetry/streams/{quote(stream, safe=':')}", query=query)
    if isinstance(answer, Refusal):
        return _away_or_raise(answer, "receiver")
    found = (walk_of(one["trace"], one["spans"], stream) for one in answer["traces"])
    walks = tuple(one for one in found if one is not None)
    return Journey(stream, walks, answer["reads"]) if walks or answer["reads"] else NoSpans(stream)


async def walk_by_id(receiver: Speaker, who: Actor, trace: str) -> Walk | NoSpans | Away:
    """One command's walk by the id of its trace. Raises LaunchError when refused."""
    if not is_trace(trace):
        return NoSpans(trace)
    answer = await receiver.ask(who, "GET", f"/telemetry/traces/{trace}")
    if isinstance(answer, Refusal):
        return NoSpans(trace) if answer.status == 404 else _away_or_raise(answer, "receiver")
    return walk_of(trace, answer["spans"]) or NoSpans(trace)


async def short_traces(
    receiver: Speaker, who: Actor, order: str, *, hours: float, count: int
) -> list[dict[str, Any]] | Away:
    """Traces in short: `recent` or `slowest`. Raises LaunchError when refused."""
    query: dict[str, str | int] = {"order": order, "hours": str(hours), "count": count}
    answer = await receiver.ask(who, "GET", "/telemetry/traces", query=query)
    if isinstance(answer, Refusal):
        return _away_or_raise(answer, "receiver")
    found: list[dict[str, Any]] = answer["traces"]
    return found


def _away_or_raise(refusal: Refusal, who: str) -> Away:
    if refusal.is_absence:
        return Away(who)
    raise LaunchError(str(refusal))
