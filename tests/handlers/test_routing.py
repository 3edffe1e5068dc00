"""Routing's handlers on real PostgreSQL: hearing, commands, timers, publishing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date, datetime, timedelta

import asyncpg
import pytest

from deploy.launcher.postgres import Databases
from services.routing import loops, store
from services.routing.handlers import (
    Calendars,
    Done,
    NotDone,
    NotPublished,
    Published,
    fire_timers,
    publish_calendar,
)
from services.routing.rules import deadline
from services.routing.values import (
    Finish,
    HandOver,
    RecordStep,
    RequestFee,
    RequestSupplement,
    Resume,
    SendBack,
    Timer,
)
from shared.access import Actor, Role
from shared.calendar import to_data, week_of
from shared.events import Scope, SupplementReceived, WithdrawalRequested
from shared.store import Database, connect, is_transient, open_pool
from tests.builders import (
    REPLAY,
    TOWN,
    TOWN_PROCEDURE,
    WARD,
    WARD_PROCEDURE,
    a_dossier_id,
    a_dossier_received,
    an_actor,
    at,
    heard,
    office,
)
from tests.handlers.routing import (
    ADMINISTRATOR,
    HISTORY,
    TOWN_STAFF,
    Routing,
    a_catalogue_entry,
    a_command,
    later,
)
from tests.processes import until

SUPPLEMENT = RequestSupplement(("cmnd",), "papers_missing")


@pytest.fixture
async def another(made: Databases, routing: Routing) -> AsyncIterator[Routing]:
    """A second process on the same database."""
    pool = await open_pool(made.login["routing"], name="tests another", smallest=1, largest=4)
    yield Routing(Database(pool))
    await pool.close()


@asynccontextmanager
async def a_connection(url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """A connection of the test's own, as another role."""
    connection = await connect(url, name="tests")
    try:
        yield connection
    finally:
        await connection.close()


# --- hearing ---------------------------------------------------------------------------------------------------------


async def test_a_received_dossier_gets_a_journey_a_ledger_two_timers_and_an_announcement(routing: Routing) -> None:
    dossier = await routing.receives()

    journey = await routing.journey(dossier)
    rows = await routing.everything()
    assert (journey.stage, journey.unit, journey.run) == ("commune_desk", WARD, 1)
    assert [entry.kind for entry in await routing.ledger(dossier)] == ["started"]
    assert await routing.said(dossier) == ["StageStarted"]
    assert {one.scope for one in await timers_of(routing, dossier)} == set(Scope)
    assert any(row[3] == dossier for row in rows["outbox"])


async def test_a_repeated_delivery_changes_nothing(routing: Routing) -> None:
    dossier = a_dossier_id()
    received = heard(a_dossier_received(), subject=dossier)
    withdrawn = later(WithdrawalRequested(), dossier, at("2019-05-07 09:00"), 2)
    await routing.hears(received, withdrawn)
    before = await routing.everything()

    repeated = await routing.hears(received, withdrawn)
    reordered = await routing.hears(withdrawn, received)

    assert (repeated.repeats, reordered.repeats) == (2, 2)
    assert await routing.everything() == before
    assert await routing.said(dossier) == ["StageStarted", "DossierWithdrawn"]


async def test_reception_and_withdrawal_in_one_batch_leave_no_timer(routing: Routing) -> None:
    dossier = a_dossier_id()

    await routing.hears(
        later(WithdrawalRequested(), dossier, at("2019-05-07 09:00"), 2), heard(a_dossier_received(), subject=dossier)
    )

    assert (await routing.journey(dossier)).state == "withdrawn"
    assert (await routing.everything())["timer"] == []


