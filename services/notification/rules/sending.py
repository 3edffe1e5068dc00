"""What becomes of a notice after an attempt to send it."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.notification.values import (
    Accepted,
    AttemptOutcome,
    Away,
    Close,
    GiveBack,
    GiveUp,
    Outcome,
    Postponed,
    PutOff,
    Refused,
    Ruling,
    Sent,
    Standing,
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


def rule(outcome: Outcome, attempt: int, standing: Standing) -> Ruling:
    """What is done with the notice whose n-th attempt came back; None: nothing.

    The lease of the attempt may have run out meanwhile. If it was accepted all the same, the notice was sent; anything
    else of it is left to the attempt that took its place.
    """
    is_ours = standing.state == "sending" and standing.attempts == attempt
    match judge(outcome, attempt):
        case Sent():
            return Close("sent") if standing.state in {"waiting", "sending"} else None
        case GiveUp(reason):
            return Close("failed", reason) if is_ours else None
        case TryAgain(after):
            return PutOff(after, standing.attempts) if is_ours else None
        case GiveBack():
            return PutOff(timedelta(0), standing.attempts - 1) if is_ours else None


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
