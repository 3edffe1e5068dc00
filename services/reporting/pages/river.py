"""The live river: the page, and the stream of events that moves it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Header, Query
from starlette.responses import HTMLResponse, JSONResponse, Response

from services.reporting import handlers
from services.reporting.handlers import TooManyError, Watch
from services.reporting.handlers.looking import Glance
from services.reporting.handlers.watching import LATEST, News
from services.reporting.rules import counting
from services.reporting.values import Moved, Pace, Tally
from shared.http.language import asked
from shared.http.pages import Pages
from shared.http.problems import RefusedError, unavailable
from shared.http.stream import BEAT, HEARTBEAT, RETRY, EventStream, event
from shared.store import Database
from shared.topics import Service

_HERE: Final = "/reporting/river"
_REFRESH_SECONDS: Final = 20
_MINUTES: Final = 60
_TOWN_STAGES: Final = ("town_desk", "town_specialist", "town_return")
_COMMUNE_STAGES: Final = ("commune_desk", "commune_officer", "commune_return")
_STAGES: Final = {"town": _TOWN_STAGES, "commune": _COMMUNE_STAGES}
_SPEAKERS: Final = (Service.INTAKE, Service.ROUTING, Service.NOTIFICATION)


def add(routes: APIRouter, database: Database, shell: Pages, watch: Watch) -> None:
    """`/reporting/river`, its stream below it, and the last month for its charts."""

    @routes.get("/river")
    async def river(still: bool = False) -> HTMLResponse:
        seen = await handlers.glance(database, 0, LATEST)
        first, days = await watch.month()
        return shell.page(
            "river.html",
            here=_HERE,
            seen=seen,
            sections=_sections(seen),
            names={unit.code: unit.name for unit in seen.units},
            key_of=_key,
            minute=timedelta(minutes=1),
            services=[each.value for each in Service],
            minutes=_by_minute(seen.pace, seen.as_of),
            first=first,
            days=counting.by_day(days),
            by_unit=counting.by_unit(days),
            refresh=None if still else _REFRESH_SECONDS,
        )

    @routes.get("/river/days")
    async def month() -> JSONResponse:
        first, days = await watch.month()
        sums = sorted(counting.by_day(days).values(), key=lambda one: one.day)
        return JSONResponse(
            {
                "first": first.isoformat(),
                "days": [
                    {"day": one.day.isoformat(), "received": one.received, "on_time": one.on_time, "late": one.late}
                    for one in sums
                ],
            },
            headers={"Cache-Control": "no-store"},
        )

    @routes.get("/river/stream")
    async def stream(
        last_event_id: Annotated[str, Header(max_length=40)] = "",
        after: Annotated[str, Query(max_length=40)] = "",
    ) -> Response:
        # EventSource sends the header when it comes back, and the page's own address for it when it comes first.
        told = last_event_id or after
        since = int(told) if told.isascii() and told.isdigit() and len(told) < 19 else None
        if watch.is_full:
            raise RefusedError(unavailable("as many watch the river as can be served", 30))
        return EventStream(_events(watch, since, shell))


async def _events(watch: Watch, since: int | None, shell: Pages) -> AsyncGenerator[bytes, None]:
    yield RETRY
    try:
        async with watch.joined(since) as watcher:
            while not watcher.is_dropped:
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        news = await watcher.news.get()
                except TimeoutError:
                    yield BEAT
                    continue
                if news is None:
                    return
                yield _told(news, shell)
    except TooManyError:
        return


def _told(news: News, shell: Pages) -> bytes:
    """The news as an event; written once for all who read the same language."""
    language = asked().language
    if language not in news.written:
        news.written[language] = event("all" if news.whole else "change", _data(news, shell), news.told)
    return news.written[language]


def _data(news: News, shell: Pages) -> dict[str, Any]:
    data: dict[str, Any] = {"at": shell.text("at.html", at=news.as_of), "figures": news.figures}
    if news.moved:
        names = {unit.code: unit.name for unit in news.units}
        data["moved"] = [
            {"key": _key(one), "html": shell.text("moved.html", one=one, names=names)} for one in news.moved
        ]
    if news.pace is not None:
        data["minutes"] = _by_minute(news.pace, news.as_of)
    return data


def _key(one: Moved) -> str:
    return f"{one.entry.dossier}/{one.entry.source.value}/{one.entry.version}"


@dataclass(frozen=True, slots=True)
class Section:
    """A unit on the page: what it has in all, and at each of its stages."""

    unit: str
    name: str
    level: str
    tally: Tally
    stages: tuple[tuple[str, Tally], ...]


def _sections(seen: Glance) -> list[Section]:
    """Every unit of the river, the town first; a unit that is not known yet has its code for a name."""
    picture = seen.picture
    known = {unit.code: unit for unit in seen.units}
    codes = [unit.code for unit in seen.units if unit.level in _STAGES or unit.code in picture.units]
    codes += sorted(code or "" for code in picture.units if code not in known)
    sections = []
    for code in codes:
        level = known[code].level if code in known else "commune"
        stages = [*_STAGES.get(level, ())]
        others = {stage or "" for unit, stage in picture.places if (unit or "") == code} - set(stages)
        stages = [*stages, *sorted(others | {""})]
        by_stage = tuple((stage, picture.places.get((code or None, stage or None), Tally())) for stage in stages)
        name = known[code].name if code in known else code
        sections.append(Section(code, name, level, picture.units.get(code or None, Tally()), by_stage))
    return sections


def _by_minute(pace: Iterable[Pace], now: datetime) -> dict[str, Any]:
    """The last hour's events of each speaker, minute by minute; the last number is the minute that is not over yet."""
    end = now.replace(second=0, microsecond=0)
    counts = {each.value: [0] * (_MINUTES + 1) for each in _SPEAKERS}
    for one in pace:
        place = _MINUTES - int((end - one.minute).total_seconds() // 60)
        if 0 <= place <= _MINUTES:
            counts[one.source.value][place] += one.count
    return {"end": end.isoformat(), **counts}