async def test_a_dossier_of_a_procedure_that_is_not_known_waits_and_its_arrival_wakes_it(routing: Routing) -> None:
    dossier = a_dossier_id()
    early = heard(a_dossier_received(procedure="9.000001"), subject=dossier)
    withdrawn = later(WithdrawalRequested(), dossier, at("2019-05-07 09:00"), 2)

    waiting = await routing.hears(early, withdrawn)
    said_while_it_waits = await routing.said(dossier)
    arrived = await routing.hears(a_catalogue_entry("9.000001", "town"))
    woken = await routing.hears(again=[dossier])

    assert (waiting.parked, said_while_it_waits) == (2, [])
    assert arrived.known == ("procedure:9.000001",)
    assert woken.heard == 2
    assert await routing.said(dossier) == ["StageStarted", "DossierWithdrawn"]


async def test_a_dossier_of_a_unit_that_is_not_known_waits_for_it(routing: Routing) -> None:
    dossier = a_dossier_id()

    waiting = await routing.hears(heard(a_dossier_received(unit="000.07.99.H41"), subject=dossier))
    await routing.publish("000.07.99.H41")
    woken = await routing.hears(again=[dossier])

    assert (waiting.parked, woken.heard) == (1, 1)
    assert (await routing.journey(dossier)).unit == "000.07.99.H41"


async def test_an_older_catalogue_entry_never_replaces_a_newer_one(routing: Routing) -> None:
    await routing.hears(a_catalogue_entry(TOWN_PROCEDURE, "commune", 2))

    await routing.hears(a_catalogue_entry(TOWN_PROCEDURE, "town", 1))

    dossier = await routing.receives()
    assert (await routing.journey(dossier)).route == "commune"


async def test_a_pause_over_the_store_is_credited_to_the_second_and_the_ledger_says_the_same(routing: Routing) -> None:
    dossier = await routing.receives(at("2018-02-09 08:00:00.123456"))

    await routing.does(dossier, SUPPLEMENT, Resume(), HandOver(), SUPPLEMENT, Resume(), SUPPLEMENT, Resume())

    journey = await routing.journey(dossier)
    recomputed = deadline.recompute(office(), journey.promise, await routing.ledger(dossier))
    assert recomputed == deadline.Recomputed(journey.due, journey.stage_due)


async def test_papers_that_the_citizen_brings_start_the_clock_again(routing: Routing) -> None:
    dossier = await routing.receives()
    await routing.does(dossier, SUPPLEMENT)

    await routing.hears(later(SupplementReceived(), dossier, await routing.now(), 2))

    assert (await routing.journey(dossier)).state == "moving"
    assert (await routing.said(dossier))[-1] == "DossierResumed"


# --- commands --------------------------------------------------------------------------------------------------------


async def test_a_dossier_walks_through_both_levels(routing: Routing) -> None:
    dossier = await routing.receives()

    await routing.does(dossier, HandOver(), HandOver())
    await routing.does(dossier, HandOver(), HandOver(), HandOver(), actor=TOWN_STAFF)
    await routing.does(dossier, Finish())

    journey = await routing.journey(dossier)
    assert (journey.state, journey.unit, journey.run) == ("done", WARD, 6)
    assert (await routing.said(dossier))[-1] == "ResultReady"
    assert (await routing.everything())["timer"] == []
    assert [entry.number for entry in await routing.ledger(dossier)] == list(range(1, 14))


async def test_every_command_of_a_bulk_has_its_own_outcome(routing: Routing) -> None:
    fits, closed, elsewhere = [await routing.receives() for _ in range(3)]
    await routing.hears(later(WithdrawalRequested(), closed, await routing.now(), 2))
    await routing.does(elsewhere, HandOver(), HandOver())

    outcomes = await routing.acts(
        a_command(fits, HandOver("officer-9"), 1),
        a_command(closed, HandOver(), 2),
        a_command(elsewhere, HandOver(), 5),
        a_command(a_dossier_id(), HandOver(), 1),
        a_command(fits, HandOver(), 1),
        a_command(fits, HandOver(), None),
        a_command(fits, HandOver(), 3),
    )

    codes = [one.code if isinstance(one, NotDone) else "done" for one in outcomes]
    assert codes == ["done", "refused", "denied", "unknown_dossier", "stale", "unseen", "done"]
    assert (await routing.journey(fits)).stage == "town_desk"
    assert {one.scope for one in await timers_of(routing, fits)} == set(Scope)


