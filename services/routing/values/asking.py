"""What officers may ask for, and why it is not done."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class HandOver:
    """To the next stage of the route; ``officer`` names who takes it there, if that is known.

    Of a branch: it is done. The last that is done hands over to the stage that joins.
    """

    officer: str | None = None


@dataclass(frozen=True, slots=True)
class SendBack:
    """To the stage before, with a reason; ``stage`` names it where there are several (what joins says which branch)."""

    reason: str
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class RequestSupplement:
    """Papers are missing: the clock stands until the citizen brings them."""

    components: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class RequestFee:
    """A fee is to be paid: the clock stands until it is."""

    amount_vnd: int
    reason: str


@dataclass(frozen=True, slots=True)
class Resume:
    """What the clock waited for has come (paid, or no longer needed)."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The last stage is done: the result lies at the desk."""


@dataclass(frozen=True, slots=True)
class RecordStep:
    """A step of a replayed record, at its own time: role history only."""

    stage: str
    unit: str
    officer: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Adopt:
    """What is still open of a record becomes live: role history only."""


Action: TypeAlias = HandOver | SendBack | RequestSupplement | RequestFee | Resume | Finish | RecordStep | Adopt


@dataclass(frozen=True, slots=True)
class Command:
    """An officer's wish: its own id, the version that he saw (None: role history), the action.

    ``at`` and ``by``, from the role history only: when it happened, and which officer did it. ``run``: which of the
    open runs it is about; it may be left out while there is one.
    """

    id: str
    dossier: str
    seen: int | None
    action: Action
    digest: bytes
    at: datetime | None = None
    by: str | None = None
    run: int | None = None

    @property
    def is_of_the_past(self) -> bool:
        """Only the role history may ask for this, and only of what is a record."""
        return self.at is not None or self.by is not None or isinstance(self.action, RecordStep | Adopt)


@dataclass(frozen=True, slots=True)
class NotTheirs:
    """An officer who is known here, and is not the one for this stage; ``do`` says who is."""

    do: str


@dataclass(frozen=True, slots=True)
class Refused:
    """The action does not fit where the dossier is. ``code`` for machines, ``do`` for people."""

    code: str
    do: str
