"""The dossier that a request is about, if its sender may."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Final

from services.intake import store
from services.intake.api.answers import unknown_dossier
from services.intake.values import Dossier
from shared import telemetry
from shared.access import Action, Actor, Role
from shared.http.actor import demand
from shared.http.problems import RefusedError
from shared.store import Transaction

_WHERE_IT_LIES: Final = {Action.READ_DOSSIER, Action.HAND_OVER_RESULT}
"""What the units that hold a dossier may do with it, besides the one that received it."""


@lru_cache(maxsize=1024)
def without(who: Actor, role: Role) -> Actor:
    return replace(who, roles=who.roles - {role})


def _holders(dossier: Dossier) -> set[str | None]:
    """The units that hold a dossier now: several while several of its stages are open."""
    return {dossier.at_unit, *(one.unit for one in dossier.places)}


async def found(tx: Transaction, who: Actor, code: str, action: Action) -> Dossier:
    """The dossier, if the actor may do this with it.

    A citizen may with what they handed in themselves, but not decide on an erasure; of anything else they do not learn
    that it exists. The role history may with records only.
    """
    ident = await store.dossier_id(tx, code) or code
    dossier = (await store.dossiers(tx, [ident])).get(ident)
    if dossier is None:
        raise RefusedError(unknown_dossier())
    telemetry.about(dossier.id)
    if Role.CITIZEN in who.roles and action is not Action.HAND_OVER_RESULT:
        is_theirs = await store.sender_of(tx, ident) == who.id
        if is_theirs and action is not Action.ERASE_PERSONAL_DATA:
            return dossier
        who = without(who, Role.CITIZEN)
        if not who.roles and not is_theirs:
            raise RefusedError(unknown_dossier())
    if dossier.origin is None:
        who = without(who, Role.HISTORY)
    demand(who, action, who.unit if action in _WHERE_IT_LIES and who.unit in _holders(dossier) else dossier.unit)
    return dossier
