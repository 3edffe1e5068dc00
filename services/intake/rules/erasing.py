"""When a citizen's data may be erased (decision 0070): pure, on frozen values."""

from __future__ import annotations

from typing import Final

from services.intake.values import Dossier, Status

CLOSED: Final = frozenset({Status.REFUSED, Status.WITHDRAWN, Status.STOPPED, Status.RESULT_HANDED_OVER})
"""Nothing is owed to the citizen any more that would need his name or his address."""


def what_to_do_first(dossier: Dossier) -> str | None:
    """What stands between a dossier and the erasure of its data, as a sentence; None: nothing."""
    if dossier.status in CLOSED:
        return None
    if dossier.status is Status.RESULT_READY:
        return "hand the result over first: the citizen is known by what would be erased"
    return "let the dossier come to its end, or have it withdrawn, first: notices still need the contact"
