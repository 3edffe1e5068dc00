"""What a recorded log becomes here: for each case a dossier and its steps, with ids that are the same every time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from deploy.replay.xes import BadLogError, Log, RecordedCase, RecordedEvent, check_text, instant_of
from deploy.sample.calendars import amsterdam_calendar
from shared.calendar import Term, TermUnit, WorkingCalendar, due_of_term, to_data
from shared.events import Channel

UNIT: Final = "REPLAY.NL"
CALENDAR: Final = "REPLAY.NL"
PROCEDURE: Final = "REPLAY.WABO"
ORIGIN: Final = "replay.receipt-log"

APPLICANT: Final = "(không ghi trong nhật ký)"
"""The log names no applicants."""

NO_GROUP: Final = "EMPTY"
"""How the log writes that no group did it: then it was the replay unit itself."""

TERM: Final = Term(56, TermUnit.CALENDAR_DAY)
"""Eight weeks (Wabo, article 3.9); the log's deadline lies 56 days after its start in 1,080 of 1,434 cases."""

CHANNELS: Final[Mapping[str, Channel]] = {
    "internet": Channel.ONLINE,
    "e-mail": Channel.ONLINE,
    "desk": Channel.DESK,
    "intern": Channel.DESK,
    "post": Channel.POST,
}

DEADLINE: Final = "deadline"
CHANNEL: Final = "channel"
DATES: Final = ("startdate", "enddate", "enddate_planned", DEADLINE)
KEPT: Final = (*DATES, CHANNEL, "department", "group", "responsible")
"""Attributes of a case that stay with its dossier, as written. Not all of them: a log may hold remarks, and what stands
in a dossier's record travels in events, where no personal data may be."""

_IDS: Final = UUID("7f0c1d0e-6a4e-5d0b-9a57-4f2a53c5e0a1")
_FIRST_YEAR, _LAST_YEAR = 1990, 2040


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """A step: its command's id, and the action to be sent."""

    id: str
    action: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class PlannedCase:
    """A dossier: the Idempotency-Key and the body of its reception, and its steps in order."""

    case: str
    key: str
    body: Mapping[str, Any]
    steps: tuple[PlannedStep, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that will be sent. ``hand_overs``: steps whose officer is not the one of the step before."""

    cases: tuple[PlannedCase, ...]
    hand_overs: int
    without_deadline: int
    without_channel: int

    @property
    def steps(self) -> int:
        return sum(len(case.steps) for case in self.cases)


def replay_calendar() -> WorkingCalendar:
    """The calendar of the replay unit. Its years are fixed, so that every log finds the same version of it."""
    return amsterdam_calendar(CALENDAR, first_year=_FIRST_YEAR, last_year=_LAST_YEAR)


def calendar_body(calendar: WorkingCalendar) -> dict[str, Any]:
    """Body of PUT /routing/calendars/{CALENDAR}."""
    return {"data": to_data(calendar)}


def unit_body() -> dict[str, Any]:
    """Body of PUT /routing/units/{UNIT}."""
    return {
        "name": "Nhật ký tiếp nhận phát lại (Hà Lan)",
        "level": "replay",
        "calendar": CALENDAR,
        "valid_from": date(_FIRST_YEAR, 1, 1).isoformat(),
    }


def procedures_body() -> dict[str, Any]:
    """Body of PUT /intake/procedures: the permit whose receipt phase the log records."""
    procedure = {
        "code": PROCEDURE,
        "name": "Giấy phép môi trường (omgevingsvergunning), giai đoạn tiếp nhận",
        "sector": "Phát lại nhật ký",
        "level": "town",
        "term": {"value": TERM.value, "unit": TERM.unit.value},
        "source": "Wabo 3.9: tám tuần / eight weeks",
    }
    return {"procedures": [procedure]}


def plan(log: Log, calendar: WorkingCalendar, now: datetime, limit: int | None = None) -> Plan:
    """Plan the whole log, in the order of reception, or its first cases. Raises BadLogError for what cannot be sent.

    The whole log is planned even when only some of it is sent: a bad file is known before anything is sent.
    """
    of_log = uuid5(_IDS, log.digest)
    for case in log.cases:
        if case.events[-1].at > now:
            raise BadLogError(f"{_where(case)} has events that lie in the future: a record holds what has happened.")
    planned = [(_planned(case, uuid5(of_log, case.id), calendar), case) for case in log.cases]
    planned.sort(key=lambda pair: pair[1].events[0].at)
    chosen = planned[:limit]
    return Plan(
        tuple(one for one, _ in chosen),
        sum(_hand_overs(case) for _, case in chosen),
        sum(DEADLINE not in case.attributes for _, case in chosen),
        sum(CHANNEL not in case.attributes for _, case in chosen),
    )


def promise_of(deadline: datetime, calendar: WorkingCalendar) -> datetime:
    """What was promised by a recorded deadline: its date at the unit's place; the time of day is an artefact.

    The instant is the close of office hours on that date. A date on which the office is shut (113 in the receipt log)
    is kept, with the hour at which the office closes on the next day that it works.
    """
    day = calendar.day_of(deadline)
    close = calendar.local(calendar.close_of(calendar.working_day_from(day)))
    return datetime.combine(day, close.time(), tzinfo=close.tzinfo)


def _planned(case: RecordedCase, ident: UUID, calendar: WorkingCalendar) -> PlannedCase:
    where = _where(case)
    kept = {key: case.attributes[key] for key in KEPT if key in case.attributes}
    dates: dict[str, datetime] = {}
    for key, text in kept.items():
        check_text(where, key, text)
        if key in DATES:
            try:
                dates[key] = instant_of(text)
            except ValueError as error:
                raise BadLogError(f"{where}: {key} {error}.") from None
    received = case.events[0].at
    # A record without a deadline has the statutory term; that it has no attribute "deadline" stays visible.
    promise = promise_of(dates[DEADLINE], calendar) if DEADLINE in dates else due_of_term(calendar, received, TERM)
    body = {
        "unit": UNIT,
        "procedure": PROCEDURE,
        "channel": _channel(where, kept.get(CHANNEL)).value,
        "applicant": {"name": APPLICANT},
        "record": {
            "origin": ORIGIN,
            "received": received.isoformat(),
            "promise": promise.isoformat(),
            "attributes": {"case": case.id, **kept},
        },
    }
    steps = tuple(PlannedStep(f"{ident}/{number}", _step(event)) for number, event in enumerate(case.events, 1))
    return PlannedCase(case.id, str(ident), body, steps)


def _where(case: RecordedCase) -> str:
    return f"Case {case.id[:60]} (line {case.line})"


def _channel(where: str, name: str | None) -> Channel:
    """The channel of a recorded one. A case that names none counts as handed in at the desk."""
    if name is None:
        return Channel.DESK
    channel = CHANNELS.get(name.casefold())
    if channel is None:
        raise BadLogError(f"{where}: the channel {name!r} is unknown; known are Internet, e-mail, Desk, Intern, Post.")
    return channel


def _step(event: RecordedEvent) -> dict[str, Any]:
    return {
        "kind": "record_step",
        "stage": event.activity,
        "unit": UNIT if event.group in {None, NO_GROUP} else event.group,
        "officer": event.resource,
        "at": event.at.isoformat(),
    }


def _hand_overs(case: RecordedCase) -> int:
    pairs = zip(case.events, case.events[1:], strict=False)
    return sum(before.resource != after.resource for before, after in pairs)
