"""What was done to a river, by its name, and how long it took to be over it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

MAILS_IN_FLIGHT: Final = 32
"""That a sender has under way at most, as it is set: so many may be repeated when it is killed."""


@dataclass(frozen=True, slots=True)
class Undone:
    """An entry of a journal that a restore took back. ``is_first``: it was not said because of another."""

    subject: str
    version: int
    type: str
    actor: str | None
    is_first: bool


@dataclass(slots=True)
class Tally:
    """What was done, by its name, and how long it took to be over it (evidence, never asserted)."""

    done: Counter[str] = field(default_factory=Counter)
    recovered: dict[str, list[float]] = field(default_factory=dict)
    forged: dict[tuple[str, int, int], str] = field(default_factory=dict)
    """(topic, partition, offset) of records that nobody said, and what is wrong with each."""
    lost: dict[str, dict[str, set[int]]] = field(default_factory=dict)
    """By topic and subject the versions that some hearer may have lost: those alone may be published again."""
    last_lost: list[tuple[str, str, int]] = field(default_factory=list)
    """(source, subject, version) of last events that were lost while all before them were heard."""
    stepped: timedelta | None = None
    """By how much the clock was wrong for a while: what was recorded then lies so far ahead of what came after."""
    lived: list[tuple[datetime, datetime]] = field(default_factory=list)
    """Where time was turned: from when until when the river was awake, and had said by the end all that was due."""
    undone: dict[str, dict[str, Undone]] = field(default_factory=dict)
    """By speaker and id what its journal lost when it was restored from an older copy."""

    looked_at: int = 0
    """How often it was looked whether a process that was to run did run."""
    ended_by_itself: list[str] = field(default_factory=list)
    """Processes that were gone when somebody struck at them, or when all was over, and their last words."""
    told_to_end: int = 0
    had_to_be_killed: list[str] = field(default_factory=list)
    """Processes that did not end when they were told to."""

    def took(self, what: str, seconds: float) -> None:
        """One more time to recovery."""
        self.recovered.setdefault(what, []).append(seconds)

    @property
    def mails_cut_off(self) -> int:
        """How many mails in flight may have been cut off from whoever was to write down that they went out."""
        whole = ("notification ended", "notification suspended", "postgres ended")
        half = ("mail ended", "mail cut off")  # of the others the answer is known already
        return sum(MAILS_IN_FLIGHT * self.done[what] for what in whole) + sum(
            MAILS_IN_FLIGHT // 2 * self.done[what] for what in half
        )


def described(tally: Tally) -> dict[str, Any]:
    """The tally as figures: counts, and of every recovery its median and its longest, in seconds."""
    figures: dict[str, Any] = dict(sorted(tally.done.items()))
    for what, seconds in sorted(tally.recovered.items()):
        ordered = sorted(seconds)
        figures[what] = {
            "times": len(ordered),
            "median_s": round(ordered[len(ordered) // 2], 2),
            "longest_s": round(ordered[-1], 2),
        }
    return figures
