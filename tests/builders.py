"""Builders that give valid things of intake and routing; a test names only what it is about."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from typing import Any, Final
from zoneinfo import ZoneInfo

import uuid_utils
from msgspec.structs import replace as replaced

from deploy.sample.calendars import vietnam_calendar
from services.intake import values as intake
from services.routing import values as routing
from services.routing.rules import journey as rules
from services.routing.rules.acting import carry_out
from shared.access import Actor, Role
from shared.bus import Decided
from shared.calendar import Term, TermUnit, WorkingCalendar, due_of_term
from shared.envelope import Cause, Heard
from shared.events import Channel, DossierReceived, Event, StageRole

HANOI: Final = ZoneInfo("Asia/Ho_Chi_Minh")
TOWN: Final = "000.00.99.H41"
WARD: Final = "000.01.99.H41"
REPLAY: Final = "REPLAY.NL"
TOWN_PROCEDURE: Final = "1.001776"
WARD_PROCEDURE: Final = "1.001193"
TEN_DAYS: Final = Term(10, TermUnit.WORKING_DAY)


def at(text: str) -> datetime:
    """An instant as the clock in Nghệ An shows it: ``at("2019-05-06 08:00")``."""
    return datetime.fromisoformat(text).replace(tzinfo=HANOI).astimezone(UTC)


def a_dossier_id() -> str:
    """A new stream id."""
    return str(uuid_utils.uuid7())


@cache
def office(version: int = 1) -> WorkingCalendar:
    """Office hours in Nghệ An, 07:30-11:30 and 13:30-17:00, with the holidays of 2016 to 2030."""
    return vietnam_calendar("office", version=version, first_year=2016, last_year=2030)


def an_actor(*roles: Role, unit: str | None = WARD, ident: str = "officer-7") -> Actor:
    """An officer of the ward, unless it says otherwise."""
    return Actor(ident, unit, frozenset(roles or {Role.OFFICER}))


# --- routing ---------------------------------------------------------------------------------------------------------


def a_unit(code: str = WARD, **changes: Any) -> routing.Unit:
    """The ward in its first version; or the town, or the replay unit."""
    place: dict[str, tuple[routing.Level, str | None]] = {TOWN: ("town", None), REPLAY: ("replay", None)}
    level, parent = place.get(code, ("commune", TOWN))
    unit = routing.Unit(code, 1, f"UBND {code}", level, parent, "office", date(2013, 6, 3), None)
    return replace(unit, **changes)


COMMUNE_ROUTE: Final = routing.Route(
    "commune",
    "commune",
    (
        routing.Stage("commune_desk", "receiving", StageRole.DESK, 1),
        routing.Stage("commune_officer", "receiving", StageRole.OFFICER, 8),
        routing.Stage("commune_return", "receiving", StageRole.DESK, 1),
    ),
)
TWO_LEVELS: Final = routing.Route(
    "two_level",
    "town",
    (
        routing.Stage("commune_desk", "receiving", StageRole.DESK, 1),
        routing.Stage("commune_officer", "receiving", StageRole.OFFICER, 4),
        routing.Stage("town_desk", "parent", StageRole.DESK, 1),
        routing.Stage("town_specialist", "parent", StageRole.SPECIALIST, 8),
        routing.Stage("town_return", "parent", StageRole.DESK, 1),
        routing.Stage("commune_return", "receiving", StageRole.DESK, 1),
    ),
)


def what_routing_knows(*units: routing.Unit, **changes: Any) -> routing.Known:
    """Ward, town and replay unit (or the given ones), the office calendar, both routes, two procedures."""
    given = units or (a_unit(), a_unit(TOWN), a_unit(REPLAY))
    versions: dict[str, list[routing.Unit]] = {}
    for one in sorted(given, key=lambda unit: -unit.version):
        versions.setdefault(one.code, []).append(one)
    known = routing.Known(
        {code: tuple(found) for code, found in versions.items()},
        {("office", 1): office()},
        {route.code: (route,) for route in (COMMUNE_ROUTE, TWO_LEVELS)},
        {TOWN_PROCEDURE: routing.Procedure(1, "town"), WARD_PROCEDURE: routing.Procedure(1, "commune")},
    )
    return replace(known, **changes)


def a_dossier_received(received: datetime | None = None, **changes: Any) -> DossierReceived:
    """A dossier of a town procedure comes in at the ward, promised in ten working days."""
    procedure = changes.get("procedure", TOWN_PROCEDURE)
    given: dict[str, Any] = {
        "code": f"{WARD}-190506-0001",
        "procedure": procedure,
        "procedure_version": 1,
        "unit": WARD,
        "unit_version": 1,
        "channel": Channel.DESK,
        "term": TEN_DAYS,
        "promise": due_of_term(office(), received or at("2019-05-06 08:00"), TEN_DAYS),
        "calendar": "office",
        "calendar_version": 1,
    }
    return DossierReceived(**{**given, **changes})


def heard(
    event: Event,
    time: datetime | None = None,
    *,
    subject: str | None = None,
    version: int = 1,
    cause: Cause | None = None,
    origin: str | None = None,
    ident: str | None = None,
) -> Heard:
    """An event in its envelope."""
    time = time or at("2019-05-06 08:00")
    return Heard(
        id=ident or str(uuid.uuid4()),
        source=event.said_by,
        subject=subject or a_dossier_id(),
        version=version,
        type=type(event).__name__,
        time=time,
        recorded=time,
        cause=cause,
        origin=origin,
        actor="desk-1",
        traceparent=None,
        event=event,
    )


def a_journey(
    *,
    received: datetime | None = None,
    known: routing.Known | None = None,
    origin: str | None = None,
    dossier: str | None = None,
    **changes: Any,
) -> routing.Journey:
    """A dossier that has just begun its journey, as if it had been saved; ``changes`` are those of its reception."""
    received = received or at("2019-05-06 08:00")
    event = a_dossier_received(received, **changes)
    begun = rules.begin(None, heard(event, received, origin=origin, subject=dossier), known or what_routing_knows())
    assert isinstance(begun, Decided), begun
    return saved(begun.state)


def a_record(received: datetime | None = None) -> routing.Journey:
    """A replayed dossier before its first step."""
    return a_journey(received=received, unit=REPLAY, origin="replay.receipt-log")


def saved(journey: routing.Journey) -> routing.Journey:
    """A journey as it is loaded after it was saved."""
    return replaced(journey, unsaved=routing.Unsaved())


def after(
    journey: routing.Journey, *steps: tuple[routing.Action, datetime], known: routing.Known | None = None
) -> routing.Journey:
    """The journey after some actions that fit, each saved."""
    for action, instant in steps:
        done = carry_out(journey, action, instant, known or what_routing_knows())
        assert isinstance(done, Decided), done
        journey = saved(done.state)
    return journey


def said(decided: Decided[Any]) -> list[str]:
    """Names of the events that a decision announces."""
    return [type(one.event).__name__ for one in decided.say]


# --- intake ----------------------------------------------------------------------------------------------------------


def a_desk(code: str = WARD, **changes: Any) -> intake.Unit:
    """Intake's copy of the ward in its first version."""
    level = {TOWN: "town", REPLAY: "replay"}.get(code, "commune")
    return replace(intake.Unit(code, 1, f"UBND {code}", level, "office", date(2013, 6, 3), None), **changes)


