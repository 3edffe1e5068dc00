"""What a walk says of its steps: who waited where, and what the last effect's way was."""

from __future__ import annotations

from typing import Any

from deploy.journey.spans import Queue
from deploy.journey.walks import Walk, walk_of

MS = 1_000_000


def a_span(ident: str, parent: str | None, began: float, ended: float, **changed: Any) -> dict[str, Any]:
    """A span by its instants in milliseconds."""
    attributes = {"lienthong.stream": "s", **changed.pop("attributes", {})}
    given = {"name": ident, "service": "intake", "kind": "internal", "error": None, "attributes": attributes}
    return {"id": ident, "parent": parent, "began": int(began * MS), "ended": int(ended * MS), **given, **changed}


def a_walk(*spans: dict[str, Any], stream: str | None = None) -> Walk:
    walk = walk_of("t", spans, stream)
    assert walk is not None
    return walk


def told(walk: Walk) -> dict[str, list[tuple[Queue, float]]]:
    return {step.span.id: [(one.queue, one.ns / MS) for one in step.waits] for step in walk.all()}


def test_queues_lie_between_a_span_and_what_it_caused() -> None:
    walk = a_walk(
        a_span("request", None, 0, 10, kind="server"),
        a_span("decide", "request", 4, 9, attributes={"lienthong.waited.door": 0.003}),
        a_span("send", "decide", 12, 15, kind="producer"),
        a_span("process", "send", 40, 50, kind="consumer", attributes={"lienthong.waited.batch": 0.005}),
        a_span("send notice", "process", 57, 60),
    )

    assert told(walk) == {
        "request": [],
        "decide": [(Queue.DOOR, 3.0)],
        "send": [(Queue.OUTBOX, 3.0)],
        "process": [(Queue.TOPIC, 20.0), (Queue.BATCH, 5.0)],
        "send notice": [(Queue.SENDER, 7.0)],
    }
    assert (walk.ns / MS, walk.waiting / MS, walk.working / MS) == (60, 38, 22)


def test_what_lay_parked_waited_parked_however_long() -> None:
    walk = a_walk(
        a_span("send", None, 0, 1, kind="producer"),
        a_span("process", "send", 90_000, 90_001, kind="consumer", attributes={"lienthong.waited.parked": True}),
    )

    assert told(walk)["process"] == [(Queue.PARKED, 89_999.0)]


def test_a_hearer_that_was_quicker_than_the_acknowledgement_did_not_wait() -> None:
    walk = a_walk(
        a_span("send", None, 0, 10, kind="producer"),
        a_span("process", "send", 5, 12, kind="consumer", attributes={"lienthong.waited.batch": 0.001}),
    )

    assert told(walk)["process"] == []


def test_the_last_effect_s_way_leads_from_it_to_the_root() -> None:
    walk = a_walk(
        a_span("root", None, 0, 1),
        a_span("early", "root", 2, 3),
        a_span("late", "root", 2, 9),
        a_span("latest", "late", 10, 20),
    )

    assert [step.span.id for step in walk.all() if step.last] == ["root", "late", "latest"]


def test_a_command_in_bulk_is_shown_for_one_dossier_only() -> None:
    other = {"lienthong.stream": "other"}
    request = {**a_span("request", None, 0, 9), "attributes": {}}

    his = a_span("his", "request", 1, 2, attributes=other)
    walk = a_walk(request, a_span("mine", "request", 1, 2), his, stream="s")

    assert [step.span.id for step in walk.all()] == ["request", "mine"]


def test_a_trace_whose_beginning_is_gone_is_not_whole_but_shown() -> None:
    walk = a_walk(a_span("send", "gone", 5, 6, kind="producer"), a_span("process", "send", 7, 8, kind="consumer"))

    assert not walk.whole
    assert [step.span.id for step in walk.all()] == ["send", "process"]


def test_a_request_that_names_its_caller_s_trace_begins_here() -> None:
    walk = a_walk(a_span("request", "the caller's", 5, 6, kind="server"), a_span("decide", "request", 5, 6))

    assert walk.whole


def test_spans_that_name_each_other_as_parent_do_not_hang_anybody() -> None:
    walk = a_walk(a_span("a", "b", 0, 1), a_span("b", "a", 2, 3))

    assert walk.ns == 3 * MS
    assert len(list(walk.all())) == 2
    assert not walk.whole


def test_a_chain_without_end_is_cut_and_all_of_it_shown() -> None:
    chain = [a_span(str(number), str(number - 1) if number else None, number, number + 1) for number in range(3000)]

    walk = a_walk(*chain)

    assert len(list(walk.all())) == 3000


def test_of_nothing_there_is_no_walk() -> None:
    assert walk_of("t", []) is None