async def test_the_same_command_again_gets_the_stored_answer_even_when_the_dossier_has_gone_on(
    routing: Routing,
) -> None:
    dossier = await routing.receives()
    command = a_command(dossier, HandOver(), 1, "command-1")
    (first,) = await routing.acts(command)
    await routing.does(dossier, HandOver())
    before = await routing.everything()

    again, in_one_bulk = await routing.acts(command, replace(command, seen=99))

    assert again == in_one_bulk == first
    assert isinstance(first, Done)
    assert first.answer["stage"] == "commune_officer"
    assert await routing.everything() == before


async def test_the_same_command_twice_in_a_bulk_is_done_once(routing: Routing) -> None:
    dossier = await routing.receives()
    command = a_command(dossier, HandOver(), 1, "command-1")

    first, second = await routing.acts(command, command)

    assert first == second
    assert await routing.said(dossier) == ["StageStarted", "HandedOver", "StageStarted"]


async def test_a_command_id_that_was_used_for_something_else_does_nothing(routing: Routing) -> None:
    dossier = await routing.receives()
    await routing.acts(a_command(dossier, HandOver(), 1, "command-1"))

    (outcome,) = await routing.acts(a_command(dossier, HandOver("officer-9"), 3, "command-1"))

    assert isinstance(outcome, NotDone)
    assert outcome.code == "key_reused"
    assert (await routing.journey(dossier)).run == 2


async def test_the_same_id_for_another_dossier_is_another_command(routing: Routing) -> None:
    one, other = await routing.receives(), await routing.receives()

    outcomes = await routing.acts(
        a_command(one, HandOver(), 1, "command-1"), a_command(other, HandOver(), 1, "command-1")
    )

    assert all(isinstance(outcome, Done) for outcome in outcomes)


async def test_a_stale_command_sees_what_happened_since(routing: Routing) -> None:
    dossier = await routing.receives()
    await routing.does(dossier, HandOver())

    (outcome,) = await routing.acts(a_command(dossier, HandOver(), 1))

    assert isinstance(outcome, NotDone)
    assert (outcome.code, outcome.version) == ("stale", 3)
    assert [(one["version"], one["type"], one["actor"]) for one in outcome.since] == [
        (2, "HandedOver", "officer-7"),
        (3, "StageStarted", "officer-7"),
    ]


async def test_of_commands_at_the_same_moment_exactly_one_wins(routing: Routing, another: Routing) -> None:
    dossier = await routing.receives()

    outcomes = await asyncio.gather(
        *(process.acts(a_command(dossier, HandOver(), 1)) for process in (routing, another) for _ in range(6))
    )

    codes = sorted(one.code if isinstance(one, NotDone) else "done" for (one,) in outcomes)
    assert codes == ["done"] + ["stale"] * 11
    assert (await routing.journey(dossier)).run == 2


async def test_the_same_command_at_two_processes_at_once_is_done_once(routing: Routing, another: Routing) -> None:
    dossier = await routing.receives()
    command = a_command(dossier, HandOver(), 1, "command-1")

    (one,), (other,) = await asyncio.gather(routing.acts(command), another.acts(command))

    assert one == other
    assert isinstance(one, Done)
    assert (await routing.journey(dossier)).run == 2


async def test_bulks_that_name_the_same_dossiers_in_opposite_orders_do_not_lock_each_other_out(
    routing: Routing, another: Routing
) -> None:
    dossiers = [await routing.receives() for _ in range(20)]

    bulks = await asyncio.gather(
        *(
            process.acts(*(a_command(one, HandOver(), 1) for one in order))
            for process, order in ((routing, dossiers), (another, dossiers[::-1]), (routing, dossiers[10:]))
        )
    )

    done = [outcome.answer["dossier"] for bulk in bulks for outcome in bulk if isinstance(outcome, Done)]
    assert sorted(done) == sorted(dossiers)