def a_procedure(code: str = TOWN_PROCEDURE, **changes: Any) -> intake.Procedure:
    """Ten working days, whatever the channel."""
    procedure = intake.Procedure(
        code, 1, "Trợ cấp xã hội hằng tháng", "Bảo trợ xã hội", "town", TEN_DAYS, {}, {}, None, None, "tests"
    )
    return replace(procedure, **changes)


def what_intake_knows(
    *units: intake.Unit,
    procedures: Iterable[intake.Procedure] = (),
    calendars: Sequence[WorkingCalendar] = (),
) -> intake.Known:
    """The ward and the replay unit (or the given ones), one procedure, the office calendar."""
    versions: dict[str, list[intake.Unit]] = {}
    for one in sorted(units or (a_desk(), a_desk(REPLAY)), key=lambda unit: -unit.version):
        versions.setdefault(one.code, []).append(one)
    parsed = {(one.code, one.version): one for one in calendars or (office(),)}
    return intake.Known(
        {code: tuple(found) for code, found in versions.items()},
        {one.code: one for one in procedures or (a_procedure(),)},
        {code: max(version for other, version in parsed if other == code) for code, _ in parsed},
        parsed,
    )


def a_submission(**changes: Any) -> intake.Submission:
    """What a citizen hands in at the ward's desk."""
    given = intake.Submission(
        WARD, TOWN_PROCEDURE, Channel.DESK, ("to_khai",), '{"name": "Nguyễn Thị Bình"}'.encode(), None
    )
    return replaced(given, **changes)


def a_dossier(**changes: Any) -> intake.Dossier:
    """A dossier that intake has just received."""
    received = at("2019-05-06 08:00")
    promise = due_of_term(office(), received, TEN_DAYS)
    dossier = intake.Dossier(
        id=a_dossier_id(),
        code=f"{WARD}-190506-0001",
        unit=WARD,
        procedure=TOWN_PROCEDURE,
        procedure_version=1,
        channel=Channel.DESK,
        received=received,
        promise=promise,
        calendar="office",
        calendar_version=1,
        components=("to_khai",),
        origin=None,
        attributes={},
        status=intake.Status.RECEIVED,
        due=promise,
        at_unit=WARD,
        at_stage=None,
        run=0,
        late=False,
        supplements=0,
        requested=None,
        notices_sent=0,
        notices_failed=0,
        as_of=received,
    )
    return replaced(dossier, **changes)


# --- what is sent over HTTP ------------------------------------------------------------------------------------------


def dev_actor(actor: Actor) -> dict[str, str]:
    """The development header of an actor."""
    unit = f" unit={actor.unit};" if actor.unit else ""
    return {"X-Dev-Actor": f"id={actor.id};{unit} roles={','.join(sorted(actor.roles))}"}


def command_id(ident: str | None = None) -> dict[str, str]:
    """The header of a new command."""
    return {"Idempotency-Key": ident or str(uuid.uuid4())}


def a_reception_body(**changes: Any) -> dict[str, Any]:
    """A valid body of POST /intake/dossiers."""
    body: Mapping[str, Any] = {
        "unit": WARD,
        "procedure": TOWN_PROCEDURE,
        "channel": "desk",
        "applicant": {"name": "Nguyễn Thị Bình"},
        "components": ["to_khai"],
    }
    return {**body, **changes}
