"""What the clients know of the town's dossiers, and which one comes to somebody's mind next."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

_HOT_SHARE: Final = 0.05
_REMEMBERED: Final = 400
_EXPONENT: Final = 0.5
"""With this one the first of a hundred dossiers has as much of the actions as the hot one."""

_ZIPF: Final = tuple(itertools.accumulate(rank**-_EXPONENT for rank in range(1, _REMEMBERED + 1)))


@dataclass(slots=True)
class Town:
    """The dossiers that clients act upon, the oldest first in their minds (Zipf), and one that everybody wants.

    ``expected`` came in, and lie on no officer's desk yet. ``shown`` is how a dossier was last seen on a screen.
    ``sleeping`` are left alone: nobody sets their clocks anew, so that every deadline of theirs is said once.
    ``ended`` came to their end; some of their citizens ask for the erasure of their data.
    """

    open: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    shown: dict[str, dict[str, Any]] = field(default_factory=dict)
    sleeping: set[str] = field(default_factory=set)
    ended: list[str] = field(default_factory=list)
    known_as_ended: set[str] = field(default_factory=set)
    hot: str | None = None

    def begun(self, dossier: str) -> None:
        """One more dossier lies on a desk; the first of all becomes the one that everybody wants."""
        self.expected.discard(dossier)
        if self.hot is None:
            self.hot = dossier
        else:
            self.open.append(dossier)

    def ready(self, dossier: str) -> None:
        """Its result is there: it is the first that comes to anybody's mind."""
        if dossier in self.open:
            self.open.remove(dossier)
            self.open.insert(0, dossier)

    def put_off(self, dossier: str) -> None:
        """Its citizen was sent away: it comes to mind after all others."""
        if dossier in self.open:
            self.open.remove(dossier)
            self.open.append(dossier)

    def closed(self, dossier: str) -> None:
        """Nothing more can be done with it."""
        self.shown.pop(dossier, None)
        if dossier in self.open:
            self.open.remove(dossier)

    def one_of(self, chance: Random) -> str | None:
        """The hot one in 5 of 100 cases; otherwise the n-th oldest as often as Zipf says. None: there is none."""
        if self.hot is not None and (chance.random() < _HOT_SHARE or not self.open):
            return self.hot
        remembered = self.open[:_REMEMBERED]
        if not remembered:
            return None
        return chance.choices(remembered, cum_weights=_ZIPF[: len(remembered)])[0]