@pytest.mark.parametrize(
    "actor",
    [
        TOWN_STAFF,
        an_actor(Role.CITIZEN, unit=WARD),
        an_actor(Role.PORTAL, Role.INSPECTOR, Role.ADMINISTRATOR, Role.OPERATOR, unit=WARD),
        an_actor(Role.OFFICER, unit=None),
        HISTORY,
    ],
)
async def test_only_staff_of_the_unit_that_holds_it_moves_a_dossier(routing: Routing, actor: Actor) -> None:
    dossier = await routing.receives()

    (outcome,) = await routing.acts(a_command(dossier, HandOver(), 1), actor=actor)

    assert isinstance(outcome, NotDone)
    assert outcome.code == "denied"


async def test_the_giver_may_not_move_it_any_more_and_the_receiver_may(routing: Routing) -> None:
    dossier = await routing.receives()
    await routing.does(dossier, HandOver(), HandOver())

    (giver,) = await routing.acts(a_command(dossier, SendBack("wrong_unit"), 5))
    await routing.does(dossier, SendBack("wrong_unit"), actor=TOWN_STAFF)

    assert isinstance(giver, NotDone)
    assert giver.code == "denied"
    assert (await routing.journey(dossier)).unit == WARD


# --- records ---------------------------------------------------------------------------------------------------------


def a_step(number: int) -> RecordStep:
    """One of the recorded steps, a day after the one before."""
    return RecordStep(f"T{number:02}", REPLAY, f"Resource{number}", at("2011-10-11 11:45") + timedelta(days=number))


async def test_history_adds_recorded_steps_in_bulk_and_a_second_time_changes_nothing(routing: Routing) -> None:
    dossier = await routing.receives(at("2011-10-11 11:45"), unit=REPLAY, origin="replay.log")
    steps = [a_command(dossier, a_step(number), None, f"case-1/{number}") for number in range(1, 6)]

    first = await routing.acts(*steps, actor=HISTORY)
    before = await routing.everything()
    again = await routing.acts(*steps, actor=HISTORY)

    assert first == again
    assert all(isinstance(outcome, Done) for outcome in first)
    assert await routing.everything() == before
    assert [entry.stage for entry in await routing.ledger(dossier) if entry.kind == "started"] == [
        "T01",
        "T02",
        "T03",
        "T04",
        "T05",
    ]
    assert before["timer"] == []


async def test_history_has_no_hand_in_the_live_picture_and_officers_none_in_records(routing: Routing) -> None:
    live = await routing.receives()
    record = await routing.receives(at("2011-10-11 11:45"), unit=REPLAY, origin="replay.log")
    officer = an_actor(Role.OFFICER, unit=REPLAY)

    (step_into_live,) = await routing.acts(a_command(live, a_step(1), None), actor=HISTORY)
    (move_of_record,) = await routing.acts(a_command(record, HandOver(), 0), actor=officer)
    (step_by_officer,) = await routing.acts(a_command(record, a_step(1), None), actor=officer)

    assert [one.code for one in (step_into_live, move_of_record, step_by_officer) if isinstance(one, NotDone)] == [
        "denied",
        "refused",
        "denied",
    ]


# --- timers ----------------------------------------------------------------------------------------------------------


def clock_of(timers: tuple[Timer, ...], scope: Scope) -> Timer:
    """The timer of one of a dossier's clocks."""
    (found,) = [one for one in timers if one.scope is scope]
    return found


async def timers_of(routing: Routing, dossier: str) -> tuple[Timer, ...]:
    async with routing.database.pool.acquire() as connection:
        return (await store.timers_of(connection, [dossier])).get(dossier, ())


async def test_a_timer_that_is_not_due_says_nothing(routing: Routing) -> None:
    dossier = await routing.receives(promise=await routing.now() + timedelta(days=30))
    before = await routing.everything()

    assert await routing.fires(dossier) == 0
    assert await routing.everything() == before


