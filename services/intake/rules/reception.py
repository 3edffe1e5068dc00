"""Reception: whether a submission can be received, the promise, and the printed code."""

from __future__ import annotations

from datetime import date, datetime
from typing import Final

from services.intake.values import Accepted, Known, NotAccepted, Record, Submission, Unit
from shared.calendar import due_of_term

_LARGEST_ORDINAL: Final = 9_999_999


def receive(submission: Submission, known: Known, now: datetime) -> Accepted | NotAccepted:
    """What the receipt will say (Circular 01/2018/TT-VPCP, form 01), or why it cannot be written.

    The promise is the term of the procedure for the channel, counted on the unit's calendar from the reception; a
    replayed record brings its own. The day of reception is a date at the unit's place, not in UTC.
    """
    unit = known.units.get(submission.unit)
    if unit is None:
        return NotAccepted("/unit", "unknown-unit", "no such unit", "use a code of /routing/units")
    procedure = known.procedures.get(submission.procedure)
    if procedure is None:
        return NotAccepted("/procedure", "unknown-procedure", "no such procedure", "search /intake/procedures")
    version = known.calendar_versions.get(unit.calendar)
    if version is None:
        return NotAccepted("/unit", "no-calendar", "the unit's calendar is not known here yet", "try again in a second")
    calendar = known.calendars[unit.calendar, version]
    term = procedure.term_for(submission.channel)
    record = submission.record
    unfit = _unfit_record(record, unit, now)
    if unfit is not None:
        return unfit
    received = record.received if record else now
    day = calendar.day_of(received)
    gone = _not_in_office(unit, day)
    if gone is not None:
        return gone
    promise = record.promise if record else due_of_term(calendar, received, term)
    return Accepted(unit, procedure, term, received, day, promise, unit.calendar, version)


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


def _not_in_office(unit: Unit, day: date) -> NotAccepted | None:
    if unit.valid_from <= day and (unit.valid_to is None or day <= unit.valid_to):
        return None
    return NotAccepted(
        "/unit", "unit-not-in-office", "the unit did not exist on that day", "use the unit that has its duties then"
    )


def printed_code(unit: str, day: date, ordinal: int) -> str:
    """Identity code of the receiving unit, date as yymmdd, ordinal of the day (Circular 01/2018 art. 19).

    Four digits, as many more as it takes up to seven (Decision 20/2020); ValueError beyond.
    """
    if not 1 <= ordinal <= _LARGEST_ORDINAL:
        raise ValueError("a desk cannot receive that many dossiers in a day")
    return f"{unit}-{day:%y%m%d}-{ordinal:04}"
