"""Deciding event by event: states follow each other in memory, what waits keeps back what builds on it."""

from __future__ import annotations

from msgspec.structs import replace

from shared.bus import Decided, Decision, Say, Unchanged, Waiting, WaitsFor, decide_all
from shared.bus.deciding import Hears
from shared.envelope import Cause, Heard
from shared.events import DossierReceived, StageStarted, SupplementReceived, WithdrawalRequested
from shared.journal import Saying
from shared.topics import Service
from tests.telling import Story

Known = frozenset[str]


def _received(state: int | None, heard: Heard, known: Known) -> Decision[int]:
    if heard.subject not in known:
        return WaitsFor(f"unit:{heard.subject}")
    return Decided(1, (Say(WithdrawalRequested()), Say(SupplementReceived(), heard.recorded)))


def _supplement(state: int | None, heard: Heard, known: Known) -> Decision[int]:
    return Decided((state or 0) + 10)


def _withdrawal(state: int | None, heard: Heard, known: Known) -> Decision[int]:
    return Unchanged()


def _nothing_left(state: int | None, heard: Heard, known: Known) -> Decision[int]:
    return Decided(0)


def _five_more(state: int | None, heard: Heard, known: Known) -> Decision[int]:
    return Decided(-1 if state is None else state + 5)


HEARS: Hears[int, Known] = {
    DossierReceived: _received,
    SupplementReceived: _supplement,
    WithdrawalRequested: _withdrawal,
    StageStarted: _supplement,
}


def test_each_event_meets_the_state_that_the_one_before_it_left() -> None:
    story = Story()
    said = [story.received(), story.say(SupplementReceived()), story.say(SupplementReceived())]

    outcome = decide_all({}, said, HEARS, frozenset({story.subject}))

    assert outcome.changed == {story.subject: 21}


def test_a_state_of_zero_is_a_state() -> None:
    story = Story()
    hears: Hears[int, Known] = {SupplementReceived: _nothing_left, WithdrawalRequested: _five_more}
    said = [story.say(SupplementReceived()), story.say(WithdrawalRequested())]

    assert decide_all({story.subject: 9}, said, hears, frozenset()).changed == {story.subject: 5}


def test_what_is_announced_names_its_cause_and_keeps_time_origin_actor_and_trace() -> None:
    story = Story(origin="history")
    said = replace(story.received(), actor="officer-7", traceparent="00-1")

    outcome = decide_all({}, [said], HEARS, frozenset({story.subject}))

    because = Cause(Service.INTAKE, 1)
    assert outcome.sayings == [
        Saying(story.subject, WithdrawalRequested(), said.time, because, "history", "officer-7", "00-1"),
        Saying(story.subject, SupplementReceived(), said.recorded, because, "history", "officer-7", "00-1"),
    ]


def test_an_event_that_changes_nothing_leaves_nothing_to_save() -> None:
    story = Story()

    outcome = decide_all({story.subject: 3}, [story.say(WithdrawalRequested())], HEARS, frozenset())

    assert (outcome.changed, outcome.sayings, outcome.waiting) == ({}, [], [])


def test_what_waits_keeps_back_the_rest_of_its_stream_and_its_effects_but_nobody_else() -> None:
    unknown, known = Story(), Story()
    received = unknown.received()
    supplement = unknown.say(SupplementReceived())
    effect = unknown.starts(because=received)
    after_the_effect = unknown.say(StageStarted(stage="next", run=2, unit="u"))
    elsewhere = known.received()

    outcome = decide_all(
        {}, [received, elsewhere, supplement, effect, after_the_effect], HEARS, frozenset({known.subject})
    )

    assert outcome.changed == {known.subject: 1}
    assert outcome.waiting == [
        Waiting(received, f"unit:{unknown.subject}"),
        Waiting(supplement, None),
        Waiting(effect, None),
        Waiting(after_the_effect, None),
    ]


def test_an_effect_of_an_earlier_version_than_the_waiting_one_goes_on() -> None:
    story = Story()
    story.versions[Service.INTAKE] = 4
    waiting = story.received()
    effect = replace(story.starts(), cause=Cause(Service.INTAKE, 4))

    outcome = decide_all({}, [waiting, effect], HEARS, frozenset())

    assert outcome.changed == {story.subject: 10}
    assert [one.heard for one in outcome.waiting] == [waiting]
