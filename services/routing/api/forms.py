"""What may be sent to routing."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

from services.routing import values
from services.routing.values import Command
from shared.calendar import TermUnit
from shared.events import StageRole
from shared.http.commands import digest_of
from shared.http.fields import BusinessTime, Form, ShortText
from shared.http.problems import Problem, RefusedError

Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
Officer = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Reason = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[a-z0-9_]+$")]
Component = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
StageCode = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[a-z0-9_]+$")]
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
    """Back to the stage before; to the branch that is named, where branches came before."""

    kind: Literal["send_back"]
    reason: Reason
    stage: StageCode | None = None


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


class Adopt(Form):
    """What is still open of a record becomes live (role history)."""

    kind: Literal["adopt"]


ActionForm = Annotated[
    HandOver | SendBack | RequestSupplement | RequestFee | Resume | Finish | RecordStep | Adopt,
    Field(discriminator="kind"),
]


class CommandForm(Form):
    """One officer's wish. ``seen``: the version that was on his screen; only the role history may leave it out.

    ``at`` and ``by`` are the role history's: when it happened to a record, and which officer did it. Not in the future,
    and not before the record's last entry. ``run``: which of the open stages it is about; needed only while there are
    several.
    """

    seen: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    run: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    action: ActionForm
    at: BusinessTime | None = None
    by: Officer | None = None

    @model_validator(mode="after")
    def _one_time(self) -> Self:
        if self.at is not None and isinstance(self.action, RecordStep | Adopt):
            raise PydanticCustomError("one_time", "leave at out: a recorded step has its own, an adoption happens now")
        if self.run is not None and isinstance(self.action, RecordStep | Adopt):
            raise PydanticCustomError(
                "no_run", "leave run out: a recorded step begins one, an adoption is of the whole"
            )
        return self


class BulkCommand(CommandForm):
    """A command among others: its own id and dossier."""

    id: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
    dossier: DossierId


class BulkForm(Form):
    """At most 500 commands, carried out in their order in one transaction; each has its own outcome."""

    commands: Annotated[tuple[BulkCommand, ...], Field(min_length=1, max_length=500)]


class BudgetForm(Form):
    """A stage's own time; quarters of a day or of an hour may be given."""

    value: Annotated[float, Field(ge=0, le=3650, multiple_of=0.25)]
    unit: TermUnit


class StageForm(Form):
    """A step of a route: where, who, and how long (a share of the term, or a budget of its own).

    ``parallel``: it runs beside its neighbours that are so too; the stage after them joins.
    """

    name: StageCode
    kind: values.StageKind = "work"
    parallel: Annotated[bool, Field(strict=True)] = False
    place: values.Place
    unit: Code | None = None
    role: StageRole | None = None
    share: Annotated[int, Field(ge=0, le=1000)] = 0
    budget: BudgetForm | None = None


class RouteForm(Form):
    """The stages that procedures pass through, in order. ``level``: of those that take it when they name none."""

    level: Literal["commune", "town", "province"] | None = None
    stages: Annotated[tuple[StageForm, ...], Field(min_length=1, max_length=30)]


def route_of(code: str, form: RouteForm) -> values.Route:
    """The route that a form asks for. RefusedError for a budget that is none."""
    stages = tuple(
        values.Stage(
            one.name,
            one.place,
            one.role,
            one.share,
            _budget(number, one.budget) if one.budget else None,
            one.unit,
            one.kind,
            one.parallel,
        )
        for number, one in enumerate(form.stages)
    )
    return values.Route(code, form.level, stages, 0)


def _budget(number: int, form: BudgetForm) -> values.Budget:
    quarters = int(form.value * 4)
    whole_only = form.unit is TermUnit.CALENDAR_DAY and quarters % 4
    if whole_only or (form.unit is TermUnit.SAME_DAY) != (quarters == 0):
        detail = "a calendar day is not divided, a same-day budget has the value 0, and any other more"
        field = f"/stages/{number}/budget/value"
        raise RefusedError(
            Problem(422, "bad-budget", "The budget is not acceptable", detail, "correct the budget", field)
        )
    return values.Budget(quarters, form.unit)


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
            wanted = values.SendBack(action.reason, action.stage)
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
        case Adopt():
            wanted = values.Adopt()
    # What came later is left out where it is not said: the digest of a command that was stored before stays the same.
    later = {"stage"} if isinstance(action, SendBack) and action.stage is None else None
    asked = action.model_dump(mode="json", exclude=later)
    if form.at is not None or form.by is not None:
        asked = {"action": asked, "at": form.at.isoformat() if form.at else None, "by": form.by}
    if form.run is not None:
        asked = {"asked": asked, "run": form.run}
    return Command(ident, dossier, form.seen, wanted, digest_of(asked), form.at, form.by, form.run)
