"""A record on a route with a public posting: nobody is late with it, and its adoption sets its end."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from services.routing.rules import past
from services.routing.values import Adopt, HandOver, Journey, Refused
from shared.bus import Decided
from shared.events import DeadlinePassed, Scope
from tests.builders import at, said, saved
from tests.rules.test_routes import known_with, on_its_way

POSTED = at("2019-05-08 10:00")
OVER = at("2019-05-15 17:00")


def a_record_in_posting() -> Journey:
    """A record that an officer handed into the posting."""
    began = replace(on_its_way(), origin="old-books")
    decided = past.carry_out(began, HandOver(), POSTED, OVER, known_with())
    assert isinstance(decided, Decided)
    return saved(decided.state)


def adopted(journey: Journey, now: datetime) -> Decided[Journey]:
    decided = past.carry_out(journey, Adopt(), now, now, known_with())
    assert isinstance(decided, Decided)
    return decided


def test_a_posting_is_ended_by_hand_when_it_is_over_and_nobody_was_late_with_it() -> None:
    early = past.carry_out(a_record_in_posting(), HandOver(), at("2019-05-14 09:00"), OVER, known_with())
    late = past.carry_out(a_record_in_posting(), HandOver(), at("2019-05-20 09:00"), OVER, known_with())

    assert isinstance(early, Refused)
    assert isinstance(late, Decided)
    passed = [one.event for one in late.say if isinstance(one.event, DeadlinePassed)]
    assert Scope.STAGE not in {one.scope for one in passed}
    assert said(late)[-2:] == ["HandedOver", "StageStarted"]


def test_a_record_that_is_adopted_in_its_posting_goes_on_when_that_is_over() -> None:
    (timer,) = [
        one
        for one in adopted(a_record_in_posting(), at("2019-05-10 09:00")).state.unsaved.timers
        if one.scope is Scope.STAGE
    ]

    assert (timer.rung, timer.fires_at) == ("over", OVER)


def test_a_posting_that_is_over_long_since_ends_right_after_the_adoption() -> None:
    decided = adopted(a_record_in_posting(), at("2026-05-11 09:00"))

    assert [one.rung for one in decided.state.unsaved.timers] == ["over"]
    assert said(decided)[-1] == "DossierAdopted"
    assert decided.state.origin is None
