"""What a procedure of the catalogue may be: its legs add up to its term, and its route keeps what the term promises."""

from __future__ import annotations

from collections.abc import Mapping

from services.intake.values import NotPublishable, Procedure
from shared.calendar import PER_DAY, TermUnit, length_of

_DAYS = frozenset({TermUnit.WORKING_DAY, TermUnit.CALENDAR_DAY})


def wrong_with(place: int, one: Procedure, routes: Mapping[str, int]) -> NotPublishable | None:
    """Why the procedure at a place among those sent cannot be published; None when it can.

    ``routes``: the length of each route of routing's that is known here (shared.calendar.lengths).
    """
    return _wrong_with_legs(place, one) or _wrong_with_route(place, one, routes)


def _wrong_with_legs(place: int, one: Procedure) -> NotPublishable | None:
    if not one.legs:
        return None
    same = one.term.unit in _DAYS and all(leg.term.unit is one.term.unit for leg in one.legs)
    if same and sum(leg.term.value for leg in one.legs) == one.term.value:
        return None
    return NotPublishable(
        place,
        "legs",
        "bad-legs",
        "the legs are days of the term's kind that add up to it",
        "correct the legs, or leave them out",
    )


def _wrong_with_route(place: int, one: Procedure, routes: Mapping[str, int]) -> NotPublishable | None:
    if one.route is None:
        return None
    if one.route not in routes:
        return NotPublishable(
            place, "route", "unknown-route", "the route is not known here", "publish it at /routing/routes first"
        )
    shortest = min(length_of(term) for term in (one.term, *one.terms.values()))
    if routes[one.route] <= shortest:
        return None
    return NotPublishable(
        place,
        "route",
        "route-too-long",
        f"the stages of {one.route} take {_days(routes[one.route])} calendar days together, "
        f"the shortest term of the procedure is {_days(shortest)}",
        "name a shorter route, or correct the term",
    )


def _days(length: int) -> str:
    return f"{length / PER_DAY:.2f}".rstrip("0").rstrip(".")
