"""What happened earlier is told at its own time, by the role history alone; and a record becomes live."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.intake.handlers import door
from services.intake.values import Status
from services.routing import store
from services.routing.handlers import Done, NotDone
from services.routing.values import Action, Adopt, Finish, HandOver, RequestFee, Resume, Timer
from shared.access import Actor
from shared.events import DossierAdopted, Scope, StageStarted, SupplementReceived, SupplementRequested
from tests.builders import WARD, WARD_PROCEDURE, a_reception_body, at
from tests.handlers.doors import A_RECORD, Desk
from tests.handlers.intake import Intake
from tests.handlers.routing import HISTORY, WARD_STAFF, Routing, a_command, later

RECEIVED = at("2019-05-06 08:00")
PROMISE = at("2019-05-08 17:00")


async def a_record(routing: Routing, **changes: Any) -> str:
    """A record of the ward, received on a Monday of 2019 and promised for the Wednesday."""
    return await routing.receives(
        RECEIVED, origin="old-books", **{"promise": PROMISE, "procedure": WARD_PROCEDURE, **changes}
    )


async def past(
    routing: Routing, dossier: str, action: Action, when: datetime | None, actor: Actor = HISTORY, by: str | None = None
) -> Done | NotDone:
    """One command about the past."""
    (outcome,) = await routing.acts(replace(a_command(dossier, action, None), at=when, by=by), actor=actor)
    return outcome


async def told(routing: Routing, dossier: str) -> list[tuple[str, datetime, str | None, str | None]]:
    """Type, business time, origin and actor of what was said, in order."""
    async with routing.database.pool.acquire() as connection:
        rows = await connection.fetch(
            'SELECT type, "timestamp", origin, actor FROM journal WHERE aggregateid = $1 ORDER BY version', dossier
        )
    return [(row["type"], row["timestamp"], row["origin"], row["actor"]) for row in rows]


async def timers_of(routing: Routing, dossier: str) -> tuple[Timer, ...]:
    async with routing.database.pool.acquire() as connection:
        return (await store.timers_of(connection, [dossier])).get(dossier, ())


async def test_an_officer_s_act_of_the_past_has_its_own_time_and_its_own_officer(routing: Routing) -> None:
    dossier = await a_record(routing)

    outcome = await past(routing, dossier, HandOver(), at("2019-05-06 09:00"), by="officer-3")

    assert isinstance(outcome, Done)
    assert (await told(routing, dossier))[1:] == [
        ("HandedOver", at("2019-05-06 09:00"), "old-books", "officer-3"),
        ("StageStarted", at("2019-05-06 09:00"), "old-books", "officer-3"),
    ]
    assert await timers_of(routing, dossier) == ()


@pytest.mark.parametrize(
    ("when", "reason"),
    [(datetime(2099, 1, 1, tzinfo=UTC), "not_yet"), (at("2019-05-06 07:59"), "before_the_last")],
)
async def test_a_time_that_cannot_be_is_refused_and_not_moved(routing: Routing, when: datetime, reason: str) -> None:
    dossier = await a_record(routing)

    outcome = await past(routing, dossier, HandOver(), when)

    assert isinstance(outcome, NotDone)
    assert (outcome.code, outcome.reason) == ("refused", reason)
    assert await routing.said(dossier) == ["StageStarted"]


async def test_only_the_role_history_gives_a_time_and_only_to_records(routing: Routing) -> None:
    record, live = await a_record(routing), await routing.receives()

    by_officer = [
        await past(routing, record, HandOver(), at("2019-05-06 09:00"), actor=WARD_STAFF),
        await past(routing, record, HandOver(), None, actor=WARD_STAFF, by="officer-3"),
        await past(routing, record, Adopt(), None, actor=WARD_STAFF),
    ]
    of_live = [
        await past(routing, live, HandOver(), at("2019-05-06 09:00")),
        await past(routing, live, Adopt(), None),
    ]

    assert [one.code for one in by_officer if isinstance(one, NotDone)] == ["denied"] * 3
    assert [one.reason for one in of_live if isinstance(one, NotDone)] == ["live"] * 2


async def test_lateness_is_said_at_its_own_time_when_a_later_entry_shows_it(routing: Routing) -> None:
    dossier = await a_record(routing)
    await past(routing, dossier, HandOver(), at("2019-05-06 09:00"))

    await past(routing, dossier, HandOver(), at("2019-05-10 09:00"))
    await past(routing, dossier, Finish(), at("2019-05-10 10:00"))

    said = await told(routing, dossier)
    passed = [(name, when) for name, when, _, _ in said if name == "DeadlinePassed"]
    assert passed == [("DeadlinePassed", at("2019-05-09 00:00")), ("DeadlinePassed", at("2019-05-09 00:00"))]
    assert ("DeadlineReached", PROMISE, "old-books", "replay") in said
    assert [when for _, when, _, _ in said] == sorted(when for _, when, _, _ in said)
    assert said[-1][:2] == ("ResultReady", at("2019-05-10 10:00"))


async def test_while_the_clock_stands_nothing_falls_due_and_what_is_late_is_late_again_at_once(
    routing: Routing,
) -> None:
    dossier = await a_record(routing)
    await past(routing, dossier, HandOver(), at("2019-05-06 09:00"))
    await past(routing, dossier, RequestFee(8_000, "copies"), at("2019-05-13 08:00"))
    before = (await routing.said(dossier)).count("DeadlinePassed")

    await past(routing, dossier, Resume(), at("2019-06-03 08:00"))

    said = await told(routing, dossier)
    assert before == 2
    assert [(name, when) for name, when, _, _ in said[-3:]] == [
        ("DossierResumed", at("2019-06-03 08:00")),
        ("DeadlinePassed", at("2019-06-03 08:00")),
        ("DeadlinePassed", at("2019-06-03 08:00")),
    ]


async def test_papers_of_the_past_are_heard_at_their_time_and_show_nothing_that_the_pause_stopped(
    routing: Routing,
) -> None:
    dossier = await a_record(routing)
    await past(routing, dossier, RequestFee(8_000, "copies"), at("2019-05-06 09:00"))
    await past(routing, dossier, Resume(), at("2019-05-20 09:00"))

    assert "DeadlinePassed" not in await routing.said(dossier)


async def test_an_adopted_record_is_live_from_now_on_and_nothing_catches_up(routing: Routing) -> None:
    """Its due date is long over: that is said with the time at which it was so, and no timer says it again."""
    dossier = await a_record(routing)

    outcome = await past(routing, dossier, Adopt(), None)

    assert isinstance(outcome, Done)
    said = await told(routing, dossier)
    assert [(name, when) for name, when, _, _ in said if name == "DeadlinePassed"] == [
        ("DeadlinePassed", at("2019-05-07 00:00")),
        ("DeadlinePassed", at("2019-05-09 00:00")),
    ]
    assert {origin for _, _, origin, _ in said[:-1]} == {"old-books"}
    assert (said[-1][0], said[-1][2]) == ("DossierAdopted", None)
    assert (await routing.journey(dossier)).origin is None
    assert await timers_of(routing, dossier) == ()
    async with routing.database.pool.acquire() as connection:
        (item,) = await store.worklist(connection, WARD, None, None, 10)
    assert item.dossier == dossier
    await routing.does(dossier, HandOver())


async def test_an_adopted_record_has_timers_for_what_is_still_to_come(routing: Routing) -> None:
    now = await routing.now()
    dossier = await a_record(routing, promise=now + timedelta(days=60))

    await past(routing, dossier, Adopt(), None)

    timers = await timers_of(routing, dossier)
    assert Scope.DOSSIER in {one.scope for one in timers}
    assert all(one.fires_at > now for one in timers)


async def test_a_command_about_the_past_that_comes_again_gets_the_same_answer_also_after_the_adoption(
    routing: Routing,
) -> None:
    dossier = await a_record(routing)
    command = replace(a_command(dossier, HandOver(), None), at=at("2019-05-06 09:00"))
    adopt = a_command(dossier, Adopt(), None)

    first = await routing.acts(command, adopt, actor=HISTORY)
    again = await routing.acts(command, adopt, actor=HISTORY)

    assert first == again
    assert (await routing.said(dossier)).count("DossierAdopted") == 1


async def test_a_record_s_wish_heard_late_is_said_at_its_time(routing: Routing) -> None:
    dossier = await a_record(routing)
    await routing.hears(later(SupplementReceived(), dossier, at("2019-05-07 08:00"), 2))

    assert await routing.said(dossier) == ["StageStarted"]


async def test_over_http_a_time_of_one_s_own_is_refused_with_what_to_do(routing: Routing, officer: Desk) -> None:
    dossier = await a_record(routing)
    body = {"seen": 1, "action": {"kind": "hand_over"}, "at": "2019-05-06T09:00:00+07:00"}

    refused = await officer.posts(f"/routing/dossiers/{dossier}/commands", body)
    history = Desk(officer.client, HISTORY)
    twice = {"action": {"kind": "adopt"}, "at": "2019-05-06T09:00:00+07:00"}
    wrong = await history.posts(f"/routing/dossiers/{dossier}/commands", twice)
    done = await history.posts(f"/routing/dossiers/{dossier}/commands", {**body, "seen": None})

    assert (refused.status_code, "role history" in refused.json()["do"]) == (403, True)
    assert wrong.status_code == 422
    assert done.status_code == 200


# --- intake ----------------------------------------------------------------------------------------------------------


async def a_record_at_intake(desk: Desk) -> dict[str, Any]:
    history = Desk(desk.client, HISTORY)
    answer: dict[str, Any] = (await history.posts("/intake/dossiers", a_reception_body(record=A_RECORD))).json()
    return answer


async def test_a_record_without_a_promise_gets_that_of_its_term(desk: Desk) -> None:
    history = Desk(desk.client, HISTORY)
    record = {name: value for name, value in A_RECORD.items() if name != "promise"}

    received = await history.posts("/intake/dossiers", a_reception_body(record=record))

    assert received.status_code == 201
    assert received.json()["promise"] > received.json()["received"]


async def test_many_records_are_numbered_in_their_order_and_sending_them_again_changes_nothing(desk: Desk) -> None:
    history = Desk(desk.client, HISTORY)
    body = {"records": [{"id": f"r-{number}", **a_reception_body(record=A_RECORD)} for number in range(5)]}

    first = (await history.posts("/intake/records", body)).json()["outcomes"]
    again = (await history.posts("/intake/records", body)).json()["outcomes"]

    assert [one["answer"]["code"][-4:] for one in first] == ["0001", "0002", "0003", "0004", "0005"]
    assert [one["answer"] for one in again] == [one["answer"] for one in first]
    assert all(one["repeated"] for one in again)
    assert (await desk.posts("/intake/records", body)).status_code == 403


async def test_papers_and_results_of_the_past_come_in_at_their_own_time(intake: Intake, desk: Desk) -> None:
    record = await a_record_at_intake(desk)
    history = Desk(desk.client, HISTORY)
    received = datetime.fromisoformat(record["received"])
    asked, brought = received + timedelta(hours=1), received + timedelta(days=2)
    await intake.is_told_at(
        record["id"], asked, SupplementRequested(run=1, nth=1, components=(), reason="papers_missing")
    )

    def body(when: datetime, kind: str = "supplement") -> dict[str, Any]:
        action = {"kind": kind, "at": when.isoformat(), "by": "desk-7"}
        return {"commands": [{"id": f"{kind}-{when}".replace(" ", "T"), "dossier": record["id"], "action": action}]}

    async def outcome(given: dict[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = (await history.posts("/intake/commands", given)).json()["outcomes"][0]
        return found

    too_early = await outcome(body(asked - timedelta(minutes=1)))
    too_late = await outcome(body(datetime(2099, 1, 1, tzinfo=UTC)))
    not_ready = await outcome(body(brought, "result"))
    done = await outcome(body(brought))

    kinds = [one["problem"]["type"].rpartition("/")[2] for one in (too_early, too_late, not_ready)]
    assert kinds == ["before-the-last", "not-yet", "not-now"]
    assert datetime.fromisoformat(done["answer"]["time"]) == brought
    assert await outcome(body(brought)) == done
    assert (await desk.posts("/intake/commands", body(brought))).status_code == 403


async def test_a_desk_gives_no_time_of_its_own(intake: Intake, desk: Desk) -> None:
    receipt = await intake.receives()
    given = {"at": "2019-05-06T09:00:00+07:00"}

    refused = await desk.posts(f"/intake/dossiers/{receipt['code']}/withdrawal", given)

    assert refused.status_code == 403
    assert await intake.said(receipt["id"]) == ["DossierReceived"]


async def test_an_adopted_record_takes_no_past_any_more_and_counts_as_live(intake: Intake, desk: Desk) -> None:
    record = await a_record_at_intake(desk)
    await intake.is_told(
        record["id"],
        StageStarted(stage="commune_desk", run=1, unit=WARD),
        DossierAdopted(origin="old-books", run=1, unit=WARD),
    )

    outcome = await intake.takes(record["id"], door.Withdrawal(), when=at("2019-05-07 08:00"))
    now = await intake.takes(record["id"], door.Withdrawal())

    assert isinstance(outcome, door.NotDone)
    assert outcome.code == "live"
    assert isinstance(now, door.Done)
    dossier = await intake.dossier(record["id"])
    assert (dossier.origin, dossier.status) == (None, Status.IN_PROCESS)
