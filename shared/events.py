"""The contract between the services: every event, who says it, and who hears it. Their topics are in `shared.topics`.

An event is a frozen past-tense fact. Only optional fields are ever added; a break is a new class with the suffix
``V2``. What surrounds the fact (identity, subject, version, the two times, the cause) is the envelope's affair
(`shared.envelope`). No event carries personal data: contacts travel as ciphertext on `CONTACT`, everything else
is codes, reasons and pseudonymous ids.
"""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, JsonValue

from shared.calendar import Term
from shared.topics import Service

# --- words that events share ---------------------------------------------------------------------------------------

DossierId = Annotated[str, Field(min_length=36, max_length=36, description="UUIDv7 of the dossier's stream")]
UnitCode = Annotated[str, Field(min_length=1, max_length=32, description="identity code of a unit, QCVN 102:2016")]
CalendarCode = Annotated[str, Field(min_length=1, max_length=32)]
ProcedureCode = Annotated[str, Field(min_length=1, max_length=32, description="national procedure code, e.g. 1.001193")]
OfficerId = Annotated[str, Field(min_length=1, max_length=64, description="pseudonymous id, never a name")]
StageName = Annotated[str, Field(min_length=1, max_length=120)]
ReasonCode = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]


class Channel(StrEnum):
    """How a dossier was handed in (KenhThucHien of the national portal: 1 direct, 2 online, 3 post)."""

    DESK = "desk"
    ONLINE = "online"
    POST = "post"


class StageRole(StrEnum):
    """Who sits at a stage: the desk, a commune's officer, a town division's specialist, a leader who signs."""

    DESK = "desk"
    OFFICER = "officer"
    SPECIALIST = "specialist"
    LEADER = "leader"


class Scope(StrEnum):
    """What a deadline belongs to: one stage, or the dossier as a whole (the promise)."""

    STAGE = "stage"
    DOSSIER = "dossier"


class _Frozen(BaseModel):
    # A hearer that is older than its speaker ignores the optional fields that it does not know yet.
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class Event(_Frozen):
    """A fact. Subclasses name their speaker; the docstring names the hearers."""

    said_by: ClassVar[Service]


# --- intake --------------------------------------------------------------------------------------------------------


class ProcedurePublished(Event):
    """A procedure's catalogue entry took effect. Intake says it; routing, notification and reporting hear it."""

    said_by: ClassVar = Service.INTAKE

    code: ProcedureCode
    name: str
    sector: str
    term: Term
    terms: dict[Channel, Term] = Field(default_factory=dict, description="where a channel has a term of its own")
    level: Literal["commune", "town", "province"]
    route: str | None = Field(default=None, description="of routing's; without one, the route of the level")


class DossierReceived(Event):
    """A dossier came in through the door. Intake says it; routing, notification and reporting hear it."""

    said_by: ClassVar = Service.INTAKE

    code: Annotated[str, Field(description="the printed code, Decree 61/2018 art. 26")]
    procedure: ProcedureCode
    procedure_version: int
    unit: UnitCode
    unit_version: int
    channel: Channel
    term: Term
    promise: AwareDatetime
    calendar: CalendarCode
    calendar_version: int
    contact_version: Annotated[int, Field(ge=0, description="version on the contact topic; 0: no contact given")] = 0
    attributes: dict[str, str] = Field(default_factory=dict, description="of a replayed record, as it was recorded")


class SupplementReceived(Event):
    """The citizen handed missing papers in. Intake says it; routing, notification and reporting hear it."""

    said_by: ClassVar = Service.INTAKE

    components: tuple[str, ...] = ()


class WithdrawalRequested(Event):
    """The citizen asked for the dossier back. Intake says it; routing and reporting hear it."""

    said_by: ClassVar = Service.INTAKE


class ResultHandedOver(Event):
    """The result was handed to the citizen. Intake says it; notification and reporting hear it."""

    said_by: ClassVar = Service.INTAKE

    way: Literal["desk", "post", "online"] = "desk"


class PersonalDataErased(Event):
    """A citizen's data were destroyed, and their key. Intake says it; notification and reporting hear it."""

    said_by: ClassVar = Service.INTAKE

    contact_version: Annotated[int, Field(ge=1, description="of the tombstone; no lower one is kept any more")]
    reason: ReasonCode


# --- routing -------------------------------------------------------------------------------------------------------


class CalendarPublished(Event):
    """A version of a working calendar took effect. Routing says it; intake and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    code: CalendarCode
    data: dict[str, JsonValue] = Field(description="shared.calendar.to_data")


class UnitPublished(Event):
    """A unit was set up or changed. Routing says it; intake, notification and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    code: UnitCode
    name: str
    level: Literal["commune", "town", "province", "replay"]
    parent: UnitCode | None = None
    calendar: CalendarCode
    valid_from: date
    valid_to: date | None = None


class RoutePublished(Event):
    """A version of a route took effect. Routing says it; intake hears it."""

    said_by: ClassVar = Service.ROUTING

    code: Annotated[str, Field(min_length=1, max_length=32)]
    level: Literal["commune", "town", "province"] | None = Field(
        default=None, description="of the procedures that take it when they name none"
    )
    length: Annotated[int, Field(ge=0)] = Field(
        description="of all its stages together, in shared.calendar.lengths; 0: its stages share whatever term there is"
    )


