"""The frozen values that intake's rules, handlers and store share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import IntEnum, StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct

from shared.calendar import Term, WorkingCalendar
from shared.events import Channel

Level: TypeAlias = Literal["commune", "town", "province"]


class Status(IntEnum):
    """The ten statuses of the national portal (TrangThaiHoSo); every dossier has exactly one."""

    SUBMITTED = 1
    RECEIVED = 2
    REFUSED = 3
    IN_PROCESS = 4
    WAITS_FOR_SUPPLEMENT = 5
    WAITS_FOR_FEE = 6
    WITHDRAWN = 7
    STOPPED = 8
    RESULT_READY = 9
    RESULT_HANDED_OVER = 10


@dataclass(frozen=True, slots=True)
class Leg:
    """A part of a term that one level has: the legs of a term add up to it, and each is promised on the receipt."""

    level: Level
    term: Term


@dataclass(frozen=True, slots=True)
class LegPromise:
    """Until when a level is to have done its part."""

    leg: Leg
    promise: datetime


@dataclass(frozen=True, slots=True)
class Procedure:
    """A procedure of the catalogue. Fees in dong; a channel without an entry has none that is known.

    ``route``: one of routing's; None: that of the level. ``online_level``: 1 to 4 (Circular 32/2017/TT-BTTTT), None
    where it is not known. ``fee_note``: what an amount alone does not say (by the page, set by the province).
    """

    code: str
    version: int
    name: str
    sector: str
    level: Level
    term: Term
    terms: Mapping[Channel, Term]
    fees: Mapping[Channel, int]
    components: int | None
    result: str | None
    source: str
    route: str | None = None
    legs: tuple[Leg, ...] = ()
    online_level: int | None = None
    fee_note: str | None = None

    def term_for(self, channel: Channel) -> Term:
        """The term of a channel: its own, or the general one."""
        return self.terms.get(channel, self.term)


@dataclass(frozen=True, slots=True)
class NotPublishable:
    """Why a procedure cannot be published: its place among those sent, the field, what is wrong, what to do."""

    place: int
    field: str
    name: str
    detail: str
    do: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of what the town says it offers is in the catalogue: ``figure`` is the town's own, ``whose`` says so."""

    loaded: int
    figure: int
    whose: str

    @property
    def share(self) -> float:
        return self.loaded / self.figure


@dataclass(frozen=True, slots=True)
class Unit:
    """A copy of a version of a unit of routing's: what it is from a day on, until a later version's day."""

    code: str
    version: int
    name: str
    level: str
    calendar: str
    valid_from: date
    valid_to: date | None


@dataclass(frozen=True, slots=True)
class Known:
    """What a reception is decided by. Of each unit every version, newest first; of calendars the newest."""

    units: Mapping[str, tuple[Unit, ...]]
    procedures: Mapping[str, Procedure]
    calendar_versions: Mapping[str, int]
    calendars: Mapping[tuple[str, int], WorkingCalendar]


@dataclass(frozen=True, slots=True)
class Record:
    """What a replayed dossier brings with it (role history). Without a promise it gets that of its term."""

    origin: str
    received: datetime
    promise: datetime | None
    attributes: Mapping[str, str]


class Submission(Struct, frozen=True):
    """A dossier as it is handed in. ``personal`` and ``contact`` are JSON texts that are sealed at once."""

    unit: str
    procedure: str
    channel: Channel
    components: tuple[str, ...]
    personal: bytes
    contact: bytes | None
    record: Record | None = None


class Accepted(Struct, frozen=True):
    """A submission that may be received: what the receipt will say, save its number."""

    unit: Unit
    procedure: Procedure
    term: Term
    received: datetime
    day: date
    promise: datetime
    calendar: str
    calendar_version: int
    holidays_known: bool
    legs: tuple[LegPromise, ...] = ()


@dataclass(frozen=True, slots=True)
class NotAccepted:
    """Why a submission cannot be received: the field, what is wrong with it, and what to do.

    ``passes``: by itself, once a message has arrived that is on its way.
    """

    field: str
    name: str
    detail: str
    do: str
    passes: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Where one of several open runs of a dossier is."""

    run: int
    unit: str
    stage: str


class Dossier(Struct, frozen=True):
    """A dossier end to end: what came in through the door, and what routing and notification said of it.

    ``places``: while several runs are open, each of them, ascending; ``at_unit``, ``at_stage`` and ``run`` are those of
    the first.
    """

    id: str
    code: str
    unit: str
    procedure: str
    procedure_version: int
    channel: Channel
    received: datetime
    promise: datetime
    calendar: str
    calendar_version: int
    components: tuple[str, ...]
    origin: str | None
    attributes: Mapping[str, str]
    status: Status
    due: datetime
    at_unit: str | None
    at_stage: str | None
    run: int
    late: bool
    supplements: int
    requested: str | None
    notices_sent: int
    notices_failed: int
    as_of: datetime
    places: tuple[Place, ...] = ()


class ErasureReason(StrEnum):
    """Why a citizen's data are erased; which law that rests on is for the head who decides it (decision 0070)."""

    ASKED_BY_CITIZEN = "asked_by_citizen"
    RETENTION_OVER = "retention_over"
    COLLECTED_UNLAWFULLY = "collected_unlawfully"
    WRONG_PERSON = "wrong_person"
    ORDERED = "ordered"


@dataclass(frozen=True, slots=True)
class Citizen:
    """The sealed data of a dossier's citizen, for the table and for the contact topic."""

    dossier: str
    wrapped_key: str = field(repr=False)
    applicant: str = field(repr=False)
    contact: str | None = field(repr=False)
    contact_version: int = 0
