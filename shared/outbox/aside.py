"""Partitions that take nothing: one that is missing, or without a leader, must keep nobody else waiting."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Set
from dataclasses import dataclass, field
from typing import Final, TypeAlias

log = logging.getLogger(__name__)

Where: TypeAlias = tuple[str, int]
"""A topic and its partition."""

_SOON: Final = 2.0
_SHORTEST: Final = 15.0
_LONGEST: Final = 120.0


@dataclass(slots=True)
class _LeftAlone:
    """``seconds``: for how long, from when the outbox is read next; ``until`` (the loop's time): once it was.

    ``wait``: seconds, for next time; ``others``: some took theirs since it failed.
    """

    seconds: float = 0.0
    until: float | None = None
    wait: float = _SHORTEST
    others: bool = False


@dataclass(slots=True)
class Aside:
    """What a relay leaves alone, and for how long: twice as long each time, two minutes at most.

    While no other partition takes anything either, the broker is away, and all are tried again soon.
    """

    own: str
    _places: dict[Where, _LeftAlone] = field(default_factory=dict)

    def took(self, places: Set[Where]) -> None:
        """These took what they were sent."""
        for where in places & self._places.keys():
            del self._places[where]
        if places:
            for one in self._places.values():
                one.others = True

    def put(self, failed: Mapping[Where, BaseException]) -> None:
        """These did not."""
        for where, error in failed.items():
            one = self._places.setdefault(where, _LeftAlone())
            one.until = None
            if not one.others:
                one.seconds = _SOON
                continue
            one.seconds, one.wait, one.others = one.wait, min(2 * one.wait, _LONGEST), False
            log.error(
                "partition_takes_nothing",
                extra={"topic": where[0], "partition": where[1], "error": type(error).__name__},
            )

    def read(self, now: float) -> list[str]:
        """What is left alone when the outbox is read (the loop's time). Only here waiting begins: however long a relay
        takes to begin anew, after each failure the others have a turn."""
        for one in self._places.values():
            if one.until is None:
                one.until = now + one.seconds
        return self.named(now)

    def named(self, now: float) -> list[str]:
        """What is left alone now, as the outbox is asked for the rest: ``topic/shard``, ``/shard`` of the own topic."""
        return [
            f"{topic if topic != self.own else ''}/{shard}"
            for (topic, shard), one in self._places.items()
            if one.until is None or now < one.until
        ]