async def test_what_is_due_is_said_once_per_clock_and_not_again(routing: Routing) -> None:
    """Both clocks ran out while nobody looked: each says its last rung, and then there is nothing left to say."""
    dossier = await routing.receives(at("2019-05-06 08:00"))

    said = [await routing.fires(dossier) for _ in range(3)]

    assert said == [2, 0, 0]
    assert await routing.said(dossier) == ["StageStarted", "DeadlinePassed", "DeadlinePassed"]
    assert await timers_of(routing, dossier) == ()


async def test_two_processes_that_fire_at_once_say_it_once(routing: Routing, another: Routing) -> None:
    dossiers = [await routing.receives(at("2019-05-06 08:00")) for _ in range(10)]

    said = await asyncio.gather(routing.fires(*dossiers), another.fires(*dossiers), routing.fires(*dossiers[5:]))

    assert sum(said) == 20
    for dossier in dossiers:
        assert await routing.said(dossier) == ["StageStarted", "DeadlinePassed", "DeadlinePassed"]


async def test_a_process_that_dies_while_it_fires_has_said_nothing_and_the_next_one_says_it_once(
    routing: Routing, another: Routing, made: Databases
) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))

    async with a_connection(made.superuser) as watcher, routing.database.transaction() as tx:
        await tx.execute("SELECT 1 FROM stream WHERE subject = $1 FOR UPDATE", dossier)
        dying = asyncio.create_task(another.fires(dossier))

        async def killed() -> bool:
            return bool(
                await watcher.fetchval(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE application_name = 'tests another' AND wait_event_type = 'Lock'"
                )
            )

        await until(killed, "the second process waits for the lock, and is killed")
        with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)) as raised:
            await dying

    assert is_transient(raised.value)
    assert await routing.said(dossier) == ["StageStarted"]
    assert await routing.fires(dossier) == 2
    assert await routing.fires(dossier) == 0


async def test_a_pause_between_the_look_and_the_lock_silences_the_timer(routing: Routing) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    async with routing.database.pool.acquire() as connection:
        assert dossier in await store.due_timers(connection, [], 500)

    await routing.does(dossier, SUPPLEMENT)

    assert await routing.fires(dossier) == 0
    assert "DeadlinePassed" not in await routing.said(dossier)


async def test_looking_for_due_timers_reads_those_that_are_due(routing: Routing) -> None:
    """By the index up to now, not all timers that there are."""
    due_timers = store._sql["due_timers"].replace("$1::text[]", "'{}'").replace("$2", "500")
    async with routing.database.pool.acquire() as connection, connection.transaction():
        await connection.execute("SET LOCAL enable_seqscan = off")
        await connection.execute("SET LOCAL enable_bitmapscan = off")
        plan = "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {due_timers}"))

    assert plan.count("Index Cond: (fires_at <= statement_timestamp())") == 2, plan


async def test_a_hand_over_sets_the_stage_s_clock_anew_and_leaves_the_dossier_s(routing: Routing) -> None:
    dossier = await routing.receives()
    before = await timers_of(routing, dossier)

    await routing.does(dossier, HandOver())

    now = await timers_of(routing, dossier)
    assert clock_of(now, Scope.DOSSIER) == clock_of(before, Scope.DOSSIER)
    assert clock_of(now, Scope.STAGE).run == 2


async def test_hand_overs_of_a_late_dossier_do_not_call_it_late_again(routing: Routing) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    await routing.fires(dossier)

    await routing.does(dossier, HandOver(), HandOver())

    assert await routing.fires(dossier) == 0
    assert {one.scope for one in await timers_of(routing, dossier)} == {Scope.STAGE}


async def test_a_resumed_dossier_that_is_still_late_says_so_once_more(routing: Routing) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    await routing.fires(dossier)
    await routing.does(dossier, SUPPLEMENT, Resume())

    assert [await routing.fires(dossier), await routing.fires(dossier)] == [2, 0]
    assert (await routing.said(dossier)).count("DeadlinePassed") == 4


