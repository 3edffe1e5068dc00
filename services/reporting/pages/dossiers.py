"""The dossiers behind a figure, and a dossier's timeline."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Final, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from services.reporting import handlers
from services.reporting.pages.now import HERE
from services.reporting.pages.reading import ReaderHere
from services.reporting.values import Place, Standing, Status, Wanted
from shared.access import Action
from shared.http.actor import demand
from shared.http.pages import Pages
from shared.store import Database

_LIST: Final = "/reporting/dossiers/page"
_PAGE: Final = 30
_NO_STAGE: Final = "-"
_STREAM_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Word = Annotated[str, Query(max_length=120)]
Day = Annotated[str, Query(pattern=r"^(\d{4}-\d{2}-\d{2})?$")]


def add(routes: APIRouter, database: Database, shell: Pages) -> None:
    """`/reporting/dossiers/page` with its filters, and `/reporting/dossiers/{id}`."""

    @routes.get("/dossiers/page")
    async def dossiers(
        who: ReaderHere,
        q: Word = "",
        unit: Word = "",
        stage: Word = "",
        status: Literal["", "2", "4", "5", "6", "7", "9", "10"] = "",
        standing: Literal["", "on_time", "near", "late", "paused", "done", "withdrawn", "open", "done_today"] = "",
        late: Literal["", "true", "false"] = "",
        origin: Word = "",
        received: Day = "",
        ended: Day = "",
        since: Day = "",
        after: Word = "",
    ) -> HTMLResponse:
        demand(who, Action.READ_REPORT, None)
        units = await handlers.unit_names(database)
        days = [_day(each) for each in (received, ended, since)]
        wanted = Wanted(
            origin=origin or None,
            unit=unit or None,
            stage="" if stage == _NO_STAGE else stage or None,
            status=Status(int(status)) if status else None,
            standing=Standing(standing) if standing in set(Standing) else None,
            is_open=standing == "open",
            late=late == "true" if late else None,
            code=q.strip() or None,
            done_today=standing == "done_today",
            received_on=days[0],
            ended_on=days[1],
            ended_since=days[2],
        )
        chosen = {
            "q": q,
            "unit": unit,
            "stage": stage,
            "status": status,
            "standing": standing,
            "late": late,
            "origin": origin,
            "received": received,
            "ended": ended,
            "since": since,
        }
        kept = {name: value for name, value in chosen.items() if value}
        found = await handlers.find(database, wanted, _PAGE, Place.parsed(after) if after else None)
        if unit and unit not in units and not found.total:
            return shell.page("no_unit.html", here=HERE, status=404, unit=unit, units=units)
        return shell.page(
            "dossiers.html",
            here=HERE,
            found=found,
            units=units,
            chosen=chosen,
            days={"received": days[0], "ended": days[1], "since": days[2]},
            is_first=not after,
            first=f"{_LIST}?{urlencode(kept)}",
            next=f"{_LIST}?{urlencode({**kept, 'after': str(found.next)})}" if found.next else None,
        )

    @routes.get("/dossiers/{dossier}")
    async def dossier(who: ReaderHere, dossier: str) -> HTMLResponse:
        demand(who, Action.READ_REPORT, None)
        told = await handlers.tell(database, dossier) if _STREAM_ID.fullmatch(dossier) else None
        if told is None:
            return shell.page("unknown.html", here=HERE, status=404)
        return shell.page("dossier.html", here=HERE, told=told)


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None
