"""How long terms are beside each other, before any calendar is asked: for adding up and comparing, never for a due day.

Five working days are a calendar week, and eight hours a working day. A same-day term adds nothing to those that follow.
"""

from typing import Final

from shared.calendar.terms import Term, TermUnit

PER_DAY: Final = 160
"""A length is counted in 160ths of a calendar day, so that a quarter of each unit is a whole number."""

LENGTHS: Final = {
    TermUnit.CALENDAR_DAY: PER_DAY,
    TermUnit.WORKING_DAY: PER_DAY * 7 // 5,
    TermUnit.HOUR: PER_DAY * 7 // 40,
    TermUnit.SAME_DAY: 0,
}


def length_of(term: Term) -> int:
    """The length of a term, in 160ths of a calendar day."""
    return term.value * LENGTHS[term.unit]
