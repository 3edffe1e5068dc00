"""What intake makes of what routing and notification say: the dossier's status, end to end."""

from __future__ import annotations

from msgspec.structs import replace

from services.intake.values import Dossier, Place, Status
from shared.bus import Decided, Decision, Unchanged
from shared.envelope import Heard
from shared.events import (
    DeadlinePassed,
    DossierAdopted,
    DossierResumed,
    DossierWithdrawn,
    FeeRequested,
    HandedOver,
    NoticeFailed,
    NoticeSent,
    ResultReady,
    Scope,
    StageStarted,
    SupplementRequested,
)


def _answered(dossier: Dossier, wish: str) -> str | None:
    """What is still asked of routing after it answered one wish: a withdrawal is not answered by a resumed clock."""
    return None if dossier.requested == wish else dossier.requested


def _as_of(dossier: Dossier, heard: Heard) -> Dossier:
    return replace(dossier, as_of=max(dossier.as_of, heard.time))


def started(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """A stage began: received until the first one, in process from then on (status 2 -> 4)."""
    event = heard.event
    assert isinstance(event, StageStarted)
    if dossier is None:
        return Unchanged()
    begun = replace(_as_of(dossier, heard), status=Status.IN_PROCESS, due=event.due or dossier.due)
    here = Place(event.run, event.unit, event.stage)
    if not event.beside:
        return Decided(_at(begun, (here,)))
    others = [one for one in _places(dossier) if one.run in event.beside]
    return Decided(_at(begun, tuple(sorted([*others, here], key=lambda one: one.run))))


def _places(dossier: Dossier) -> tuple[Place, ...]:
    """Where it lies, as far as a stage has begun."""
    if dossier.places or dossier.at_unit is None or dossier.at_stage is None:
        return dossier.places
    return (Place(dossier.run, dossier.at_unit, dossier.at_stage),)


def _at(dossier: Dossier, places: tuple[Place, ...]) -> Dossier:
    """The dossier in one place, or in several."""
    first = places[0]
    return replace(
        dossier,
        at_unit=first.unit,
        at_stage=first.stage,
        run=first.run,
        places=places if len(places) > 1 else (),
    )


def handed_over(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """It changed hands: the receiver has it. Of several places one is done with, and it lies in the others."""
    event = heard.event
    assert isinstance(event, HandedOver)
    if dossier is None:
        return Unchanged()
    left = tuple(one for one in _places(dossier) if one.run in event.beside)
    if left:
        return Decided(_at(_as_of(dossier, heard), left))
    return Decided(replace(_as_of(dossier, heard), at_unit=event.receiver, places=()))


def waits_for_citizen(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """Papers or a fee are missing (status 5 or 6)."""
    if dossier is None:
        return Unchanged()
    if isinstance(heard.event, SupplementRequested):
        return Decided(
            replace(
                _as_of(dossier, heard),
                status=Status.WAITS_FOR_SUPPLEMENT,
                supplements=heard.event.nth,
                requested=_answered(dossier, "supplement"),
            )
        )
    assert isinstance(heard.event, FeeRequested)
    return Decided(replace(_as_of(dossier, heard), status=Status.WAITS_FOR_FEE))


def resumed(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """The clock runs again, with a later due instant; the promise on the receipt stays.

    What was late may be within its date again; if it is not, routing says so anew.
    """
    event = heard.event
    assert isinstance(event, DossierResumed)
    if dossier is None:
        return Unchanged()
    return Decided(
        replace(
            _as_of(dossier, heard),
            status=Status.IN_PROCESS,
            due=event.due,
            late=False,
            requested=_answered(dossier, "supplement"),
        )
    )


def deadline_passed(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """The dossier as a whole is late; a late stage alone is no news for the citizen."""
    event = heard.event
    assert isinstance(event, DeadlinePassed)
    if dossier is None or event.scope is not Scope.DOSSIER:
        return Unchanged()
    return Decided(replace(_as_of(dossier, heard), late=True))


def result_ready(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """The result lies at the desk (status 9)."""
    event = heard.event
    assert isinstance(event, ResultReady)
    if dossier is None:
        return Unchanged()
    return Decided(
        replace(_as_of(dossier, heard), status=Status.RESULT_READY, at_unit=event.unit, late=event.late, requested=None)
    )


def withdrawn(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """Given back on the citizen's wish (status 7)."""
    assert isinstance(heard.event, DossierWithdrawn)
    if dossier is None:
        return Unchanged()
    return Decided(replace(_as_of(dossier, heard), status=Status.WITHDRAWN, requested=None, places=()))


def adopted(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """A record became live: what comes in for it from now on comes in now."""
    assert isinstance(heard.event, DossierAdopted)
    if dossier is None:
        return Unchanged()
    return Decided(replace(_as_of(dossier, heard), origin=None))


def told(dossier: Dossier | None, heard: Heard, _: None) -> Decision[Dossier]:
    """What the citizen was told, or could not be."""
    if dossier is None:
        return Unchanged()
    if isinstance(heard.event, NoticeSent):
        return Decided(replace(dossier, notices_sent=dossier.notices_sent + 1))
    assert isinstance(heard.event, NoticeFailed)
    return Decided(replace(dossier, notices_failed=dossier.notices_failed + 1))
