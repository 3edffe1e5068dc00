"""The frozen values that notification's rules, handlers, store and gateway share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal, TypeAlias

NoticeState: TypeAlias = Literal["waiting", "sending", "sent", "failed", "unreachable"]
AttemptOutcome: TypeAlias = Literal["accepted", "refused", "postponed", "unknown", "unsendable"]

EMAIL: Final = "email"

Parameters: TypeAlias = Mapping[str, str]
"""What a letter is filled in with: codes, names of units and procedures, instants (ISO 8601). Never personal data."""


class Template(StrEnum):
    """What a citizen is told; each has a text of its name in ``templates/``."""

    RECEIVED = "received"
    SUPPLEMENT_REQUESTED = "supplement_requested"
    SUPPLEMENT_RECEIVED = "supplement_received"
    FEE_REQUESTED = "fee_requested"
    LATE_APOLOGY = "late_apology"
    RESULT_READY = "result_ready"
    RESULT_HANDED_OVER = "result_handed_over"
    WITHDRAWN = "withdrawn"


# --- what is known -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Named:
    """A unit or a procedure as it is called in the newest version that was heard."""

    code: str
    version: int
    name: str


@dataclass(frozen=True, slots=True)
class ContactState:
    """Which version of a dossier's contact is here, and whether it was erased."""

    version: int
    erased: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """A version of a dossier's contact, sealed; both texts None: erased."""

    dossier: str
    version: int
    wrapped_key: str | None = field(repr=False)
    sealed: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Known:
    """What notices are decided by: names of units and procedures by code, contacts by dossier."""

    units: Mapping[str, Named]
    procedures: Mapping[str, Named]
    contacts: Mapping[str, ContactState]


# --- dossiers and their notices --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewNotice:
    """A notice that a rule wants written: which event it is about, what it says, whether anybody can be told."""

    source: str
    version: int
    template: Template
    parameters: Parameters
    traceparent: str | None
    reachable: bool


@dataclass(frozen=True, slots=True)
class Dossier:
    """What notices about a dossier need; written when its reception is heard, and ``origin`` again at its adoption."""

    id: str
    code: str
    procedure: str
    unit: str
    promise: datetime
    contact_version: int
    origin: str | None
    unsaved: tuple[NewNotice, ...] = ()
    is_new: bool = False
    is_adopted: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """A try to send a notice; ``provider_code`` is SMTP's reply code, where there was one."""

    number: int
    started: datetime
    ended: datetime | None
    outcome: AttemptOutcome | None
    provider_code: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice as it stands."""

    id: str
    dossier: str
    source: str
    version: int
    template: Template
    state: NoticeState
    reason: str | None
    written: datetime
    due_at: datetime
    closed: datetime | None
    attempts: tuple[Attempt, ...] = ()


@dataclass(frozen=True, slots=True)
class Claimed:
    """A notice on its way out: which attempt this is, and whether an earlier one may have arrived already."""

    id: str
    dossier: str
    source: str
    version: int
    template: Template
    parameters: Parameters
    written: datetime
    traceparent: str | None
    attempt: int
    maybe_repeated: bool
    contact: Contact | None


@dataclass(frozen=True, slots=True)
class NoticeDepth:
    """How many notices wait or are under way, since how many seconds the oldest, and how many were given up."""

    waiting: int
    oldest_seconds: float
    failed: int


# --- what becomes of a sending -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Accepted:
    """The provider took the message."""

    code: int


@dataclass(frozen=True, slots=True)
class Refused:
    """The provider will never take this message for this address."""

    code: int


@dataclass(frozen=True, slots=True)
class Postponed:
    """The provider did not take the message this time; ``code`` None: the connection was lost before the text.

    ``by_policy``: because of who we are, not for whom it was.
    """

    code: int | None
    by_policy: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """The connection was lost after the text had begun to go out: it may have arrived."""

    reason: Literal["connection_lost", "timed_out"]


@dataclass(frozen=True, slots=True)
class Unsendable:
    """Nothing left the house, and nothing will: the contact cannot be opened, holds no address, was erased, ..."""

    reason: str


@dataclass(frozen=True, slots=True)
class Away:
    """The provider takes nothing from us at all, whomever it is for."""

    reason: str
    code: int | None = None


Outcome: TypeAlias = Accepted | Refused | Postponed | Unknown | Unsendable | Away


@dataclass(frozen=True, slots=True)
class Attempted:
    """What came of a claimed notice, and the traceparent of the attempt."""

    claimed: Claimed
    outcome: Outcome
    traceparent: str | None


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of an attempt; ``provider_code`` is SMTP's reply code, where there was one."""

    notice: str
    number: int
    outcome: AttemptOutcome
    provider_code: int | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a notice stands when an attempt comes back; ``maybe_repeated``: another attempt may have arrived."""

    state: NoticeState
    attempts: int
    maybe_repeated: bool


@dataclass(frozen=True, slots=True)
class Sent:
    """Done."""


@dataclass(frozen=True, slots=True)
class TryAgain:
    """Not yet; once more after this time."""

    after: timedelta


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Never; ``reason`` is a code."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveBack:
    """It was no attempt: the notice waits as it did before."""


Verdict: TypeAlias = Sent | TryAgain | GiveUp | GiveBack


@dataclass(frozen=True, slots=True)
class Close:
    """A notice ends; ``reason`` is a code, None when it was sent."""

    state: Literal["sent", "failed"]
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class PutOff:
    """A notice waits once more, due after this time; ``attempts`` of it count."""

    after: timedelta
    attempts: int


Ruling: TypeAlias = Close | PutOff | None
