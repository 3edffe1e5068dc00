"""A dossier's journey: how it begins, pauses, resumes and stops, and what it waits for."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from msgspec.structs import replace

from services.routing.rules import journey as rules
from services.routing.values import (
    AS_RECORDED,
    Finish,
    HandOver,
    Known,
    Procedure,
    RequestFee,
    RequestSupplement,
    Resume,
    Unit,
)
from shared.bus import Decided, Unchanged, WaitsFor
from shared.events import DossierResumed, DossierWithdrawn, Scope, StageStarted, SupplementReceived, WithdrawalRequested
from tests.builders import (
    REPLAY,
    TOWN,
    WARD,
    WARD_PROCEDURE,
    a_dossier_received,
    a_journey,
    a_record,
    a_unit,
    after,
    at,
    heard,
    office,
    said,
    what_routing_knows,
)

SUPPLEMENT = RequestSupplement(("cmnd",), "papers_missing")
FEE = RequestFee(20_000, "fee_of_residence")


def test_a_dossier_begins_at_the_desk_that_received_it_with_its_share_of_the_term() -> None:
    known = what_routing_knows()
    received = at("2019-05-06 08:00")

    begun = rules.begin(None, heard(a_dossier_received(received), received), known)

    assert isinstance(begun, Decided)
    journey = begun.state
    assert (journey.stage, journey.unit, journey.run, journey.route) == ("commune_desk", WARD, 1, "two_level")
    # from Monday 08:00 to the close of the tenth working day: 7 h and 10 times 7.5 h; the desk's share is 1 of 16
    assert journey.stage_budget_minutes == 82 * 60 // 16
    assert journey.due == journey.promise == at("2019-05-20 17:00")
    assert said(begun) == ["StageStarted"]
    started = begun.say[0].event
    assert isinstance(started, StageStarted)
    assert (started.stage_due, started.due, started.generation) == (journey.stage_due, journey.due, 1)
    assert begun.say[0].time == received


def test_a_procedure_that_the_commune_decides_stays_in_the_commune() -> None:
    journey = a_journey(procedure=WARD_PROCEDURE)

    done = after(journey, (HandOver(), at("2019-05-06 09:00")), (HandOver(), at("2019-05-07 09:00")))

    assert journey.route == "commune"
    assert (done.stage, done.unit) == ("commune_return", WARD)


@pytest.mark.parametrize(
    ("known", "waits_for"),
    [
        (what_routing_knows(a_unit(TOWN)), f"unit:{WARD}"),
        (what_routing_knows(calendars={}), "calendar:office"),
        (what_routing_knows(procedures={}), "procedure:1.001776"),
    ],
)
def test_a_dossier_waits_for_what_it_names_and_is_not_known_here(known: Known, waits_for: str) -> None:
    assert rules.begin(None, heard(a_dossier_received()), known) == WaitsFor(waits_for)


def test_a_dossier_waits_for_the_versions_that_its_reception_names() -> None:
    newer_unit = heard(a_dossier_received(unit_version=2))
    newer_procedure = heard(a_dossier_received(procedure_version=2))
    newer_calendar = heard(a_dossier_received(calendar_version=2))

    known = what_routing_knows()

    assert rules.begin(None, newer_unit, known) == WaitsFor(f"unit:{WARD}")
    assert rules.begin(None, newer_procedure, known) == WaitsFor("procedure:1.001776")
    assert rules.begin(None, newer_calendar, known) == WaitsFor("calendar:office")


def test_a_procedure_that_went_up_a_level_is_not_decided_by_its_old_one() -> None:
    known = what_routing_knows(procedures={"1.001776": Procedure(2, "commune")})

    begun = rules.begin(None, heard(a_dossier_received(procedure_version=2)), known)

    assert isinstance(begun, Decided)
    assert begun.state.route == "commune"


def test_a_dossier_that_is_known_does_not_begin_again() -> None:
    journey = a_journey()

    assert rules.begin(journey, heard(a_dossier_received(), subject=journey.dossier), what_routing_knows()) == (
        Unchanged()
    )


def test_a_replayed_dossier_begins_without_a_stage_and_says_nothing() -> None:
    received = at("2011-10-11 11:45")

    begun = rules.begin(
        None, heard(a_dossier_received(received, unit=REPLAY), received, origin="replay"), what_routing_knows()
    )

    assert isinstance(begun, Decided)
    assert (begun.state.route, begun.state.run, begun.say) == (AS_RECORDED, 0, ())
    assert begun.state.unsaved.timers == ()


def test_the_town_itself_does_both_levels_of_a_route() -> None:
    journey = a_journey(unit=TOWN)

    done = after(journey, *((HandOver(), at("2019-05-06 09:00")) for _ in range(3)))

    assert (done.stage, done.unit) == ("town_specialist", TOWN)


def test_a_unit_that_gets_another_parent_next_month_still_hands_over_to_the_old_one() -> None:
    merged = a_unit(version=2, parent="000.00.98.H41", valid_from=date(2019, 6, 1))
    known = what_routing_knows(a_unit(), a_unit(TOWN), merged)
    journey = after(a_journey(known=known), (HandOver(), at("2019-05-06 09:00")), known=known)

    before = after(journey, (HandOver(), at("2019-05-31 16:00")), known=known)
    from_then_on = after(journey, (HandOver(), at("2019-06-01 00:00")), known=known)

    assert before.unit == TOWN
    assert from_then_on.unit == "000.00.98.H41"


def test_a_unit_before_all_its_versions_is_its_first() -> None:
    versions = (a_unit(version=2, valid_from=date(2020, 1, 1)), a_unit(valid_from=date(2013, 6, 3)))

    def on(day: date) -> Unit:
        return rules.as_of(versions, day)

    assert [on(date(1999, 1, 1)).version, on(date(2019, 12, 31)).version, on(date(2020, 1, 1)).version] == [1, 1, 2]


def test_a_pause_across_tet_moves_both_due_instants_by_exactly_its_working_minutes() -> None:
    journey = a_journey(received=at("2018-02-09 08:00"))
    # Tết 2018: Wednesday 14 to Tuesday 20 February. 13 February 16:00 to 21 February 08:10: 60 and 40 minutes.
    paused = after(journey, (SUPPLEMENT, at("2018-02-13 16:00")))

    resumed = after(paused, (Resume(), at("2018-02-21 08:10")))

    worked = timedelta(minutes=100)
    assert office().working_time(journey.due, resumed.due) == worked
    assert office().working_time(journey.stage_due, resumed.stage_due) == worked
    assert resumed.credit == worked
    assert resumed.promise == journey.promise


def test_a_pause_that_saw_no_working_time_moves_nothing() -> None:
    journey = a_journey(received=at("2018-02-09 08:00"))

    resumed = after(journey, (SUPPLEMENT, at("2018-02-13 17:00")), (Resume(), at("2018-02-21 07:30")))

    assert (resumed.due, resumed.stage_due) == (journey.due, journey.stage_due)
    assert resumed.generation == journey.generation + 1


def test_a_supplement_handed_in_at_16_59_and_heard_at_17_05_was_in_time() -> None:
    paused = after(a_journey(), (SUPPLEMENT, at("2019-05-07 15:59")))
    handed_in = replace(heard(SupplementReceived(), at("2019-05-07 16:59")), recorded=at("2019-05-07 17:05"))

    resumed = rules.resume_by_citizen(paused, handed_in, what_routing_knows())

    assert isinstance(resumed, Decided)
    assert resumed.state.credit == timedelta(hours=1)
    assert resumed.say[0].time == at("2019-05-07 16:59")
    event = resumed.say[0].event
    assert isinstance(event, DossierResumed)
    assert (event.credited_seconds, event.due, event.stage_due) == (
        3600,
        resumed.state.due,
        resumed.state.stage_due,
    )


def test_papers_that_were_handed_in_before_a_second_request_do_not_answer_it() -> None:
    """The officer resumed by himself and asked again, before routing heard of what the citizen had brought."""
    paused_again = after(
        a_journey(),
        (SUPPLEMENT, at("2019-05-07 09:00")),
        (Resume(), at("2019-05-07 10:00")),
        (SUPPLEMENT, at("2019-05-07 11:00")),
    )
    known = what_routing_knows()

    assert rules.resume_by_citizen(paused_again, heard(SupplementReceived(), at("2019-05-07 09:59")), known) == (
        Unchanged()
    )
    assert isinstance(
        rules.resume_by_citizen(paused_again, heard(SupplementReceived(), at("2019-05-07 11:00")), known), Decided
    )


def test_papers_do_not_pay_a_fee_and_come_for_nothing_while_the_clock_runs() -> None:
    waiting_for_fee = after(a_journey(), (FEE, at("2019-05-07 09:00")))
    papers = heard(SupplementReceived(), at("2019-05-07 10:00"))

    for journey in (None, a_journey(), waiting_for_fee):
        assert rules.resume_by_citizen(journey, papers, what_routing_knows()) == Unchanged()


@pytest.mark.parametrize("paused", [False, True])
def test_the_citizen_may_take_the_dossier_back_while_it_is_open(paused: bool) -> None:
    journey = after(a_journey(), (SUPPLEMENT, at("2019-05-07 09:00"))) if paused else a_journey()

    stopped = rules.withdraw(journey, heard(WithdrawalRequested(), at("2019-05-08 09:00")), what_routing_knows())

    assert isinstance(stopped, Decided)
    assert stopped.state.state == "withdrawn"
    assert stopped.say[0].event == DossierWithdrawn(run=1)
    assert stopped.state.unsaved.clocks == {Scope.STAGE, Scope.DOSSIER}
    assert stopped.state.unsaved.timers == ()


def test_what_is_done_or_unknown_is_not_taken_back() -> None:
    route = [(HandOver(), at("2019-05-06 09:00")), (HandOver(), at("2019-05-06 10:00"))]
    done = after(a_journey(procedure=WARD_PROCEDURE), *route, (Finish(), at("2019-05-06 11:00")))
    wish = heard(WithdrawalRequested(), at("2019-05-08 09:00"))

    assert rules.withdraw(done, wish, what_routing_knows()) == Unchanged()
    assert rules.withdraw(None, wish, what_routing_knows()) == Unchanged()


def test_the_ledger_says_who_held_it_when() -> None:
    begun = rules.begin(None, heard(a_dossier_received()), what_routing_knows())
    assert isinstance(begun, Decided)

    entry = begun.state.unsaved.entries[0]

    assert (entry.number, entry.kind, entry.run, entry.stage, entry.unit) == (1, "started", 1, "commune_desk", WARD)
    assert entry.seconds == begun.state.stage_budget_minutes * 60


def test_a_record_with_a_promise_before_its_reception_has_no_budget_and_no_fault() -> None:
    received = at("2019-05-06 08:00")

    journey = a_journey(received=received, promise=at("2019-05-03 17:00"), origin="old-books")

    assert (journey.stage_budget_minutes, journey.stage_due) == (0, received)
    assert a_record(received).run == 0
