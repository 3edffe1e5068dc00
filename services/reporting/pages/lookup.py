"""A citizen looks a dossier up by the code that is printed on the receipt."""

from __future__ import annotations

import re
from typing import Annotated, Final

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from services.reporting import handlers
from shared.http.pages import Pages
from shared.store import Database

_HERE: Final = "/reporting/lookup"
_SPACES: Final = re.compile(r"\s+")


def add(routes: APIRouter, database: Database, shell: Pages) -> None:
    """`/reporting/lookup?code=`: open to everybody who has the whole code. It tells where the dossier is and by when it
    is promised; not whose it is, nor which officer has it."""

    @routes.get("/lookup")
    async def lookup(code: Annotated[str, Query(max_length=100)] = "") -> HTMLResponse:
        asked = _SPACES.sub("", code).upper()
        dossier = await handlers.stream_id(database, asked) if asked else None
        told = await handlers.tell(database, dossier) if dossier else None
        status = 404 if asked and told is None else 200
        return shell.page("lookup.html", here=_HERE, status=status, code=asked, told=told)
