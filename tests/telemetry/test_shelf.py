"""A shelf is bounded: by bytes, by age, the oldest go first, and a trace goes as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.receiver.otlp import span_rows
from deploy.receiver.shelf import TRACES, Bounds, Shelf
from tests.telemetry.conftest import a_request, a_span

LIMIT = 1024 * 1024


@dataclass(slots=True)
class Time:
    """The instant that the shelf is told."""

    now: float = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def shelf(tmp_path: Path, time: Time) -> Iterator[Shelf]:
    one = Shelf(TRACES, tmp_path / "traces.db", Bounds(LIMIT, 3600, 0), time)
    one.open()
    yield one
    one.close()


def keep(shelf: Shelf, time: Time, stream: str, spans: int = 1, **changed: Any) -> None:
    """Keep a trace of so many spans that arrives now."""
    root = a_span(stream, **changed)
    rest = [a_span(stream, trace_id=root.trace_id, parent_span_id=root.span_id) for _ in range(spans - 1)]
    assert shelf.keep(span_rows(a_request(root, *rest), time.now).rows) is None


def held(shelf: Shelf, stream: str) -> int:
    return len(shelf.ask("traces_of", stream=stream, reads=True, count=10_000))


def test_what_is_too_old_goes_even_when_nothing_comes(shelf: Shelf, time: Time) -> None:
    keep(shelf, time, "old")
    time.now += 3000
    keep(shelf, time, "young")

    time.now += 1000
    shelf.tidy()

    assert (held(shelf, "old"), held(shelf, "young")) == (0, 1)


def test_bytes_are_bounded_and_the_oldest_traces_go_first_and_whole(shelf: Shelf, time: Time) -> None:
    for number in range(600):
        time.now += 1
        keep(shelf, time, f"s{number}", spans=10, name="x" * 200)

    assert shelf.bytes <= LIMIT * 1.05
    there = [held(shelf, f"s{number}") for number in range(600)]
    first = there.index(1)
    assert 0 < first < 600
    assert there == [0] * first + [1] * (600 - first)
    ids = {row["id"] for row in shelf.ask("oldest_traces", count=10_000)}
    assert all(len(shelf.ask("spans_of", trace=one)) == 10 for one in ids)
    assert shelf.path.stat().st_size <= LIMIT * 1.3
    assert shelf.dropped == 0


def test_the_status_says_how_full_it_is_and_since_when(shelf: Shelf, time: Time) -> None:
    keep(shelf, time, "s", spans=3)
    time.now += 10

    status = shelf.status()

    assert (status["count"], status["oldest_seconds"], status["limit_bytes"]) == (1, 10.0, LIMIT)
    assert 0 < status["bytes"] < LIMIT
