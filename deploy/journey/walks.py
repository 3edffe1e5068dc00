"""One command's walk through the services, put together from its spans; and the way that its last effect went."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from deploy.journey.spans import Span, Wait, span_of, waits

_DEEPEST: Final = 200


@dataclass(frozen=True, slots=True)
class Step:
    """A span in the tree, with what it waited for. ``last``: the last effect came along this step."""

    span: Span
    waits: tuple[Wait, ...]
    depth: int
    last: bool
    causes: tuple[Step, ...]

    def all(self) -> Iterator[Step]:
        """This step and all that came of it, parents before children."""
        yield self
        for one in self.causes:
            yield from one.all()


@dataclass(frozen=True, slots=True)
class Walk:
    """A command with all its effects. ``whole`` is False when spans are missing at its root: too old, or dropped.

    A request may name a trace of its caller's; what he tells of himself is not ours to keep.

    Times are nanoseconds: ``ns`` from its first instant to its last effect, of which ``waiting`` in queues, along the
    way that the last effect went; what is left is work.
    """

    trace: str
    steps: tuple[Step, ...]
    began: int
    ended: int
    waiting: int
    whole: bool

    @property
    def ns(self) -> int:
        """From the first instant to the last effect."""
        return self.ended - self.began

    @property
    def working(self) -> int:
        """What is not waiting, along the last effect's way."""
        return self.ns - self.waiting

    def all(self) -> Iterator[Step]:
        """Every step, parents before children."""
        for one in self.steps:
            yield from one.all()

    @property
    def service(self) -> str:
        """The service that it began at."""
        return self.steps[0].span.service

    @property
    def name(self) -> str:
        """What was done: the decision's name, or what was asked for where nothing was decided."""
        for step in self.all():
            if step.span.kind == "internal":
                return step.span.name
        return self.steps[0].span.name

    @property
    def error(self) -> str | None:
        """The first thing that went wrong, by its class."""
        return next((step.span.error for step in self.all() if step.span.error), None)

    @property
    def events(self) -> tuple[str, ...]:
        """What was said because of it, each once, in order."""
        said = (step.span.event for step in self.all() if step.span.kind == "producer")
        return tuple(dict.fromkeys(one for one in said if one not in {None, "state"} and one))

    @property
    def services(self) -> tuple[str, ...]:
        """Who worked on it, in order."""
        return tuple(dict.fromkeys(step.span.service for step in self.all()))

    @property
    def streams(self) -> tuple[str, ...]:
        """What it was about."""
        return tuple(dict.fromkeys(one for step in self.all() if (one := step.span.stream)))


def walk_of(trace: str, rows: Sequence[Mapping[str, Any]], stream: str | None = None) -> Walk | None:
    """A trace as a walk; with a ``stream`` only what is about it (a command in bulk is about many). None if empty."""
    spans = {one.id: one for one in map(span_of, rows)}
    if stream is not None:
        spans = {ident: one for ident, one in spans.items() if one.stream in {stream, None}}
    if not spans:
        return None
    last = max(spans.values(), key=lambda one: (one.ended, one.began))
    parents = _parents(spans)
    way = _way(spans, parents, last)
    children: dict[str | None, list[Span]] = {}
    for one in spans.values():
        children.setdefault(parents[one.id], []).append(one)
    roots = sorted(children[None], key=_by_time)
    steps = tuple(_step(one, None, children, {each.id for each in way}, 0) for one in roots)
    began = min(one.began for one in spans.values())
    waiting = sum(wait.ns for one, parent in zip(way, [*way[1:], None], strict=True) for wait in waits(one, parent))
    return Walk(trace, steps, began, last.ended, waiting, whole=all(map(_begins, roots)))


def _begins(root: Span) -> bool:
    """Nothing of ours came before it."""
    return root.parent is None or root.kind == "server"


def _parents(spans: Mapping[str, Span]) -> dict[str, str | None]:
    """Each span's parent among these. A circle, or a chain that is deeper than any of ours, is cut: spans come from
    whoever sends them."""
    parents: dict[str, str | None] = {}
    depths: dict[str, int] = {}
    for one in sorted(spans.values(), key=_by_time):
        chain: list[Span] = []
        at: Span | None = one
        seen: set[str] = set()
        while at is not None and at.id not in depths and at.id not in seen:
            chain.append(at)
            seen.add(at.id)
            at = spans.get(at.parent or "")
        for each in reversed(chain):
            depth = depths.get(each.parent or "", _DEEPEST)
            is_below = depth < _DEEPEST
            parents[each.id], depths[each.id] = (each.parent, depth + 1) if is_below else (None, 0)
    return parents


def _way(spans: Mapping[str, Span], parents: Mapping[str, str | None], last: Span) -> list[Span]:
    """From the last effect back to where it began."""
    way = [last]
    while (parent := parents[way[-1].id]) is not None:
        way.append(spans[parent])
    return way


def _step(
    span: Span, parent: Span | None, children: Mapping[str | None, Sequence[Span]], way: set[str], depth: int
) -> Step:
    causes = tuple(
        _step(one, span, children, way, depth + 1) for one in sorted(children.get(span.id, ()), key=_by_time)
    )
    return Step(span, waits(span, parent), depth, span.id in way, causes)


def _by_time(span: Span) -> tuple[int, int]:
    return span.began, -span.ended
