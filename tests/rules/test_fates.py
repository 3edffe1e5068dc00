"""The table of fates, row by row, and what holds for every order of delivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.bus.fates import (
    Candidate,
    Fates,
    LastHeard,
    Stream,
    ToBury,
    ToPark,
    candidate_of,
    hold_back,
    sort_out,
    unreadable,
)
from shared.envelope import Cause, Envelope, Heard, Malformed, Record, UnknownWord, Unreadable
from shared.events import DossierReceived, Event, StageStarted, SupplementReceived, WithdrawalRequested
from shared.topics import Service
from tests.telling import Story, record_of

HEARS: frozenset[type[Event]] = frozenset({DossierReceived, SupplementReceived, StageStarted})
SOURCES = frozenset({Service.INTAKE, Service.ROUTING})


def candidate(heard: Heard, *, offset: int = 0, parked_id: int | None = None) -> Candidate:
    return candidate_of(record_of(heard, offset), heard, parked_id)


def malformed(heard: Heard, parked_id: int | None = None) -> Candidate:
    return candidate_of(record_of(heard), Malformed(_envelope(heard), "code: missing"), parked_id)


def unknown(heard: Heard) -> Candidate:
    return candidate_of(record_of(heard), UnknownWord(_envelope(heard), "type Later"))


def _envelope(heard: Heard) -> Envelope:
    return Envelope(*(getattr(heard, name) for name in Envelope.__struct_fields__))


def last(heard: Heard, parked: int = 0) -> dict[Stream, LastHeard]:
    return {(heard.subject, heard.source): LastHeard(heard.version, heard.id, parked)}


def fates(*candidates: Candidate, last: dict[Stream, LastHeard] | None = None) -> Fates:
    return sort_out(candidates, last or {}, HEARS, SOURCES)


def a_stream(count: int = 4) -> list[Heard]:
    story = Story()
    return [story.received(), *(story.say(SupplementReceived()) for _ in range(count - 1))]


def test_the_next_version_is_heard_and_remembered_with_its_id() -> None:
    first, second, *_ = a_stream()

    found = fates(candidate(second), last=last(first))

    assert [one.decoded for one in found.hear] == [second]
    assert found.last == last(second)
    assert (found.park, found.bury, found.settled) == ([], [], [])


def test_a_repeat_is_dropped() -> None:
    first, second, *_ = a_stream()

    found = fates(candidate(first), candidate(second), last=last(second))

    assert (found.hear, found.park, found.bury, found.repeats, found.last) == ([], [], [], 2, last(second))


def test_a_repeat_that_lay_parked_is_settled() -> None:
    first, *_ = a_stream()

    assert fates(candidate(first, parked_id=7), last=last(first)).settled == [7]


def test_the_same_version_with_another_id_is_a_fork_and_holds_nothing() -> None:
    first, second, *_ = a_stream()
    other = replace(first, id="01900000-0000-7000-8000-000000000001")

    found = fates(candidate(other), candidate(second), last=last(first))

    assert [one.reason for one in found.bury] == ["fork: this version was heard with another id"]
    assert [one.decoded for one in found.hear] == [second]
    assert (found.forks, found.last) == (1, last(second))


def test_after_a_void_nobody_can_tell_a_fork() -> None:
    first, *_ = a_stream()

    found = fates(candidate(first), last={(first.subject, first.source): LastHeard(1, None)})

    assert (found.forks, found.repeats, found.bury) == (0, 1, [])


def test_a_gap_parks_what_comes_after_it_until_it_closes() -> None:
    first, second, third, fourth = a_stream()

    gap = fates(candidate(fourth), candidate(third), last=last(first))
    closed = fates(candidate(second), candidate(fourth, parked_id=1), candidate(third, parked_id=2), last=last(first))

    assert [(one.candidate.envelope.version, one.reason, one.waits_for) for one in gap.park] == [
        (3, "gap: version 2 is missing", None),
        (4, "gap: version 2 is missing", None),
    ]
    assert [one.envelope.version for one in closed.hear] == [2, 3, 4]
    assert sorted(closed.settled) == [1, 2]


def test_a_type_that_the_table_passes_over_only_advances_the_version() -> None:
    story = Story()
    said = [story.received(), story.say(WithdrawalRequested()), story.say(SupplementReceived())]

    found = fates(*map(candidate, said))

    assert [one.envelope.version for one in found.hear] == [1, 3]
    assert (found.passed_over, found.last) == (1, last(said[2]))


def test_an_effect_waits_for_its_cause_whatever_comes_first() -> None:
    story = Story()
    cause = story.received()
    effect = story.starts(because=cause)

    alone = fates(candidate(effect))
    together = fates(candidate(effect), candidate(cause))
    later = fates(candidate(effect, parked_id=3), last=last(cause))

    assert [(one.reason, one.waits_for) for one in alone.park] == [("its cause intake 1 is missing", "cause:intake")]
    assert [one.decoded for one in together.hear] == [cause, effect]
    assert ([one.decoded for one in later.hear], later.settled) == ([effect], [3])


def test_a_cause_at_a_speaker_that_is_not_listened_to_is_not_waited_for() -> None:
    story = Story()
    effect = replace(story.starts(), cause=Cause(Service.NOTIFICATION, 9))

    assert [one.decoded for one in fates(candidate(effect)).hear] == [effect]


def test_causes_and_effects_in_a_ladder_are_heard_in_one_go() -> None:
    story = Story()
    received = story.received()
    started = story.starts(because=received)
    supplement = replace(story.say(SupplementReceived()), cause=Cause(Service.ROUTING, 1))
    resumed = story.starts(run=2, because=supplement)

    found = fates(*map(candidate, (resumed, supplement, started, received)))

    assert [one.decoded for one in found.hear] == [received, started, supplement, resumed]


def test_an_unknown_word_waits_for_a_release_and_the_rest_behind_it() -> None:
    first, second, third, _ = a_stream()

    found = fates(candidate(third), unknown(second), candidate(first))

    assert [one.envelope.version for one in found.hear] == [1]
    assert [(one.reason, one.waits_for) for one in found.park] == [
        ("unknown type Later", "release"),
        ("gap: version 2 is missing", None),
    ]


def test_a_malformed_body_is_a_dead_letter_that_holds_its_version() -> None:
    first, second, third, _ = a_stream()

    found = fates(candidate(first), malformed(second), candidate(third))

    assert [(one.reason, one.envelope) for one in found.bury] == [("code: missing", _envelope(second))]
    assert [one.candidate.envelope.version for one in found.park] == [3]
    assert found.last == last(first)


def test_a_good_copy_of_a_malformed_one_is_heard() -> None:
    first, second, third, _ = a_stream()

    found = fates(malformed(first), candidate(first, offset=9), candidate(second), malformed(third))

    assert [one.envelope.version for one in found.hear] == [1, 2]
    assert len(found.bury) == 2


def test_a_malformed_one_that_lay_parked_lies_there_no_more() -> None:
    first, second, *_ = a_stream()

    found = fates(malformed(second, parked_id=5), last=last(first))

    assert (found.bury[0].parked_id, found.settled) == (5, [5])


def test_an_unreadable_record_is_of_no_stream() -> None:
    record = Record("intake.dossier", 0, 0, None, (), None)

    assert unreadable(record, Unreadable("empty body")) == ToBury(record, "empty body")


def test_one_subject_never_keeps_another_back() -> None:
    held, free = a_stream(), a_stream()

    found = fates(*(malformed(one) for one in held), *map(candidate, free))

    assert [one.decoded for one in found.hear] == free


# --- what a hearer could not decide yet ------------------------------------------------------------------------------


def test_what_a_hearer_cannot_decide_yet_is_parked_with_what_it_waits_for() -> None:
    said = a_stream(3)
    stream = (said[0].subject, Service.INTAKE)
    found = fates(*map(candidate, said))

    hold_back(found, {stream: {2: "unit:H41", 3: None}}, {})

    assert [one.envelope.version for one in found.hear] == [1]
    assert [(one.candidate.envelope.version, one.reason, one.waits_for) for one in found.park] == [
        (2, "unit:H41 is not known here", "unit:H41"),
        (3, "gap: one before it waits", None),
    ]
    assert found.last[stream] == LastHeard(1, said[0].id)


def test_what_was_passed_over_behind_it_is_taken_back_as_well() -> None:
    story = Story()
    received, request = story.received(), story.say(WithdrawalRequested())
    stream = (story.subject, Service.INTAKE)
    found = fates(candidate(received), candidate(request))

    hold_back(found, {stream: {1: "procedure:1"}}, {stream: LastHeard(0, None, 4)})

    assert [one.candidate.envelope.version for one in found.park] == [1, 2]
    assert found.last[stream] == LastHeard(0, None, 4)


def test_what_lay_parked_and_has_to_wait_again_is_not_settled_by_its_own_repeat() -> None:
    """A record that came again after a restart, while its first copy lay parked: one of them must stay."""
    first, *_ = a_stream()
    stream = (first.subject, first.source)
    for order in ([candidate(first), candidate(first, parked_id=7)], [candidate(first, parked_id=7), candidate(first)]):
        found = fates(*order)

        hold_back(found, {stream: {1: "unit:H41"}}, {})

        assert [one.candidate.parked_id for one in found.park] == [7]
        assert (found.settled, found.hear, found.last[stream].version) == ([], [], 0)


# --- every order of delivery -----------------------------------------------------------------------------------------


@dataclass
class Hearing:
    """A hearer in memory: what the database keeps between batches, without the database."""

    last: dict[Stream, LastHeard] = field(default_factory=dict)
    parked: dict[int, Candidate] = field(default_factory=dict)
    heard: list[Heard] = field(default_factory=list)
    drawn: int = 0

    def hear(self, candidates: Sequence[Candidate], knows: frozenset[str], again: Sequence[str] = ()) -> Fates:
        subjects = {one.envelope.subject for one in candidates} | set(again)
        lying = [one for one in self.parked.values() if one.envelope.subject in subjects]
        before = dict(self.last)
        found = sort_out([*candidates, *lying], before, HEARS, SOURCES)
        waits: dict[Stream, dict[int, str | None]] = {}
        for one in found.hear:
            behind = one.stream in waits or (
                one.envelope.cause is not None and (one.envelope.subject, one.envelope.cause.source) in waits
            )
            if behind or one.envelope.subject not in knows:
                waits.setdefault(one.stream, {})[one.envelope.version] = None if behind else "unit:H41"
        if waits:
            hold_back(found, waits, before)
        self.last = found.last
        for ident in found.settled:
            del self.parked[ident]
        for waiting in found.park:
            self._park(waiting)
        self.heard += [one.decoded for one in found.hear if isinstance(one.decoded, Heard)]
        return found

    def _park(self, waiting: ToPark) -> None:
        one = waiting.candidate
        lies = one.parked_id is not None or any(other.record == one.record for other in self.parked.values())
        if not lies:
            self.drawn += 1
            self.parked[self.drawn] = replace(one, parked_id=self.drawn)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[list[list[Heard]], list[list[Candidate]]]:
    """Some subjects of which two services speak, causing each other; delivered in any order, again and again."""
    stories: list[list[Heard]] = []
    for _ in range(draw(st.integers(1, 3))):
        story = Story()
        for _ in range(draw(st.integers(1, 6))):
            event: Event = draw(
                st.sampled_from([SupplementReceived(), WithdrawalRequested(), StageStarted(stage="s", run=1, unit="u")])
            )
            others = [one for one in story.said if one.source != event.said_by]
            story.say(event, because=draw(st.sampled_from(others) | st.none()) if others else None)
        stories.append(story.said)
    everything = [one for story in stories for one in story]
    again = draw(st.lists(st.sampled_from(everything), max_size=10))
    order = draw(st.permutations([candidate(one, offset=place) for place, one in enumerate(everything + again)]))
    cuts = sorted(draw(st.lists(st.integers(0, len(order)), max_size=6)))
    return stories, [list(order[a:b]) for a, b in zip([0, *cuts], [*cuts, len(order)], strict=True)]


@given(deliveries())
def test_every_order_of_delivery_ends_with_the_same_versions_heard_in_the_same_order(
    delivered: tuple[list[list[Heard]], list[list[Candidate]]],
) -> None:
    stories, batches = delivered
    subjects = frozenset(story[0].subject for story in stories)
    hearing = Hearing()

    for batch in batches:
        hearing.hear(batch, subjects)

    assert hearing.parked == {}
    for story in stories:
        _is_heard_in_order(hearing, story)


@given(deliveries(), st.data())
def test_what_becomes_known_late_changes_only_when_it_is_heard(
    delivered: tuple[list[list[Heard]], list[list[Candidate]]], data: st.DataObject
) -> None:
    stories, batches = delivered
    subjects = sorted(story[0].subject for story in stories)
    hearing, knows = Hearing(), frozenset[str]()

    for batch in batches:
        hearing.hear(batch, knows)
        knows |= data.draw(st.sets(st.sampled_from(subjects)))
    hearing.hear([], frozenset(subjects), subjects)

    assert hearing.parked == {}
    for story in stories:
        _is_heard_in_order(hearing, story)


def _is_heard_in_order(hearing: Hearing, story: list[Heard]) -> None:
    heard = [one for one in hearing.heard if one.subject == story[0].subject]
    for source in SOURCES:
        said = [one for one in story if one.source == source]
        assert [one for one in heard if one.source == source] == [one for one in said if type(one.event) in HEARS]
        if said:
            assert hearing.last[said[0].subject, source].version == len(said)
    for place, one in enumerate(heard):
        if one.cause is not None:
            causes = {(other.source, other.version) for other in story if type(other.event) in HEARS}
            if (one.cause.source, one.cause.version) in causes:
                before = {(other.source, other.version) for other in heard[:place]}
                assert (one.cause.source, one.cause.version) in before
