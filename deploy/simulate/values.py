"""What a plan is made of: dossiers, and what is done to each, when and by whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, TypeAlias

Door: TypeAlias = Literal["intake", "routing"]
End: TypeAlias = Literal["closed", "ready", "open"]
"""At the period's end: over for everybody; the result lies at the desk; still on its way."""


@dataclass(frozen=True, slots=True)
class Act:
    """Something that is done to a dossier, at one of two doors. ``by`` None: by the citizen, through the portal.

    ``run``: of which of several open stages; None while there is one.
    """

    door: Door
    at: datetime
    action: Mapping[str, Any]
    by: str | None
    run: int | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """A dossier from its reception to the end of the period. ``body`` is what is posted to intake; ``late`` by date."""

    id: str
    body: Mapping[str, Any]
    received: datetime
    acts: tuple[Act, ...]
    end: End
    late: bool


@dataclass(frozen=True, slots=True)
class Figures:
    """What a plan adds up to. ``late``: of those whose work is done, those done after their due date."""

    received: int
    desk: int
    online: int
    post: int
    finished: int
    late: int
    withdrawn: int
    handed_out: int
    hand_overs: int
    supplements: int
    open: int
    ready: int
    acts: int

    @property
    def late_share(self) -> float:
        """Between 0 and 1; 0 when nothing was finished."""
        return self.late / self.finished if self.finished else 0.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A period of the town: every dossier in the order of its reception."""

    origin: str
    period: str
    until: datetime
    courses: tuple[Course, ...]
    busiest: Mapping[str, float]
    """Units whose officers had most to do: the part of their working time that was taken."""
