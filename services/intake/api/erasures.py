"""Erasing a citizen's data, and what operators see and do about it."""

from __future__ import annotations

import logging
from typing import Annotated, Any

from fastapi import APIRouter, Query

from services.intake import store
from services.intake.api.answers import compared, erasure_of, not_erased, not_in_the_register
from services.intake.api.finding import found
from services.intake.api.forms import DossierCode, ErasureForm
from services.intake.handlers import erasure
from services.intake.handlers.erasure import NotErased, Wanted
from shared.access import Action
from shared.http.actor import ActorHere, demand
from shared.http.commands import KeyHere, digest_of
from shared.http.problems import Problem, RefusedError
from shared.seal import Register, RegisterError
from shared.store import Database

log = logging.getLogger(__name__)


def add(routes: APIRouter, database: Database, register: Register) -> None:
    """`/intake/dossiers/{code}/erasure`, `/intake/operations/erasures` and `…/replay`."""

    @routes.post("/dossiers/{code}/erasure")
    async def post_erasure(who: ActorHere, key: KeyHere, code: DossierCode, form: ErasureForm) -> dict[str, Any]:
        """Erase the data of a closed dossier's citizen, for good. Once erased, the answer is always the same."""
        async with database.connection() as connection:
            dossier = await found(connection, who, code, Action.ERASE_PERSONAL_DATA)
        wanted = Wanted(dossier.id, key, digest_of(["erasure", form.reason.value]), form.seen, form.reason)
        try:
            outcome = await erasure.erase(database, register, who, wanted)
        except RegisterError as error:
            log.critical("register_unusable", extra={"because": str(error)})
            raise RefusedError(not_in_the_register()) from error
        if isinstance(outcome, NotErased):
            raise RefusedError(not_erased(outcome))
        return outcome.answer

    @routes.get("/operations/erasures")
    async def get_erasures(
        who: ActorHere,
        after: Annotated[str, Query(max_length=36)] = "",
        count: Annotated[int, Query(ge=1, le=1000)] = 1000,
    ) -> dict[str, Any]:
        """What was erased, by stream id, a page at a time."""
        demand(who, Action.OPERATE, None)
        async with database.connection() as connection:
            page = await store.erasures_after(connection, after, count)
        return {"erasures": [{"dossier": one.dossier, "version": one.version, **erasure_of(one)} for one in page]}

    @routes.post("/operations/erasures/replay")
    async def replay_erasures(who: ActorHere) -> dict[str, Any]:
        """After a backup was restored, anywhere: do again what its store has lost, and publish all erasures again."""
        demand(who, Action.OPERATE, None)
        try:
            return compared(await erasure.replay(database, register))
        except RegisterError as error:
            log.critical("register_unusable", extra={"because": str(error)})
            raise RefusedError(
                Problem(
                    503, "register-unusable", "The register of erasures cannot be used", str(error), "mend it first"
                )
            ) from error
