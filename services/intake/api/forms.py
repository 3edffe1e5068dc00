"""What may be sent to intake."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from services.intake.handlers import door
from services.intake.values import ErasureReason, Leg, Procedure, Record, Submission
from shared.calendar import Term, TermUnit
from shared.events import Channel
from shared.http.commands import digest_of
from shared.http.fields import BusinessTime, Form, ShortText, Text
from shared.http.problems import Problem, RefusedError

Code = Annotated[str, Field(min_length=1, max_length=32, pattern=r"^[A-Za-z0-9._-]+$")]
DossierCode = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
"""A printed code (unit, date, ordinal) or a stream id."""
DossierId = Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
CommandId = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[\x21-\x7e]+$")]
Component = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")]
Email = Annotated[
    str,
    Field(max_length=254, pattern=r"^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63})+$"),
]
"""What HTML's input type=email takes, with a dot in the domain."""
IdNumber = Annotated[str, Field(pattern=r"^[A-Z0-9][A-Z0-9-]{5,19}$")]
"""An identity card (9 or 12 digits), a passport, or a business's number (10 digits, or 13 as 0101234567-001)."""
Phone = Annotated[str, Field(pattern=r"^\+?[0-9]{8,15}$")]

_NO_CONTACT: Final = "{}"


class ApplicantForm(Form):
    """Whose dossier it is. Sealed as it comes in; it never leaves intake."""

    name: ShortText
    id_number: IdNumber | None = None
    address: ShortText | None = None
    business: bool = False


class ContactForm(Form):
    """How the citizen can be told. It travels to notification as ciphertext."""

    email: Email | None = None
    phone: Phone | None = None


class RecordForm(Form):
    """Of a replayed dossier (role history): when it was received, what was promised, and what else was recorded.

    Without a promise it is the one that the receipt would have said: the procedure's term on the unit's calendar.
    """

    origin: Annotated[str, Field(pattern=r"^[a-z0-9._-]{1,64}$")]
    received: BusinessTime
    promise: BusinessTime | None = None
    attributes: dict[ShortText, ShortText] = Field(default={}, max_length=30)


class DossierForm(Form):
    """A dossier as it is handed in."""

    unit: Code
    procedure: Code
    channel: Channel
    applicant: ApplicantForm
    contact: ContactForm | None = None
    components: Annotated[tuple[Component, ...], Field(max_length=100)] = ()
    record: RecordForm | None = None


class ComingForm(Form):
    """What comes in for a dossier. ``at`` and ``by`` are the role history's: when, and who took it in."""

    at: BusinessTime | None = None
    by: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9._-]+$")] | None = None


class WithdrawalForm(ComingForm):
    """Nothing but the wish."""


class SupplementForm(ComingForm):
    """Papers that came in."""

    components: Annotated[tuple[Component, ...], Field(max_length=100)] = ()


class ResultForm(ComingForm):
    """How the result went out."""

    way: Literal["desk", "post", "online"] = "desk"


class ErasureForm(Form):
    """Why a citizen's data are erased, and which version of the dossier was seen by who decided it."""

    reason: ErasureReason
    seen: Annotated[int, Field(ge=1, le=2**31 - 1)]


class BulkSupplement(SupplementForm):
    """Papers that came in, among others."""

    kind: Literal["supplement"]


class BulkWithdrawal(WithdrawalForm):
    """A wish to have it back, among others."""

    kind: Literal["withdrawal"]


class BulkResult(ResultForm):
    """A result that went out, among others."""

    kind: Literal["result"]


class BulkComing(Form):
    """Something that comes in among others: its command's id and its dossier's stream id."""

    id: CommandId
    dossier: DossierId
    action: Annotated[BulkSupplement | BulkWithdrawal | BulkResult, Field(discriminator="kind")]


class BulkForm(Form):
    """At most 500, taken in their order in one transaction; each has its own outcome."""

    commands: Annotated[tuple[BulkComing, ...], Field(min_length=1, max_length=500)]


