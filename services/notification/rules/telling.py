"""What a citizen is told of what happened to the dossier.

Only codes, names of units and procedures, status and dates go into a letter: others read it too (domain page, 7.1).
A replayed record (``origin``) is told to nobody, until it is adopted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from services.notification.values import Dossier, Known, Named, NewNotice, Template
from shared.bus import Decided, Decision, Unchanged, WaitsFor
from shared.envelope import Heard
from shared.events import (
    DeadlinePassed,
    DossierAdopted,
    DossierReceived,
    DossierWithdrawn,
    FeeRequested,
    PersonalDataErased,
    ResultHandedOver,
    ResultReady,
    Scope,
    SupplementReceived,
    SupplementRequested,
)


def received(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """A dossier came in: its code, procedure, unit and promise (Decree 61/2018 art. 17: receipt with the due date).

    Waits until what the letter names, and the contact that it goes to, are here.
    """
    event = heard.event
    assert isinstance(event, DossierReceived)
    if dossier is not None:
        return Unchanged()
    fresh = Dossier(
        heard.subject,
        event.code,
        event.procedure,
        event.unit,
        event.promise,
        event.contact_version,
        heard.origin,
        is_new=True,
    )
    if heard.origin is not None:
        return Decided(fresh)
    contact = known.contacts.get(heard.subject)
    if (contact.version if contact else 0) < event.contact_version:
        return WaitsFor(f"contact:{heard.subject}")
    procedure = _named(known.procedures, event.procedure, event.procedure_version)
    if procedure is None:
        return WaitsFor(f"procedure:{event.procedure}")
    unit = _named(known.units, event.unit, event.unit_version)
    if unit is None:
        return WaitsFor(f"unit:{event.unit}")
    return _told(
        fresh,
        heard,
        known,
        Template.RECEIVED,
        procedure=procedure.name,
        unit=unit.name,
        received=_written(heard.time),
        promise=_written(event.promise),
    )


def supplement_requested(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """Papers are missing (status 5): where to bring them."""
    assert isinstance(heard.event, SupplementRequested)
    return _told_with_unit(dossier, heard, known, Template.SUPPLEMENT_REQUESTED)


def supplement_received(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """Missing papers came in: that they are here, and that the clock runs again."""
    assert isinstance(heard.event, SupplementReceived)
    return _told_with_unit(dossier, heard, known, Template.SUPPLEMENT_RECEIVED)


def fee_requested(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """A fee is to be paid (status 6). The amount stands on the receipt, not in a letter that others read."""
    assert isinstance(heard.event, FeeRequested)
    return _told_with_unit(dossier, heard, known, Template.FEE_REQUESTED)


def deadline_passed(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """The dossier as a whole is late: an apology (Decree 61/2018 art. 19). A late stage is no news for the citizen."""
    event = heard.event
    assert isinstance(event, DeadlinePassed)
    if event.scope is not Scope.DOSSIER:
        return Unchanged()
    return _told_with_unit(dossier, heard, known, Template.LATE_APOLOGY, due=_written(event.due))


def result_ready(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """The result is there (status 9). It is given back where the dossier was handed in, whoever made it (Decree 61/2018
    art. 20): a department, or the province, has no desk."""
    assert isinstance(heard.event, ResultReady)
    return _told_with_unit(dossier, heard, known, Template.RESULT_READY)


def result_handed_over(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """The citizen has the result (status 10): thanks."""
    assert isinstance(heard.event, ResultHandedOver)
    return _told_with_unit(dossier, heard, known, Template.RESULT_HANDED_OVER)


def withdrawn(dossier: Dossier | None, heard: Heard, known: Known) -> Decision[Dossier]:
    """The dossier was given back on the citizen's wish (status 7)."""
    assert isinstance(heard.event, DossierWithdrawn)
    return _told_with_unit(dossier, heard, known, Template.WITHDRAWN)


def adopted(dossier: Dossier | None, heard: Heard, _: Known) -> Decision[Dossier]:
    """A record became live: the citizen is told from now on, and of nothing that was before."""
    assert isinstance(heard.event, DossierAdopted)
    if dossier is None:
        return WaitsFor(f"received:{heard.subject}")
    return Decided(replace(dossier, origin=None, is_adopted=True))


def erased(_dossier: Dossier | None, heard: Heard, _: Known) -> Decision[Dossier]:
    """The citizen's data are gone: nobody is told, and what still waits to be sent ends as not sendable."""
    assert isinstance(heard.event, PersonalDataErased)
    return Unchanged()


def _told_with_unit(
    dossier: Dossier | None, heard: Heard, known: Known, template: Template, **more: str
) -> Decision[Dossier]:
    """A letter that names the receiving unit. An officer's command names no cause, so its event may come too early."""
    if dossier is None:
        return WaitsFor(f"received:{heard.subject}")
    if dossier.origin is not None:
        return Unchanged()
    return _told(dossier, heard, known, template, unit=known.units[dossier.unit].name, **more)


def _told(dossier: Dossier, heard: Heard, known: Known, template: Template, **parameters: str) -> Decided[Dossier]:
    contact = known.contacts.get(dossier.id)
    notice = NewNotice(
        heard.source.value,
        heard.version,
        template,
        {"code": dossier.code, **parameters},
        heard.traceparent,
        reachable=contact is not None and not contact.erased,
    )
    return Decided(replace(dossier, unsaved=(*dossier.unsaved, notice)))


def _named(known: Mapping[str, Named], code: str, version: int) -> Named | None:
    found = known.get(code)
    return found if found is not None and found.version >= version else None


def _written(instant: datetime) -> str:
    return instant.isoformat()