class StageStarted(Event):
    """A stage began and its clock runs. Routing says it; intake and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    stage: StageName
    run: Annotated[int, Field(ge=1)]
    unit: UnitCode
    role: StageRole | None = None
    officer: OfficerId | None = None
    budget_minutes: Annotated[int, Field(ge=0)] | None = None
    stage_due: AwareDatetime | None = None
    due: AwareDatetime | None = None
    generation: int = 1
    beside: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="of a branch: the runs that are open together with this one; any other is over"
    )


class HandedOver(Event):
    """A dossier changed hands; StageStarted of the receiver follows. Routing says it; intake and reporting hear it.

    Where the route forks, one of each branch follows, and the receiver is that of the first. Of a branch that is not
    the last to end (``beside``), none follows yet.
    """

    said_by: ClassVar = Service.ROUTING

    stage: StageName
    run: int
    giver: UnitCode
    giver_officer: OfficerId | None = None
    receiver: UnitCode
    receiver_officer: OfficerId | None = None
    late: bool = False
    back: bool = False
    reason: ReasonCode | None = None
    beside: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="of a branch: the runs that are still open; the receiver's stage waits for the last"
    )


class SupplementRequested(Event):
    """Papers are missing, the clock stands (status 5). Routing says it; intake, notification and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    run: int
    nth: Annotated[int, Field(ge=1, description="more than one counts against the agency (Decision 766, 2.1)")]
    components: tuple[str, ...] = ()
    reason: ReasonCode


class FeeRequested(Event):
    """A fee is due, the clock stands (status 6). Routing says it; intake, notification and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    run: int
    amount_vnd: Annotated[int, Field(ge=0, description="0: as on the notice of the office that sets it")]
    reason: ReasonCode


class StandsBeside(_Frozen):
    """Another run that is open together with the one that an event names."""

    run: Annotated[int, Field(ge=1)]
    stage_due: AwareDatetime


class DossierResumed(Event):
    """The clock runs again, credited with the working time it stood. Routing says it; intake and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    run: int
    credited_seconds: Annotated[int, Field(ge=0)]
    stage_due: AwareDatetime
    due: AwareDatetime
    generation: int
    beside: tuple[StandsBeside, ...] = Field(
        default=(), description="the other branches that are open: their clocks run again too"
    )


class DeadlineNear(Event):
    """A deadline comes close. Routing says it; reporting hears it."""

    said_by: ClassVar = Service.ROUTING

    scope: Scope
    run: int
    generation: int
    unit: UnitCode
    due: AwareDatetime


class DeadlineReached(Event):
    """The due instant has come. Routing says it; reporting hears it."""

    said_by: ClassVar = Service.ROUTING

    scope: Scope
    run: int
    generation: int
    unit: UnitCode
    due: AwareDatetime


class DeadlinePassed(Event):
    """The due date is over: late by the date. Routing says it; intake, notification and reporting hear it."""

    said_by: ClassVar = Service.ROUTING

    scope: Scope
    run: int
    generation: int
    unit: UnitCode
    due: AwareDatetime


class ResultReady(Event):
    """The work is done, the result lies at the desk (status 9). Routing says it; the other three hear it."""

    said_by: ClassVar = Service.ROUTING

    run: int
    unit: UnitCode
    due: AwareDatetime | None = None
    late: bool = False


class DossierWithdrawn(Event):
    """The dossier was given back on the citizen's wish (status 7). Routing says it; the other three hear it."""

    said_by: ClassVar = Service.ROUTING

    run: int


class DossierAdopted(Event):
    """A record became live: from now on it counts among what is where now. Routing says it; the other three hear it."""

    said_by: ClassVar = Service.ROUTING

    origin: Annotated[str, Field(min_length=1, max_length=200, description="the record that it came from")]
    run: int
    unit: UnitCode


# --- notification --------------------------------------------------------------------------------------------------


class NoticeSent(Event):
    """A notice was accepted by the provider. Notification says it; intake and reporting hear it."""

    said_by: ClassVar = Service.NOTIFICATION

    notice: str
    template: ReasonCode
    channel: Literal["email", "sms"]
    attempts: int
    maybe_repeated: bool = False


class NoticeFailed(Event):
    """A notice could not be delivered and is given up. Notification says it; intake and reporting hear it."""

    said_by: ClassVar = Service.NOTIFICATION

    notice: str
    template: ReasonCode
    channel: Literal["email", "sms"]
    attempts: int
    reason: ReasonCode


# --- the compacted contact topic -----------------------------------------------------------------------------------


class ContactGiven(_Frozen):
    """How a citizen can be reached, sealed. Intake says it; notification hears it.

    Not an event of a stream: the highest version wins, gaps are normal.

    ``sealed`` is a JWE under the dossier's data key, ``wrapped_key`` that key wrapped for the services that may read
    it (intake, notification). A record without a body (tombstone) erases both.
    """

    version: Annotated[int, Field(ge=1)]
    wrapped_key: str
    sealed: str
    given: datetime


def every_event() -> dict[str, type[Event]]:
    """Name of the event -> its class, for all that may travel."""
    return {cls.__name__: cls for cls in Event.__subclasses__()}
