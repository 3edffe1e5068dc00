"""What is where now, as tables that stand still until they are asked again."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter
from starlette.responses import HTMLResponse

from services.reporting import handlers
from shared.http.pages import Pages
from shared.store import Database

HERE: Final = "/reporting/"
_LATEST: Final = 10
_REFRESH_SECONDS: Final = 20


def add(routes: APIRouter, database: Database, shell: Pages) -> None:
    """`/reporting/`, and `?still=true` for who does not want it to refresh itself."""

    @routes.get("")
    @routes.get("/")
    async def now(still: bool = False) -> HTMLResponse:
        seen = await handlers.look(database, latest=_LATEST)
        return shell.page(
            "now.html",
            here=HERE,
            now=seen,
            stages=sorted(seen.picture.stages.items(), key=lambda one: one[0] or ""),
            refresh=None if still else _REFRESH_SECONDS,
        )

    @routes.get("/style")
    async def style() -> HTMLResponse:
        return shell.page("style.html")
