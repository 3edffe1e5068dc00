"""The steps of a dossier's life: which one its officer or its citizen takes next, as routing shows it."""

from __future__ import annotations

import uuid
from random import Random
from typing import Any, Final

from tests.faults.history import Asked
from tests.flow.river import TOWN_PROCEDURE, WARD_PROCEDURE, a_submission

_FIRST: Final = "commune_desk"
_LAST: Final = "commune_return"
_CLOSED: Final = frozenset({3, 7, 8, 10})

APPLICANT: Final = "Hoàng Kim Tước Chim Báo Bão"
ID_NUMBER: Final = "040198761234"
ADDRESS: Final = "Ngõ Chim Báo Bão 78"
MAIL_HOST: Final = "canary-of-faults.example"
CANARIES: Final = (APPLICANT, ID_NUMBER, ADDRESS, MAIL_HOST)
"""Of all who come: to be found in no topic, log, span, metric or dead letter."""


def submission(chance: Random, *, procedure: str | None = None) -> Asked:
    """A dossier is handed in at the ward's desk, by somebody with an address of his own."""
    key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    body = a_submission(procedure or chance.choice((TOWN_PROCEDURE, WARD_PROCEDURE)), email=f"{key}@{MAIL_HOST}")
    body = {**body, "applicant": {"name": APPLICANT, "id_number": ID_NUMBER, "address": ADDRESS}}
    return Asked("submit", "intake", key, None, body)


def erasure(chance: Random, seen: dict[str, Any]) -> Asked | None:
    """The head of the unit has the data of a dossier's citizen erased; None while the dossier has not ended."""
    if seen["status"] not in _CLOSED or seen["erased"] is not None:
        return None
    key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    return Asked("erase", "intake", key, seen["id"], {"reason": "asked_by_citizen", "seen": seen["version"]})


def other_body(asked: Asked) -> Asked:
    """Another wish under the id of one that was sent before: it must be refused, whatever became of the first."""
    if asked.kind == "submit":
        body = {**asked.body, "components": ["don_khac"]}
    elif asked.service == "routing":
        body = {**asked.body, "action": {"kind": "request_fee", "amount_vnd": 12_345, "reason": "other_body"}}
    else:
        others = {"bring_supplement": {"components": ["don_khac"]}, "erase": {**asked.body, "reason": "ordered"}}
        body = others.get(asked.kind, {"way": "post"})
    return Asked(asked.kind, asked.service, asked.key, asked.dossier, body)


def next_step(chance: Random, journey: dict[str, Any], *, ends: bool) -> Asked:
    """What is done next with a dossier that is shown so. ``ends`` False: it is kept moving for ever."""
    kind, more = _chosen(chance, journey, ends=ends)
    key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    if kind in {"bring_supplement", "withdraw", "collect_result"}:
        return Asked(kind, "intake", key, journey["dossier"], more)
    body = {"seen": journey["version"], "action": {"kind": kind, **more}}
    return Asked(kind, "routing", key, journey["dossier"], body)


def _chosen(chance: Random, journey: dict[str, Any], *, ends: bool) -> tuple[str, dict[str, Any]]:
    if journey["state"] == "done":
        return "collect_result", {"way": "desk"}
    if journey["state"] == "paused":
        if journey["pause_reason"] == "supplement" and chance.random() < 0.5:
            return "bring_supplement", {"components": ["to_khai"]}
        return "resume", {}
    if ends and chance.random() < 0.04:
        return "withdraw", {}
    if chance.random() < 0.2:
        return "request_supplement", {"components": ["to_khai"], "reason": "missing_papers"}
    if chance.random() < 0.1:
        return "request_fee", {"amount_vnd": 50_000, "reason": "fee_is_due"}
    may_go_back = journey["stage"] != _FIRST
    if may_go_back and (chance.random() < 0.15 or (journey["stage"] == _LAST and not ends)):
        return "send_back", {"reason": "not_complete"}
    if journey["stage"] == _LAST:
        return "finish", {}
    return "hand_over", {}
