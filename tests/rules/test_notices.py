"""What a citizen is told, and what becomes of a notice after an attempt to send it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from services.notification.handlers import HEARS
from services.notification.rules import sending, telling
from services.notification.values import (
    Accepted,
    Away,
    Close,
    ContactState,
    Dossier,
    GiveBack,
    GiveUp,
    Known,
    Named,
    Outcome,
    Postponed,
    PutOff,
    Refused,
    Ruling,
    Sent,
    Standing,
    Template,
    TryAgain,
    Unknown,
    Unsendable,
)
from shared.bus import Decided, Unchanged, WaitsFor
from shared.calendar import Term, TermUnit
from shared.envelope import Heard
from shared.events import (
    Channel,
    DeadlinePassed,
    DossierReceived,
    DossierWithdrawn,
    Event,
    FeeRequested,
    ResultHandedOver,
    ResultReady,
    Scope,
    SupplementReceived,
    SupplementRequested,
)

DOSSIER = "0198f1de-0000-7000-8000-000000000001"
RECEIVED = datetime(2019, 6, 3, 1, 30, tzinfo=UTC)
PROMISE = datetime(2019, 6, 6, 9, 30, tzinfo=UTC)
GIVEN = ContactState(1, erased=False)


def a_reception(**changes: object) -> DossierReceived:
    given: dict[str, object] = {
        "code": "000.01.99.H41-190603-0001",
        "procedure": "1.001193",
        "procedure_version": 2,
        "unit": "ward",
        "unit_version": 3,
        "channel": Channel.DESK,
        "term": Term(3, TermUnit.WORKING_DAY),
        "promise": PROMISE,
        "calendar": "office",
        "calendar_version": 1,
        "contact_version": 1,
    }
    return DossierReceived.model_validate({**given, **changes})


def heard(event: Event, *, version: int = 1, origin: str | None = None) -> Heard:
    return Heard(
        id="0198f1de-0000-7000-8000-00000000000f",
        source=event.said_by,
        subject=DOSSIER,
        version=version,
        type=type(event).__name__,
        time=RECEIVED,
        recorded=RECEIVED,
        cause=None,
        origin=origin,
        actor=None,
        traceparent=None,
        event=event,
    )


def known(
    *,
    contact: ContactState | None = GIVEN,
    unit_version: int = 3,
    procedure_version: int = 2,
) -> Known:
    return Known(
        {"ward": Named("ward", unit_version, "Phường mẫu"), "town": Named("town", 1, "Thị xã mẫu")},
        {"1.001193": Named("1.001193", procedure_version, "Đăng ký khai sinh")},
        {DOSSIER: contact} if contact else {},
    )


def a_dossier(*, origin: str | None = None) -> Dossier:
    return Dossier(DOSSIER, "000.01.99.H41-190603-0001", "1.001193", "ward", PROMISE, 1, origin)


def told(decision: object) -> list[tuple[Template, Mapping[str, str], bool]]:
    assert isinstance(decision, Decided)
    return [(one.template, one.parameters, one.reachable) for one in decision.state.unsaved]


def test_a_reception_is_told_with_code_procedure_unit_and_promise() -> None:
    decision = telling.received(None, heard(a_reception()), known())

    assert told(decision) == [
        (
            Template.RECEIVED,
            {
                "code": "000.01.99.H41-190603-0001",
                "procedure": "Đăng ký khai sinh",
                "unit": "Phường mẫu",
                "received": RECEIVED.isoformat(),
                "promise": PROMISE.isoformat(),
            },
            True,
        )
    ]


@pytest.mark.parametrize(
    ("here", "awaited"),
    [
        (known(contact=None), f"contact:{DOSSIER}"),
        (known(procedure_version=1), "procedure:1.001193"),
        (known(unit_version=2), "unit:ward"),
    ],
    ids=["contact", "procedure", "unit"],
)
def test_a_reception_waits_for_what_its_letter_needs(here: Known, awaited: str) -> None:
    assert telling.received(None, heard(a_reception()), here) == WaitsFor(awaited)


def test_a_newer_contact_than_the_reception_names_is_good_enough() -> None:
    decision = telling.received(None, heard(a_reception()), known(contact=ContactState(2, erased=False)))

    assert [reachable for _, _, reachable in told(decision)] == [True]


@pytest.mark.parametrize("contact", [None, ContactState(2, erased=True)], ids=["never given", "erased"])
def test_without_a_contact_the_notice_is_written_down_as_unreachable(contact: ContactState | None) -> None:
    event = a_reception(contact_version=0 if contact is None else 1)

    decision = telling.received(None, heard(event), known(contact=contact))

    assert [reachable for _, _, reachable in told(decision)] == [False]


def test_a_reception_heard_again_after_an_operator_s_exit_changes_nothing() -> None:
    assert telling.received(a_dossier(), heard(a_reception(), version=2), known()) == Unchanged()


@pytest.mark.parametrize(
    ("event", "template", "place"),
    [
        (SupplementRequested(run=1, nth=1, reason="missing"), Template.SUPPLEMENT_REQUESTED, "Phường mẫu"),
        (SupplementReceived(), Template.SUPPLEMENT_RECEIVED, "Phường mẫu"),
        (FeeRequested(run=1, amount_vnd=50_000, reason="fee"), Template.FEE_REQUESTED, "Phường mẫu"),
        (ResultReady(run=1, unit="town"), Template.RESULT_READY, "Phường mẫu"),
        (ResultHandedOver(), Template.RESULT_HANDED_OVER, "Phường mẫu"),
        (DossierWithdrawn(run=1), Template.WITHDRAWN, "Phường mẫu"),
    ],
)
def test_each_event_has_its_letter_that_names_the_place_and_nothing_private(
    event: Event, template: Template, place: str
) -> None:
    decision = HEARS[type(event)](a_dossier(), heard(event), known())

    assert told(decision) == [(template, {"code": "000.01.99.H41-190603-0001", "unit": place}, True)]


def a_deadline(scope: Scope) -> DeadlinePassed:
    return DeadlinePassed(scope=scope, run=1, generation=1, unit="ward", due=PROMISE)


def test_a_late_dossier_is_apologised_for() -> None:
    decision = telling.deadline_passed(a_dossier(), heard(a_deadline(Scope.DOSSIER)), known())

    assert told(decision) == [
        (
            Template.LATE_APOLOGY,
            {"code": "000.01.99.H41-190603-0001", "unit": "Phường mẫu", "due": PROMISE.isoformat()},
            True,
        )
    ]


def test_a_late_stage_is_no_news_for_the_citizen() -> None:
    assert telling.deadline_passed(a_dossier(), heard(a_deadline(Scope.STAGE)), known()) == Unchanged()
    assert telling.deadline_passed(None, heard(a_deadline(Scope.STAGE)), known()) == Unchanged()


@pytest.mark.parametrize(
    "event",
    [
        SupplementRequested(run=1, nth=1, reason="missing"),
        SupplementReceived(),
        FeeRequested(run=1, amount_vnd=50_000, reason="fee"),
        a_deadline(Scope.DOSSIER),
        ResultReady(run=1, unit="town"),
        ResultHandedOver(),
        DossierWithdrawn(run=1),
    ],
)
def test_what_comes_before_the_reception_waits_for_it(event: Event) -> None:
    assert HEARS[type(event)](None, heard(event), known()) == WaitsFor(f"received:{DOSSIER}")


def test_a_replayed_record_is_told_to_nobody_and_waits_for_nothing() -> None:
    nothing = Known({}, {}, {})

    begun = telling.received(None, heard(a_reception(), origin="replay"), nothing)
    later = telling.result_ready(
        a_dossier(origin="replay"), heard(ResultReady(run=1, unit="town"), origin="replay"), nothing
    )

    assert told(begun) == []
    assert later == Unchanged()


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        (Accepted(250), Sent()),
        (Refused(550), GiveUp("refused_by_provider")),
        (Postponed(451), TryAgain(timedelta(minutes=1))),
        (Unknown("connection_lost"), TryAgain(timedelta(minutes=1))),
        (Unsendable("cannot_open_contact"), GiveUp("cannot_open_contact")),
        (Away("no_connection"), GiveBack()),
    ],
)
def test_what_becomes_of_a_notice_follows_from_what_came_of_its_attempt(outcome: Outcome, verdict: object) -> None:
    assert sending.judge(outcome, 1) == verdict


def test_after_the_last_attempt_a_notice_is_given_up_but_a_provider_that_is_away_burns_none() -> None:
    assert sending.judge(Postponed(451), sending.MOST_ATTEMPTS) == GiveUp("too_many_attempts")
    assert sending.judge(Unknown("timed_out"), sending.MOST_ATTEMPTS) == GiveUp("outcome_unknown")
    assert sending.judge(Away("no_connection"), sending.MOST_ATTEMPTS) == GiveBack()


@pytest.mark.parametrize(
    ("outcome", "standing", "ruling"),
    [
        (Accepted(250), Standing("sending", 2, maybe_repeated=False), Close("sent")),
        (Refused(550), Standing("sending", 2, maybe_repeated=False), Close("failed", "refused_by_provider")),
        (Postponed(451), Standing("sending", 2, maybe_repeated=False), PutOff(timedelta(minutes=4), 2)),
        (Away("no_connection"), Standing("sending", 2, maybe_repeated=False), PutOff(timedelta(0), 1)),
        # Its lease ran out, and another attempt has the notice, or had it:
        (Accepted(250), Standing("sending", 3, maybe_repeated=True), Close("sent")),
        (Accepted(250), Standing("waiting", 3, maybe_repeated=True), Close("sent")),
        (Accepted(250), Standing("sent", 3, maybe_repeated=True), None),
        (Accepted(250), Standing("failed", 3, maybe_repeated=True), None),
        (Refused(550), Standing("sending", 3, maybe_repeated=False), None),
        (Postponed(451), Standing("waiting", 2, maybe_repeated=False), None),
        (Away("no_connection"), Standing("sending", 3, maybe_repeated=False), None),
    ],
)
def test_what_is_done_with_a_notice_depends_on_whose_it_is_meanwhile(
    outcome: Outcome, standing: Standing, ruling: Ruling
) -> None:
    assert sending.rule(outcome, 2, standing) == ruling


def test_pauses_grow_to_four_hours_and_all_attempts_fit_into_a_day() -> None:
    pauses = [sending.pause_after(attempt) for attempt in range(1, sending.MOST_ATTEMPTS)]

    assert pauses == sorted(pauses)
    assert pauses[0] == timedelta(minutes=1)
    assert pauses[-1] == timedelta(hours=4)
    assert sum(pauses, timedelta(0)) < timedelta(days=1)
    assert sending.pause_after(10_000) == timedelta(hours=4)