async def test_a_timer_that_belongs_to_no_clock_any_more_is_swept_away(routing: Routing, made: Databases) -> None:
    dossier = await routing.receives(promise=await routing.now() + timedelta(days=30))
    async with a_connection(made.owner["routing"]) as owner:
        await owner.execute("UPDATE timer SET stage_generation = 0, stage_at = '2019-01-01'")

    assert await routing.fires(dossier) == 0
    assert [one.scope for one in await timers_of(routing, dossier)] == [Scope.DOSSIER]


async def test_history_has_no_timers(routing: Routing) -> None:
    dossier = await routing.receives(at("2011-10-11 11:45"), origin="old-books")

    assert await timers_of(routing, dossier) == ()


async def test_the_look_fires_what_is_due_and_counts_the_dossiers(routing: Routing) -> None:
    dossiers = [await routing.receives(at("2019-05-06 08:00")) for _ in range(3)]
    await routing.receives(promise=await routing.now() + timedelta(days=30))
    clock, guilty = loops.Clock(), loops.Guilty()

    looked = [await loops.fire_due(routing.database, routing.calendars, clock, guilty) for _ in range(2)]

    assert looked == [3, 0]
    assert [await routing.said(dossier) for dossier in dossiers] == [
        ["StageStarted", "DeadlinePassed", "DeadlinePassed"]
    ] * 3


async def test_one_dossier_with_a_fault_does_not_keep_the_others_from_being_told(
    routing: Routing, made: Databases, caplog: pytest.LogCaptureFixture
) -> None:
    broken, sound = [await routing.receives(at("2019-05-06 08:00")) for _ in range(2)]
    async with a_connection(made.owner["routing"]) as owner:
        await owner.execute("UPDATE journey SET calendar_version = 99 WHERE dossier = $1", broken)
    fresh, guilty = Routing(routing.database, Calendars()), loops.Guilty()

    looked = [await loops.fire_due(fresh.database, fresh.calendars, loops.Clock(), guilty) for _ in range(2)]

    assert looked == [2, 0]
    assert guilty.dossiers == {broken}
    assert (await routing.said(sound))[1:] == ["DeadlinePassed", "DeadlinePassed"]
    assert await routing.said(broken) == ["StageStarted"]
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == ["timer_set_aside"]


async def test_a_clock_that_was_stepped_stops_the_scanning(routing: Routing) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    clock = loops.Clock()
    clock.check(await routing.now() - timedelta(hours=1), time.monotonic())

    assert await loops.fire_due(routing.database, routing.calendars, clock, loops.Guilty()) == 0
    assert clock.stopped
    assert await routing.said(dossier) == ["StageStarted"]


async def test_a_clock_that_is_stepped_between_the_look_and_the_decision_says_nothing(routing: Routing) -> None:
    dossier = await routing.receives(at("2019-05-06 08:00"))
    seen: list[datetime] = []

    def is_credible(now: datetime) -> bool:
        seen.append(now)
        return False

    assert await fire_timers(routing.database, routing.calendars, [dossier], is_credible) == 0
    assert len(seen) == 1
    assert await routing.said(dossier) == ["StageStarted"]


def test_a_clock_that_runs_like_the_other_is_trusted_to_a_minute() -> None:
    clock, start = loops.Clock(), at("2019-05-06 08:00")

    assert clock.check(start, 100.0)
    assert clock.check(start + timedelta(seconds=70), 111.0)
    assert not clock.check(start + timedelta(seconds=200), 112.0)
    assert not clock.check(start + timedelta(seconds=201), 113.0)


# --- units and calendars ---------------------------------------------------------------------------------------------


async def test_the_same_unit_again_keeps_its_version_and_a_change_makes_the_next(routing: Routing) -> None:
    same = await routing.publish(WARD)
    changed = await routing.publish(WARD, name="UBND phường Quỳnh Thiện")

    assert (same, changed) == (Published(1), Published(2))
    assert await routing.said(f"unit:{WARD}") == ["UnitPublished", "UnitPublished"]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"parent": "000.00.55.H41"}, "parent"),
        ({"parent": "000.07.99.H41"}, "parent"),
        ({"calendar": "no-such"}, "calendar"),
        ({"valid_to": date(2013, 6, 2)}, "valid_to"),
    ],
)
async def test_a_unit_that_contradicts_what_there_is_leaves_nothing_behind(
    routing: Routing, changes: dict[str, object], field: str
) -> None:
    before = await routing.everything()

    refused = await routing.publish("000.07.99.H41", **changes)

    assert isinstance(refused, NotPublished)
    assert (refused.field, bool(refused.detail), bool(refused.do)) == (field, True, True)
    assert await routing.everything() == before


