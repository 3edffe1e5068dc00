"""What intake answers: values as JSON, and what was not done as problems."""

from __future__ import annotations

import json
from typing import Any, Final

from services.intake.handlers.door import Done, NotDone
from services.intake.handlers.erasure import Compared, NotErased
from services.intake.handlers.reception import APPLICANT, KeyReused, Received
from services.intake.values import Citizen, Coverage, Dossier, NotAccepted, NotPublishable, Procedure
from shared.http.commands import other_command
from shared.http.problems import Problem
from shared.seal import DataKey, Erasure, Keyring, open_sealed


def not_accepted(why: NotAccepted) -> Problem:
    """Why a dossier cannot be received. 503 for what passes by itself: the same request succeeds a little later."""
    status, headers = (503, {"Retry-After": "1"}) if why.passes else (422, {})
    title = "The dossier cannot be received"
    return Problem(status, why.name, title, why.detail, why.do, why.field, headers=headers)


def not_done(why: NotDone) -> Problem:
    """Why something could not be taken in for a dossier."""
    if why.code == "key_reused":
        return other_command()
    if why.code == "unknown_dossier":
        return unknown_dossier()
    title = "The dossier is not where this can be done"
    if why.code in _UNFIT:
        return Problem(409, why.code.replace("_", "-"), title, _UNFIT[why.code], why.do, "/at")
    status = f"its status is {int(why.status)}" if why.status else "it is not there"
    return Problem(409, "not-now", title, status, why.do)


_UNFIT: Final = {
    "live": "it is no record",
    "not_yet": "the time that was given has not come yet",
    "before_the_last": "its last entry is later than the time that was given",
}


def not_erased(why: NotErased) -> Problem:
    """Why a citizen's data were not erased."""
    match why.code:
        case "key_reused":
            return other_command()
        case "unknown_dossier":
            return unknown_dossier()
        case "stale":
            more = {"version": why.version, "since": list(why.since)}
            title = "The dossier moved on since you looked"
            return Problem(409, "stale", title, f"its version is {why.version}", why.do, "/seen", more)
        case "still_open":
            title = "The dossier is still open"
            return Problem(409, "dossier-still-open", title, "its citizen's data are needed", why.do)


def not_in_the_register() -> Problem:
    """Erased, but the file that remembers it beyond a restored backup could not be written."""
    return Problem(
        503,
        "erasure-not-in-register",
        "The data were erased, but that is not in the register yet",
        "a backup that is restored now would bring them back",
        "have the register looked at (the log says why), then send the same command again",
        headers={"Retry-After": "60"},
    )


def erasure_of(one: Erasure) -> dict[str, Any]:
    """When and why a citizen's data were erased, and by whom."""
    return {"time": one.time, "reason": one.reason, "by": one.actor}


def compared(outcome: Compared) -> dict[str, Any]:
    """What came of comparing the register of erasures with the store."""
    return {
        "erasures": outcome.erasures,
        "done_again": list(outcome.done_again),
        "written_down": outcome.written_down,
        "unknown": list(outcome.unknown),
    }


def received(outcome: Received | NotAccepted | KeyReused) -> dict[str, Any]:
    """What became of a reception among others."""
    if isinstance(outcome, Received):
        return {"done": True, "answer": outcome.answer, "repeated": outcome.repeated}
    problem = not_accepted(outcome) if isinstance(outcome, NotAccepted) else other_command()
    return {"done": False, "problem": problem.content()}


def taken(outcome: Done | NotDone) -> dict[str, Any]:
    """What became of something that came in among others."""
    if isinstance(outcome, Done):
        return {"done": True, "answer": outcome.answer}
    return {"done": False, "problem": not_done(outcome).content()}


def unknown_dossier() -> Problem:
    """No dossier, or none that the actor may know of: codes can be guessed."""
    return Problem(
        404,
        "unknown-dossier",
        "No such dossier",
        "no dossier has this code",
        "look at the code on the receipt: unit, date, number",
    )


def applicant_of(keyring: Keyring, citizen: Citizen) -> dict[str, Any] | None:
    """Whose dossier it is, opened; None where the key is gone."""
    key = keyring.unwrap(citizen.dossier, citizen.wrapped_key)
    opened = open_sealed(key, APPLICANT, citizen.applicant) if isinstance(key, DataKey) else None
    if not isinstance(opened, bytes):
        return None
    applicant: dict[str, Any] = json.loads(opened)
    return applicant


def dossier_of(one: Dossier, version: int) -> dict[str, Any]:
    """A dossier end to end. ``places``: each, while it lies in several at once; the first is also beside them."""
    return {
        "id": one.id,
        "code": one.code,
        "version": version,
        "unit": one.unit,
        "procedure": one.procedure,
        "procedure_version": one.procedure_version,
        "channel": one.channel.value,
        "received": one.received,
        "promise": one.promise,
        "calendar": one.calendar,
        "calendar_version": one.calendar_version,
        "components": list(one.components),
        "origin": one.origin,
        "attributes": dict(one.attributes),
        "status": int(one.status),
        "status_name": one.status.name.lower(),
        "due": one.due,
        "at_unit": one.at_unit,
        "at_stage": one.at_stage,
        "run": one.run,
        "places": [{"run": place.run, "unit": place.unit, "stage": place.stage} for place in one.places],
        "late": one.late,
        "supplements": one.supplements,
        "requested": one.requested,
        "notices": {"sent": one.notices_sent, "failed": one.notices_failed},
        "as_of": one.as_of,
    }


def shown(one: Procedure) -> dict[str, Any]:
    """A procedure of the catalogue."""
    return {
        "code": one.code,
        "version": one.version,
        "name": one.name,
        "sector": one.sector,
        "level": one.level,
        "term": {"value": one.term.value, "unit": one.term.unit.value},
        "terms": {key.value: {"value": term.value, "unit": term.unit.value} for key, term in one.terms.items()},
        "fees": {key.value: fee for key, fee in one.fees.items()},
        "components": one.components,
        "result": one.result,
        "source": one.source,
        "route": one.route,
        "legs": [
            {"level": leg.level, "term": {"value": leg.term.value, "unit": leg.term.unit.value}} for leg in one.legs
        ],
        "online_level": one.online_level,
        "fee_note": one.fee_note,
    }


def not_publishable(why: NotPublishable) -> Problem:
    """Why a procedure cannot be published, by its place in the body."""
    field = f"/procedures/{why.place}/{why.field}"
    return Problem(422, why.name, "The procedure cannot be published so", why.detail, why.do, field)


def coverage_of(coverage: Coverage) -> dict[str, Any]:
    """How much of the town's own figure is loaded; the share is of that figure, of which nobody has the list."""
    return {
        "loaded": coverage.loaded,
        "figure": coverage.figure,
        "share": round(coverage.share, 4),
        "whose": coverage.whose,
    }
