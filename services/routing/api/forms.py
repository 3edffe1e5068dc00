"""What may be sent to routing."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from services.routing import values
from services.routing.values import Command
from shared.events import StageRole
from shared.http.commands import digest_of
from shared.http.fields import BusinessTime, Form, ShortText

Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Officer = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
Component = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
# A record's own words, as long as they may be in an event.
RecordedStage = Annotated[ShortText, Field(max_length=120)]
RecordedUnit = Annotated[ShortText, Field(max_length=32)]
RecordedOfficer = Annotated[ShortText, Field(max_length=64)]
DossierId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]


def _written_day(value: object) -> object:
    """Pydantic takes 5 and "5" for seconds since 1970."""
    if isinstance(value, date) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("day", "is written like 2019-05-04")


Day = Annotated[date, BeforeValidator(_written_day), Field(ge=date(1900, 1, 1), le=date(2200, 12, 31))]


class CalendarForm(Form):
    """A calendar's data: zone, weekly hours, days off, make-up days (see ``shared.calendar.to_data``)."""

    data: dict[str, JsonValue]


class UnitForm(Form):
    """A unit as of a day."""

    name: ShortText
    level: Literal["commune", "town", "province", "replay"]
    parent: Code | None = None
    calendar: Code
    valid_from: Day
    valid_to: Day | None = None
    head: Officer | None = None


class OfficerForm(Form):
    """An appointment as of a day: at which unit, in which roles, for which sectors (none: every one)."""

    unit: Code
    roles: Annotated[tuple[StageRole, ...], Field(min_length=1, max_length=4)]
    sectors: Annotated[tuple[ShortText, ...], Field(max_length=100)] = ()
    valid_from: Day
    valid_to: Day | None = None


class HandOver(Form):
    """On to the next stage of the route."""

    kind: Literal["hand_over"]
    officer: Officer | None = None


class SendBack(Form):
    """Back to the stage before."""

    kind: Literal["send_back"]
    reason: Reason


class RequestSupplement(Form):
    """Papers are missing: the clock stands."""

    kind: Literal["request_supplement"]
    components: tuple[Component, ...] = Field(default=(), max_length=50)
    reason: Reason


class RequestFee(Form):
    """A fee is due: the clock stands."""

    kind: Literal["request_fee"]
    amount_vnd: Annotated[int, Field(ge=1, le=10_000_000_000)]
    reason: Reason


class Resume(Form):
    """The clock runs again."""

    kind: Literal["resume"]


class Finish(Form):
    """The result lies at the desk."""

    kind: Literal["finish"]


class RecordStep(Form):
    """A step of a replayed record, at its own time (role history)."""

    kind: Literal["record_step"]
    stage: RecordedStage
    unit: RecordedUnit
    officer: RecordedOfficer | None = None
    at: BusinessTime


ActionForm = Annotated[
    HandOver | SendBack | RequestSupplement | RequestFee | Resume | Finish | RecordStep, Field(discriminator="kind")
]


class CommandForm(Form):
    """One officer's wish. ``seen``: the version that was on his screen; only recorded steps may leave it out."""

    seen: Annotated[int, Field(ge=0)] | None = None
    action: ActionForm


class BulkCommand(CommandForm):
    """A command among others: its own id and dossier."""

    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
    dossier: DossierId


class BulkForm(Form):
    """At most 500 commands, carried out in their order in one transaction; each has its own outcome."""

    commands: Annotated[tuple[BulkCommand, ...], Field(min_length=1, max_length=500)]


def officer_of(ident: str, form: OfficerForm) -> values.Officer:
    """The appointment that a form asks for, its roles and sectors in one order."""
    return values.Officer(
        ident,
        0,
        form.unit,
        tuple(role for role in StageRole if role in form.roles),
        tuple(sorted(set(form.sectors))),
        form.valid_from,
        form.valid_to,
    )


def command_of(ident: str, dossier: str, form: CommandForm) -> Command:
    """The command that a form asks for. Its digest covers what is wanted, not what was seen: that may be newer."""
    action = form.action
    wanted: values.Action
    match action:
        case HandOver():
            wanted = values.HandOver(action.officer)
        case SendBack():
            wanted = values.SendBack(action.reason)
        case RequestSupplement():
            wanted = values.RequestSupplement(action.components, action.reason)
        case RequestFee():
            wanted = values.RequestFee(action.amount_vnd, action.reason)
        case Resume():
            wanted = values.Resume()
        case Finish():
            wanted = values.Finish()
        case RecordStep():
            wanted = values.RecordStep(action.stage, action.unit, action.officer, action.at)
    return Command(ident, dossier, form.seen, wanted, digest_of(action.model_dump(mode="json")))
