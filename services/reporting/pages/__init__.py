"""Reporting's pages for people: the live river, what is where, dossiers behind figures, timelines."""

from __future__ import annotations

from fastapi import APIRouter

from services.reporting.handlers import Watch
from services.reporting.pages import dossiers, lookup, now, river
from shared.http.pages import Pages
from shared.store import Database

__all__ = ["router"]


def router(database: Database, shell: Pages, watch: Watch) -> APIRouter:
    """Pages under /reporting. Figures are open to everybody: they count, they name nobody."""
    routes = APIRouter(prefix="/reporting", include_in_schema=False)
    now.add(routes, database, shell)
    river.add(routes, database, shell, watch)
    lookup.add(routes, database, shell)
    dossiers.add(routes, database, shell)
    return routes
