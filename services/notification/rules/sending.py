"""What becomes of a notice after an attempt to send it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.notification.values import (
    Accepted,
    AttemptOutcome,
    Away,
    GiveBack,
    GiveUp,
    Outcome,
    Postponed,
    Refused,
    Sent,
    TryAgain,
    Unknown,
    Unsendable,
    Verdict,
)

MOST_ATTEMPTS: Final = 8
"""Spread over half a day by `pause_after`."""

_FIRST_PAUSE: Final = timedelta(minutes=1)
_LONGEST_PAUSE: Final = timedelta(hours=4)


def judge(outcome: Outcome, attempt: int) -> Verdict:
    """Sent, once more later, never, or as if nothing had been tried (the provider is away: it burns no attempt)."""
    match outcome:
        case Accepted():
            return Sent()
        case Away():
            return GiveBack()
        case Refused():
            return GiveUp("refused_by_provider")
        case Unsendable(reason):
            return GiveUp(reason)
        case Postponed():
            return GiveUp("too_many_attempts") if attempt >= MOST_ATTEMPTS else TryAgain(pause_after(attempt))
        case Unknown():
            return GiveUp("outcome_unknown") if attempt >= MOST_ATTEMPTS else TryAgain(pause_after(attempt))


def pause_after(attempt: int) -> timedelta:
    """How long to wait after the n-th attempt (from 1): a minute, four times as long each time, four hours at most."""
    times: int = 4 ** min(attempt - 1, 10)
    return min(_FIRST_PAUSE * times, _LONGEST_PAUSE)


def outcome_name(outcome: Outcome) -> AttemptOutcome | None:
    """How an outcome is written down; None for one that was no attempt."""
    match outcome:
        case Accepted():
            return "accepted"
        case Refused():
            return "refused"
        case Postponed():
            return "postponed"
        case Unknown():
            return "unknown"
        case Unsendable():
            return "unsendable"
        case Away():
            return None
