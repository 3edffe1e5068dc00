"""Who may carry a stage out: officers who are known here act at their own unit, in the roles they hold on that day."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from services.routing.values import NotTheirs, Officer
from shared.events import StageRole


def appointed(versions: Sequence[Officer], day: date) -> Officer | None:
    """The appointment that holds on a day: the newest version that began by then, unless it has ended.

    ``versions`` newest first. None before the first one and after the last.
    """
    found = next((one for one in versions if one.valid_from <= day), None)
    return found if found is not None and (found.valid_to is None or day <= found.valid_to) else None


def not_theirs(versions: Sequence[Officer], unit: str, role: StageRole | None, day: date) -> NotTheirs | None:
    """Why a stage at a unit is not an officer's on a day; None when it is.

    Who has no appointment on record is not judged here: a town may run without a list of its officers.
    """
    if not versions:
        return None
    held = appointed(versions, day)
    if held is None:
        return NotTheirs(f"the officer has no appointment on {day}: somebody who is in office must do this")
    if held.unit != unit:
        return NotTheirs(
            f"the officer serves {held.unit} on {day}, and the stage is at {unit}: its own officers do this"
        )
    if role is not None and role not in held.roles:
        return NotTheirs(f"the stage wants the role {role}, which the officer does not hold on {day}")
    return None
