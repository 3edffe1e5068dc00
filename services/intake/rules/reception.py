"""Reception: whether a submission can be received, the promise, and the printed code."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from services.intake.values import Accepted, Known, LegPromise, NotAccepted, Procedure, Record, Submission, Unit
from shared.calendar import CalendarError, Term, WorkingCalendar, due_of_term

_LARGEST_ORDINAL: Final = 9_999_999


def receive(submission: Submission, known: Known, now: datetime) -> Accepted | NotAccepted:
    """What the receipt will say (Circular 01/2018/TT-VPCP, form 01), or why it cannot be written.

    The promise is the term of the procedure for the channel, counted on the unit's calendar from the reception; a
    replayed record may bring its own. The day of reception is a date at the unit's place, not in UTC.
    """
    versions = known.units.get(submission.unit)
    if not versions:
        return NotAccepted("/unit", "unknown-unit", "no such unit", "use a code of /routing/units")
    procedure = known.procedures.get(submission.procedure)
    if procedure is None:
        return NotAccepted("/procedure", "unknown-procedure", "no such procedure", "search /intake/procedures")
    record = submission.record
    unfit = _unfit_record(record, versions[0], now)
    if unfit is not None:
        return unfit
    received = record.received if record else now
    desk = _desk_at(versions, received, known)
    if isinstance(desk, NotAccepted):
        return desk
    promise = (record.promise if record else None) or _promise(desk.calendar, received, procedure, submission)
    if isinstance(promise, NotAccepted):
        return promise
    return Accepted(
        desk.unit,
        procedure,
        procedure.term_for(submission.channel),
        received,
        desk.day,
        promise,
        desk.calendar.code,
        desk.calendar.version,
        holidays_known=desk.calendar.knows(desk.day) and desk.calendar.knows(desk.calendar.day_of(promise)),
        legs=() if record else _legs(desk.calendar, received, procedure, submission),
    )


@dataclass(frozen=True, slots=True)
class _Desk:
    unit: Unit
    calendar: WorkingCalendar
    day: date


def _desk_at(versions: Sequence[Unit], received: datetime, known: Known) -> _Desk | NotAccepted:
    """The version of the unit that holds on the day of reception: the newest that has begun by then.

    A version that is published ahead (a merger on the first of July) changes nothing before its day.
    """
    # Nowhere is the date more than one day ahead of UTC's: the calendar of a version far ahead is not asked for.
    latest = received.astimezone(UTC).date() + timedelta(days=1)
    for unit in (one for one in versions if one.valid_from <= latest):
        newest = known.calendar_versions.get(unit.calendar)
        if newest is None:
            return NotAccepted(
                "/unit",
                "no-calendar",
                "the unit's calendar is not known here yet",
                "try again in a second",
                passes=True,
            )
        calendar = known.calendars[unit.calendar, newest]
        day = calendar.day_of(received)
        if unit.valid_from <= day:
            if unit.valid_to is None or day <= unit.valid_to:
                return _Desk(unit, calendar, day)
            break
    return NotAccepted(
        "/unit", "unit-not-in-office", "the unit did not exist on that day", "use the unit that has its duties then"
    )


def _promise(
    calendar: WorkingCalendar, received: datetime, procedure: Procedure, submission: Submission
) -> datetime | NotAccepted:
    try:
        return due_of_term(calendar, received, procedure.term_for(submission.channel))
    except CalendarError:
        return NotAccepted(
            "/unit",
            "no-due-day",
            "the unit's calendar has no day on which the term ends",
            "have the calendar corrected",
        )


def _legs(
    calendar: WorkingCalendar, received: datetime, procedure: Procedure, submission: Submission
) -> tuple[LegPromise, ...]:
    """What is promised for each level's part, one after the other (form 01, items 6 and 7).

    Legs belong to the general term: a channel with a term of its own has none. The last leg's is the promise itself.
    """
    if procedure.term_for(submission.channel) != procedure.term:
        return ()
    promised: list[LegPromise] = []
    days = 0
    for leg in procedure.legs:
        days += leg.term.value
        promised.append(LegPromise(leg, due_of_term(calendar, received, Term(days, leg.term.unit))))
    return tuple(promised)


def _unfit_record(record: Record | None, unit: Unit, now: datetime) -> NotAccepted | None:
    """A replay unit has no desk: it takes records only. And what has not happened yet is no record."""
    if record is None:
        if unit.level != "replay":
            return None
        return NotAccepted("/unit", "replay-unit", "the unit holds replayed records only", "use the unit of the desk")
    if record.received > now:
        return NotAccepted(
            "/record/received", "not-yet", "the record's time has not come yet", "send when it really was received"
        )
    return None


def printed_code(unit: str, day: date, ordinal: int) -> str:
    """Identity code of the receiving unit, date as yymmdd, ordinal of the day (Circular 01/2018 art. 19).

    Four digits, as many more as it takes up to seven (Decision 20/2020); ValueError beyond.
    """
    if not 1 <= ordinal <= _LARGEST_ORDINAL:
        raise ValueError("a desk cannot receive that many dossiers in a day")
    return f"{unit}-{_written(day)}-{ordinal:04}"


@lru_cache(maxsize=64)
def _written(day: date) -> str:
    return f"{day:%y%m%d}"
