"""Notification over HTTP: what a dossier's citizen was told."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import Field

from services.notification import store
from services.notification.values import EMAIL, Attempt, Notice
from shared.access import Action
from shared.http.actor import ActorHere, demand
from shared.http.problems import Problem, RefusedError
from shared.store import Database

DossierId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def router(database: Database) -> APIRouter:
    """The routes under ``/notification``."""
    routes = APIRouter(prefix="/notification", tags=["notification"])

    @routes.get("/dossiers/{dossier}/notices")
    async def get_notices(who: ActorHere, dossier: DossierId) -> dict[str, Any]:
        """What the citizen was told, is about to be told, or could not be; in order, with every attempt."""
        async with database.connection() as connection:
            found = (await store.dossiers(connection, [dossier])).get(dossier)
            if found is None:
                raise RefusedError(
                    Problem(
                        404,
                        "unknown-dossier",
                        "Notification does not know this dossier",
                        "no dossier with this id was received",
                        "check the id; if it was received just now, try again in a second",
                    )
                )
            demand(who, Action.READ_DOSSIER, found.unit)
            notices = await store.notices_of(connection, dossier)
        return {"dossier": dossier, "code": found.code, "notices": [_notice(one) for one in notices]}

    return routes


def _notice(one: Notice) -> dict[str, Any]:
    return {
        "id": one.id,
        "template": one.template.value,
        "channel": EMAIL,
        "about": {"source": one.source, "version": one.version},
        "state": one.state,
        "reason": one.reason,
        "written": one.written,
        "due_at": one.due_at if one.closed is None else None,
        "closed": one.closed,
        "attempts": [_attempt(attempt) for attempt in one.attempts],
    }


def _attempt(one: Attempt) -> dict[str, Any]:
    return {
        "number": one.number,
        "started": one.started,
        "ended": one.ended,
        "outcome": one.outcome,
        "provider_code": one.provider_code,
        "reason": one.reason,
    }
