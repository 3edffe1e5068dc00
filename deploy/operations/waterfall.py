"""A walk as a waterfall: where each bar lies, in hundredths of the whole width."""

from __future__ import annotations

from dataclasses import dataclass

from deploy.journey.spans import Queue, Span
from deploy.journey.walks import Walk


@dataclass(frozen=True, slots=True)
class Bar:
    """A piece of time: begin and width in per cent of the walk."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Waited(Bar):
    """A time in a queue, in nanoseconds."""

    queue: Queue
    ns: int


@dataclass(frozen=True, slots=True)
class Line:
    """A step with its bars. ``after``: nanoseconds since the walk began; ``last``: on the last effect's way."""

    span: Span
    depth: int
    last: bool
    after: int
    waits: tuple[Waited, ...]
    work: Bar


def lines(walk: Walk) -> tuple[Line, ...]:
    """The lines of a walk, parents before what they caused."""
    whole = max(1, walk.ns)

    def bar(began: int, ended: int) -> tuple[float, float]:
        return round(100 * (began - walk.began) / whole, 3), round(100 * (ended - began) / whole, 3)

    return tuple(
        Line(
            step.span,
            step.depth,
            step.last,
            step.span.began - walk.began,
            tuple(Waited(*bar(one.began, one.ended), one.queue, one.ns) for one in step.waits),
            Bar(*bar(step.span.began, step.span.ended)),
        )
        for step in walk.all()
    )