async def test_the_same_calendar_again_keeps_its_version_and_a_change_makes_the_next(routing: Routing) -> None:
    stormy = to_data(replace(office(), days_off=office().days_off | {date(2019, 5, 8)}))

    same = await publish_calendar(routing.database, "office", to_data(office(7)), ADMINISTRATOR)
    changed = await publish_calendar(routing.database, "office", stormy, ADMINISTRATOR)

    assert (same, changed) == (Published(1), Published(2))


async def test_a_dossier_keeps_the_calendar_that_it_was_promised_by(routing: Routing) -> None:
    dossier = await routing.receives()
    await publish_calendar(
        routing.database, "office", to_data(replace(office(), week=week_of(office().week[0]))), ADMINISTRATOR
    )
    await publish_calendar(
        routing.database,
        "office",
        to_data(replace(office(), days_off=office().days_off | {date(2019, 5, 8)})),
        ADMINISTRATOR,
    )

    await routing.does(dossier, SUPPLEMENT, Resume())

    assert (await routing.journey(dossier)).calendar_version == 1


async def test_two_who_publish_at_once_make_two_versions(routing: Routing, another: Routing) -> None:
    published = await asyncio.gather(
        *(
            process.publish("000.07.99.H41", name=f"UBND {number}")
            for number, process in enumerate((routing, another) * 3)
        )
    )

    assert sorted(one.version for one in published if isinstance(one, Published)) == [1, 2, 3, 4, 5, 6]


# --- worklist --------------------------------------------------------------------------------------------------------


async def test_a_worklist_is_read_page_by_page_while_the_work_goes_on(routing: Routing) -> None:
    start = await routing.now()
    dossiers = [await routing.receives(start - timedelta(hours=number)) for number in range(10)]
    await routing.receives(at("2011-10-11 11:45"), origin="old-books")

    async def page(after: tuple[datetime, str, int] | None) -> list[str]:
        async with routing.database.pool.acquire() as connection:
            found = await store.worklist(connection, WARD, None, after, 4)
        cursor.append((found[-1].stage_due, found[-1].dossier, found[-1].run))
        return [one.dossier for one in found]

    cursor: list[tuple[datetime, str, int]] = []
    first = await page(None)
    await routing.hears(later(WithdrawalRequested(), first[0], await routing.now(), 2))
    second = await page(cursor[-1])
    third = await page(cursor[-1])

    assert sorted(first + second + third) == sorted(dossiers)


async def test_a_worklist_can_be_one_role_s(routing: Routing) -> None:
    at_desk, at_officer = await routing.receives(), await routing.receives()
    await routing.does(at_officer, HandOver())

    async with routing.database.pool.acquire() as connection:
        desk = await store.worklist(connection, WARD, "desk", None, 10)
        officer = await store.worklist(connection, WARD, "officer", None, 10)

    assert [one.dossier for one in desk] == [at_desk]
    assert [(one.dossier, one.version) for one in officer] == [(at_officer, 3)]


async def test_a_fee_and_a_commune_s_own_procedure_go_over_the_store_too(routing: Routing) -> None:
    dossier = await routing.receives(procedure=WARD_PROCEDURE)

    await routing.does(dossier, HandOver(), RequestFee(8_000, "copies"), Resume(), HandOver(), Finish())

    assert await routing.said(dossier) == [
        "StageStarted",
        "HandedOver",
        "StageStarted",
        "FeeRequested",
        "DossierResumed",
        "HandedOver",
        "StageStarted",
        "ResultReady",
    ]
    assert TOWN not in {entry.unit for entry in await routing.ledger(dossier)}
