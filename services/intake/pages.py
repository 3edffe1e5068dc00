"""Intake's pages for people: the public search of procedures."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import HTMLResponse

from services.intake import store
from services.intake.handlers import catalogue
from services.intake.rules.search import words_of
from shared.http.pages import Pages, two_languages
from shared.store import Database

_PAGE = 30


def router(database: Database, shell: Pages, figure: tuple[int, str] | None = None) -> APIRouter:
    """Pages under /intake; open to everybody: the catalogue is public (Decree 61/2018, publicity of procedures)."""
    routes = APIRouter(prefix="/intake", include_in_schema=False)

    @routes.get("/procedures/page")
    async def procedures(
        q: Annotated[str, Query(max_length=200)] = "",
        sector: Annotated[str, Query(max_length=200)] = "",
        skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
    ) -> HTMLResponse:
        async with database.connection() as connection:
            found = await store.found_procedures(connection, words_of(q), sector or None, skip, _PAGE)
            sectors = await store.sectors(connection)
            coverage = await catalogue.coverage(connection, figure)
        return shell.page(
            "procedures.html",
            here="/intake/procedures/page",
            q=q,
            sector=sector,
            sectors=sectors,
            found=found,
            skip=skip,
            page=_PAGE,
            coverage=coverage,
            whose=two_languages(coverage.whose) if coverage else None,
        )

    return routes