class BulkRecord(DossierForm):
    """A record among others, with its command's id."""

    id: CommandId
    record: RecordForm


class RecordsForm(Form):
    """At most 200 records of one desk or of several, numbered in their order; each has its own outcome."""

    records: Annotated[tuple[BulkRecord, ...], Field(min_length=1, max_length=200)]


class TermForm(Form):
    """A statutory term: a number and its unit; a same-day term has the value 0."""

    value: Annotated[int, Field(ge=0, le=3650)]
    unit: TermUnit


class LegForm(Form):
    """The part of the term that one level has."""

    level: Literal["commune", "town", "province"]
    term: TermForm


class ProcedureForm(Form):
    """A procedure of the catalogue. ``source`` says where term and fee come from."""

    code: Code
    name: Text
    sector: ShortText
    level: Literal["commune", "town", "province"]
    term: TermForm
    terms: dict[Channel, TermForm] = Field(default_factory=dict)
    fees: dict[Channel, Annotated[int, Field(ge=0, le=10_000_000_000)]] = Field(default_factory=dict)
    components: Annotated[int, Field(ge=0, le=1000)] | None = None
    result: Text | None = None
    source: ShortText
    route: Code | None = None
    legs: Annotated[tuple[LegForm, ...], Field(max_length=10)] = ()
    online_level: Annotated[int, Field(ge=1, le=4)] | None = None
    fee_note: ShortText | None = None


class CatalogueForm(Form):
    """At most 200 procedures, each code once."""

    procedures: Annotated[tuple[ProcedureForm, ...], Field(min_length=1, max_length=200)]


def wish_of(form: SupplementForm | WithdrawalForm | ResultForm) -> door.Wish:
    """What comes in."""
    match form:
        case SupplementForm():
            return door.Supplement(form.components)
        case ResultForm():
            return door.HandOut(form.way)
        case WithdrawalForm():
            return door.Withdrawal()


def coming_of(dossier: str, command: str, form: SupplementForm | WithdrawalForm | ResultForm) -> door.Coming:
    """It, with what a repeat is known by: what was not said changes no digest."""
    wish = wish_of(form)
    said = form.model_dump(mode="json", exclude={"kind"})
    said = {name: value for name, value in said.items() if name not in {"at", "by"} or value is not None}
    return door.Coming(dossier, command, digest_of([type(wish).__name__, said]), wish, form.at, form.by)


def submission_of(form: DossierForm) -> Submission:
    """What was handed in; whose it is and how to tell them as bytes that are sealed at once."""
    contact = form.contact.model_dump_json(exclude_none=True) if form.contact else _NO_CONTACT
    record = form.record
    return Submission(
        form.unit,
        form.procedure,
        form.channel,
        form.components,
        form.applicant.model_dump_json(exclude_none=True).encode(),
        contact.encode() if contact != _NO_CONTACT else None,
        Record(record.origin, record.received, record.promise, record.attributes) if record else None,
    )


def procedure_of(place: int, form: ProcedureForm) -> Procedure:
    """A procedure, at its place in the body. RefusedError for a term that is none."""
    return Procedure(
        form.code,
        0,
        form.name,
        form.sector,
        form.level,
        _term(f"/procedures/{place}/term", form.term),
        {channel: _term(f"/procedures/{place}/terms/{channel.value}", term) for channel, term in form.terms.items()},
        dict(form.fees),
        form.components,
        form.result,
        form.source,
        form.route,
        tuple(
            Leg(one.level, _term(f"/procedures/{place}/legs/{number}/term", one.term))
            for number, one in enumerate(form.legs)
        ),
        form.online_level,
        form.fee_note,
    )


def _term(field: str, form: TermForm) -> Term:
    try:
        return Term(form.value, form.unit)
    except ValueError as error:
        raise RefusedError(
            Problem(422, "bad-term", "The term is not acceptable", str(error), "correct the term", field)
        ) from None
