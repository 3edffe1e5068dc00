"""What routing answers: values as JSON, and what was not done as problems."""

from __future__ import annotations

from typing import Any, Final

from services.routing import values
from services.routing.handlers import Done, NotDone, NotPublished
from services.routing.rules.branches import open_runs
from shared.calendar import PER_DAY
from shared.http.commands import IDEMPOTENCY_KEY
from shared.http.problems import Problem


def outcome_of(outcome: Done | NotDone) -> dict[str, Any]:
    """What became of a command among others."""
    if isinstance(outcome, Done):
        return {"done": True, "answer": outcome.answer}
    return {"done": False, "problem": not_done(outcome).content()}


_STATUS: Final = {
    "unknown_dossier": 404,
    "unseen": 422,
    "run_missing": 422,
    "stale": 409,
    "denied": 403,
    "key_reused": 409,
    "refused": 409,
}
_TITLE: Final = {
    "unknown_dossier": "Routing does not know this dossier",
    "unseen": "The command does not say which version was seen",
    "run_missing": "The command does not say which of the open stages it is about",
    "stale": "The dossier moved on since you looked",
    "denied": "Not yours to do",
    "key_reused": "The command's id was used before",
    "refused": "The dossier is not where this can be done",
}
_FIELD: Final = {"unseen": "/seen", "run_missing": "/run", "key_reused": IDEMPOTENCY_KEY}


def not_done(outcome: NotDone) -> Problem:
    """Why a command was not carried out, and what to do."""
    more: dict[str, Any] = {}
    if outcome.version is not None:
        more["version"] = outcome.version
    if outcome.since:
        more["since"] = list(outcome.since)
    if outcome.reason:
        more["reason"] = outcome.reason
    name, title = outcome.code.replace("_", "-"), _TITLE[outcome.code]
    return Problem(_STATUS[outcome.code], name, title, title, outcome.do, _FIELD.get(outcome.code), more)


def unit_of(one: values.Unit, heads: tuple[values.Head, ...]) -> dict[str, Any]:
    """A unit with its heads over time."""
    return {
        "code": one.code,
        "version": one.version,
        "name": one.name,
        "level": one.level,
        "parent": one.parent,
        "calendar": one.calendar,
        "valid_from": one.valid_from,
        "valid_to": one.valid_to,
        "heads": [
            {"officer": head.officer, "valid_from": head.valid_from, "valid_to": head.valid_to} for head in heads
        ],
    }


def officer_shown(one: values.Officer) -> dict[str, Any]:
    """An officer's appointment."""
    return {
        "id": one.id,
        "version": one.version,
        "unit": one.unit,
        "roles": [role.value for role in one.roles],
        "sectors": list(one.sectors),
        "valid_from": one.valid_from,
        "valid_to": one.valid_to,
    }


def route_shown(one: values.Route) -> dict[str, Any]:
    """A route with its stages; ``days`` is what they take together, in calendar days (None: shares of the term)."""
    return {
        "code": one.code,
        "version": one.version,
        "level": one.level,
        "days": one.length / PER_DAY if one.length else None,
        "stages": [
            {
                "name": stage.name,
                "kind": stage.kind,
                "place": stage.place,
                "unit": stage.unit,
                "role": stage.role,
                "parallel": stage.parallel,
                "share": stage.share,
                "budget": {"value": stage.budget.quarters / 4, "unit": stage.budget.unit} if stage.budget else None,
            }
            for stage in one.stages
        ],
    }


def not_published(refused: NotPublished, name: str, title: str) -> Problem:
    """Why something cannot be published, and what to do."""
    return Problem(422, name, title, refused.detail, refused.do, f"/{refused.field}")


def work_item(one: values.WorkItem) -> dict[str, Any]:
    """A line of a worklist."""
    return {
        "dossier": one.dossier,
        "version": one.version,
        "procedure": one.procedure,
        "state": one.state,
        "stage": one.stage,
        "run": one.run,
        "unit": one.unit,
        "role": one.role,
        "officer": one.officer,
        "received": one.received,
        "promise": one.promise,
        "due": one.due,
        "stage_due": one.stage_due,
        "pause_reason": one.pause_reason,
    }


def journey_of(one: values.Journey, version: int, ledger: list[values.Entry]) -> dict[str, Any]:
    """A dossier's journey with its ledger. ``open_runs``: every open stage; the fields beside it are the first's."""
    return {
        "dossier": one.dossier,
        "version": version,
        "procedure": one.procedure,
        "route": one.route,
        "state": one.state,
        "stage": one.stage,
        "run": one.run,
        "unit": one.unit,
        "role": one.role,
        "officer": one.officer,
        "received": one.received,
        "promise": one.promise,
        "due": one.due,
        "stage_due": one.stage_due,
        "open_runs": [
            {
                "run": run.run,
                "stage": run.stage,
                "unit": run.unit,
                "role": run.role,
                "officer": run.officer,
                "stage_due": run.due,
            }
            for run in open_runs(one)
        ],
        "credited_seconds": int(one.credit.total_seconds()),
        "generation": one.generation,
        "pause_reason": one.pause_reason,
        "ledger": [
            {
                "number": entry.number,
                "kind": entry.kind,
                "run": entry.run,
                "at": entry.at,
                "stage": entry.stage,
                "unit": entry.unit,
                "officer": entry.officer,
                "seconds": entry.seconds,
                "reason": entry.reason,
            }
            for entry in ledger
        ],
    }
