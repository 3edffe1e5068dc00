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
    """``until``: the loop's time; ``wait``: seconds, for next time; ``others``: some took theirs since it failed."""

    until: float = 0.0
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

    def put(self, failed: Mapping[Where, BaseException], now: float) -> None:
        """These did not. ``now`` is the loop's time."""
        for where, error in failed.items():
            one = self._places.setdefault(where, _LeftAlone())
            if not one.others:
                one.until = now + _SOON
                continue
            one.until, one.wait, one.others = now + one.wait, min(2 * one.wait, _LONGEST), False
            log.error(
                "partition_takes_nothing",
                extra={"topic": where[0], "partition": where[1], "error": type(error).__name__},
            )

    def now(self, at: float) -> list[str]:
        """What is left alone now, as the outbox is asked for the rest: ``topic/shard``, ``/shard`` of the own topic."""
        return [
            f"{topic if topic != self.own else ''}/{shard}"
            for (topic, shard), one in self._places.items()
            if at < one.until
        ]
