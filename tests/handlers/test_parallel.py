"""A forked dossier on real PostgreSQL and over HTTP: branches in a table of their own, one line of work for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from deploy.launcher.postgres import Databases
from services.routing import store
from services.routing.handlers import Done, NotDone
from services.routing.values import Action, HandOver, RequestSupplement, Resume, SendBack
from shared.access import Actor, Role
from shared.calendar import Term, TermUnit
from shared.events import SupplementReceived, WithdrawalRequested
from shared.store import Database, open_pool
from tests.builders import TOWN, WARD, a_unit, an_actor
from tests.handlers.doors import Desk
from tests.handlers.routing import ADMINISTRATOR, Routing, a_command, later
from tests.handlers.test_routes import names_its_route
from tests.http.asking import problem_of

POLICE_UNIT, INSURER_UNIT = "000.62.99.H41", "000.63.99.H41"
POLICE = an_actor(Role.SPECIALIST, unit=POLICE_UNIT, ident="police-1")
INSURER = an_actor(Role.SPECIALIST, unit=INSURER_UNIT, ident="insurer-1")
DAYS = {"value": 15, "unit": "calendar_day"}
FEWER = {"value": 10, "unit": "calendar_day"}
SAME_DAY = {"value": 0, "unit": "same_day"}
ROUTE: dict[str, Any] = {
    "stages": [
        {"name": "birth", "place": "receiving", "role": "officer", "budget": SAME_DAY},
        {
            "name": "police",
            "place": "named",
            "unit": POLICE_UNIT,
            "role": "specialist",
            "budget": DAYS,
            "parallel": True,
        },
        {
            "name": "insurer",
            "place": "named",
            "unit": INSURER_UNIT,
            "role": "specialist",
            "budget": FEWER,
            "parallel": True,
        },
        {"name": "return", "place": "receiving", "role": "desk", "budget": SAME_DAY},
    ]
}
SUPPLEMENT = RequestSupplement(("to_khai",), "papers_missing")


@pytest.fixture
def administrator(officer: Desk) -> Desk:
    """The administrator, at the same door."""
    return Desk(officer.client, ADMINISTRATOR)


@pytest.fixture
async def forked(routing: Routing, administrator: Desk) -> str:
    """A dossier that lies at the police and at the insurer."""
    for code in (POLICE_UNIT, INSURER_UNIT):
        unit = a_unit(code, level="town", parent=TOWN)
        await routing.publish(code, level=unit.level, parent=unit.parent)
    assert (await administrator.puts("/routing/routes/khai-sinh", ROUTE)).status_code == 200
    await routing.hears(names_its_route("khai-sinh", Term(20, TermUnit.WORKING_DAY)))
    dossier = await routing.receives()
    await routing.does(dossier, HandOver())
    return dossier


@pytest.fixture
async def another(made: Databases, routing: Routing) -> AsyncIterator[Routing]:
    """A second process on the same database."""
    pool = await open_pool(made.login["routing"], name="tests another", smallest=1, largest=4)
    yield Routing(Database(pool))
    await pool.close()


async def make_due(routing: Routing, dossier: str, run: int) -> None:
    """The next rung of a branch's clock has come."""
    async with routing.database.pool.acquire() as connection:
        await connection.execute(
            "UPDATE branch SET fires_at = clock_timestamp() WHERE dossier = $1 AND run = $2", dossier, run
        )


async def rows(routing: Routing, table: str) -> list[tuple[object, ...]]:
    return (await routing.everything())[table]


async def work_at(routing: Routing, unit: str) -> list[tuple[str, int, str]]:
    async with routing.database.pool.acquire() as connection:
        found = await store.worklist(connection, unit, None, None, 10)
    return [(one.dossier, one.run, one.stage) for one in found]


async def refused(routing: Routing, dossier: str, action: Action, actor: Actor, run: int | None) -> NotDone:
    (outcome,) = await routing.acts(a_command(dossier, action, await routing.version(dossier), run=run), actor=actor)
    assert isinstance(outcome, NotDone)
    return outcome


async def test_each_branch_lies_in_the_worklist_of_its_own_unit(routing: Routing, forked: str) -> None:
    assert await work_at(routing, POLICE_UNIT) == [(forked, 2, "police")]
    assert await work_at(routing, INSURER_UNIT) == [(forked, 3, "insurer")]
    assert await work_at(routing, WARD) == []
    assert await routing.said(forked) == ["StageStarted", "HandedOver", "StageStarted", "StageStarted"]


async def test_what_is_saved_of_a_fork_is_loaded_again_as_it_was(routing: Routing, forked: str) -> None:
    journey = await routing.journey(forked)

    assert [(one.run, one.stage, one.unit) for one in journey.branches] == [
        (2, "police", POLICE_UNIT),
        (3, "insurer", INSURER_UNIT),
    ]
    assert [one.timer is not None for one in journey.branches] == [True, True]
    assert (journey.run, journey.last_run, journey.stage_due) == (2, 3, journey.branches[0].due)


async def test_the_last_branch_joins_and_nothing_of_the_fork_is_left(routing: Routing, forked: str) -> None:
    await routing.does(forked, HandOver(), actor=INSURER, run=3)
    between = (await work_at(routing, POLICE_UNIT), await work_at(routing, INSURER_UNIT), await work_at(routing, WARD))
    await routing.does(forked, HandOver(), actor=POLICE)

    journey = await routing.journey(forked)
    assert between == ([(forked, 2, "police")], [], [])
    assert await work_at(routing, WARD) == [(forked, 4, "return")]
    assert (journey.stage, journey.run, journey.last_run, journey.branches) == ("return", 4, 0, ())
    assert (await routing.said(forked))[4:] == ["HandedOver", "HandedOver", "StageStarted"]
    assert await rows(routing, "branch") == []


async def test_the_run_that_is_left_keeps_its_clock_and_its_number(routing: Routing, forked: str) -> None:
    before = await routing.journey(forked)
    await routing.does(forked, HandOver(), actor=POLICE, run=2)

    async with routing.database.pool.acquire() as connection:
        (timers,) = (await store.timers_of(connection, [forked])).values()
    assert before.branches[1].timer in timers
    await routing.does(forked, HandOver(), actor=INSURER, run=3)
    assert (await routing.journey(forked)).run == 4


async def test_a_command_without_its_run_for_another_s_or_for_one_that_is_over_says_what_to_do(
    routing: Routing, forked: str
) -> None:
    missing = await refused(routing, forked, HandOver(), POLICE, None)
    theirs = await refused(routing, forked, HandOver(), POLICE, 3)
    over = await refused(routing, forked, HandOver(), POLICE, 1)

    assert (missing.code, theirs.code) == ("run_missing", "denied")
    assert INSURER_UNIT in theirs.do
    assert (over.code, over.reason) == ("refused", "run_not_open")
    assert len((await routing.journey(forked)).branches) == 2


async def test_a_run_that_ended_meanwhile_is_a_stale_screen(routing: Routing, forked: str) -> None:
    seen = await routing.version(forked)
    first, second = await routing.acts(
        a_command(forked, HandOver(), seen, run=3), a_command(forked, HandOver(), seen, run=3), actor=INSURER
    )

    assert isinstance(first, Done)
    assert first.answer["open_runs"] == [2]
    assert isinstance(second, NotDone)
    assert second.code == "stale"
    repeated, other = a_command(forked, HandOver(), seen, "same", run=2), a_command(forked, HandOver(), seen, "same")
    assert repeated.digest != other.digest


async def test_two_branches_end_in_one_bulk(routing: Routing, forked: str) -> None:
    seen = await routing.version(forked)
    both = an_actor(Role.SPECIALIST, unit=POLICE_UNIT, ident="police-1")
    (ended,) = await routing.acts(a_command(forked, HandOver(), seen, run=2), actor=both)
    (joined,) = await routing.acts(a_command(forked, HandOver(), seen + 1), actor=INSURER)

    assert isinstance(ended, Done)
    assert isinstance(joined, Done)
    assert (await routing.journey(forked)).stage == "return"


async def test_a_pause_of_one_branch_is_every_branch_s_and_the_citizen_s_papers_end_it(
    routing: Routing, forked: str
) -> None:
    before = await routing.journey(forked)
    await routing.does(forked, SUPPLEMENT, actor=INSURER, run=3)
    stood = await routing.journey(forked)

    await routing.hears(later(SupplementReceived(), forked, await routing.now(), 2))

    again = await routing.journey(forked)
    assert (stood.state, [one.timer for one in stood.branches]) == ("paused", [None, None])
    assert (again.state, [one.timer is not None for one in again.branches]) == ("moving", [True, True])
    assert [one.timer.generation for one in again.branches if one.timer] == [before.generation + 1] * 2
    assert await work_at(routing, POLICE_UNIT) == [(forked, 2, "police")]


async def test_either_branch_may_say_that_the_wait_is_over(routing: Routing, forked: str) -> None:
    await routing.does(forked, SUPPLEMENT, actor=INSURER, run=3)
    await routing.does(forked, Resume(), actor=POLICE, run=2)

    assert (await routing.said(forked))[-1] == "DossierResumed"


async def test_a_withdrawal_takes_every_branch_away(routing: Routing, forked: str) -> None:
    await routing.hears(later(WithdrawalRequested(), forked, await routing.now(), 2))

    assert (await routing.said(forked))[-1] == "DossierWithdrawn"
    assert (await rows(routing, "branch"), await rows(routing, "timer")) == ([], [])
    assert await work_at(routing, POLICE_UNIT) == await work_at(routing, INSURER_UNIT) == []


async def test_each_branch_s_clock_fires_once_and_leaves_the_others_alone(
    routing: Routing, another: Routing, forked: str
) -> None:
    await make_due(routing, forked, 3)
    async with routing.database.pool.acquire() as connection:
        due = await store.due_timers(connection, [], 10)
        depth = await store.timer_depth(connection)

    fired = [await routing.fires(*due), await another.fires(*due)]

    journey = await routing.journey(forked)
    assert (due, fired, (depth.timers, depth.overdue)) == ([forked], [1, 0], (3, 1))
    assert (await routing.said(forked))[-1] == "DeadlineNear"
    assert [one.timer.rung for one in journey.branches if one.timer] == ["near", "reached"]
    assert journey.run == 2


async def test_the_stage_that_joins_sends_back_to_the_branch_that_it_names(routing: Routing, forked: str) -> None:
    await routing.does(forked, HandOver(), actor=INSURER, run=3)
    await routing.does(forked, HandOver(), actor=POLICE)
    unclear = await refused(routing, forked, SendBack("wrong_name"), an_actor(Role.DESK), None)

    await routing.does(forked, SendBack("wrong_name", "insurer"), actor=an_actor(Role.DESK))
    again = await work_at(routing, INSURER_UNIT)
    await routing.does(forked, HandOver(), actor=INSURER)

    assert (unclear.reason, again) == ("which_stage", [(forked, 5, "insurer")])
    assert await work_at(routing, WARD) == [(forked, 6, "return")]


async def test_over_http_each_holder_sees_the_journey_and_what_is_wrong_is_a_problem(
    routing: Routing, officer: Desk, forked: str
) -> None:
    police = Desk(officer.client, POLICE)
    seen = (await police.gets(f"/routing/dossiers/{forked}")).json()
    listed = (await police.gets("/routing/worklist", unit=POLICE_UNIT)).json()["worklist"]

    missing = await police.posts(
        f"/routing/dossiers/{forked}/commands", {"seen": seen["version"], "action": {"kind": "hand_over"}}
    )
    done = await police.posts(
        f"/routing/dossiers/{forked}/commands",
        {"seen": seen["version"], "run": listed[0]["run"], "action": {"kind": "hand_over"}},
    )

    assert [(one["run"], one["unit"]) for one in seen["open_runs"]] == [(2, POLICE_UNIT), (3, INSURER_UNIT)]
    assert (missing.status_code, problem_of(missing)["field"]) == (422, "/run")
    assert problem_of(missing)["type"].endswith("run-missing")
    assert (done.status_code, done.json()["open_runs"]) == (200, [3])
    other = await Desk(officer.client, INSURER).gets(f"/routing/dossiers/{forked}")
    assert [one["run"] for one in other.json()["open_runs"]] == [3]


async def test_a_worklist_of_branches_is_read_page_by_page(routing: Routing, officer: Desk, forked: str) -> None:
    others = [await routing.receives() for _ in range(4)]
    for dossier in others:
        await routing.does(dossier, HandOver())
    police = Desk(officer.client, POLICE)

    first = (await police.gets("/routing/worklist", unit=POLICE_UNIT, count=3)).json()
    second = (await police.gets("/routing/worklist", unit=POLICE_UNIT, count=3, after=first["next"])).json()

    assert sorted(one["dossier"] for one in (*first["worklist"], *second["worklist"])) == sorted([forked, *others])
    assert second["next"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"run": 0, "action": {"kind": "hand_over"}}, "/run"),
        ({"run": "two", "action": {"kind": "hand_over"}}, "/run"),
        ({"run": 1, "action": {"kind": "adopt"}}, None),
        ({"action": {"kind": "send_back", "reason": "no", "stage": "Cảnh sát"}}, "/action/send_back/stage"),
    ],
)
async def test_a_run_that_is_none_is_refused(
    routing: Routing, officer: Desk, forked: str, body: dict[str, Any], field: str | None
) -> None:
    answer = await officer.posts(f"/routing/dossiers/{forked}/commands", {"seen": 4, **body})

    assert answer.status_code == 422
    assert field is None or problem_of(answer)["field"] == field


@pytest.mark.parametrize("parallel", ["yes", 1, None])
async def test_a_branch_is_one_or_is_none(administrator: Desk, parallel: object) -> None:
    stages = [ROUTE["stages"][0], {**ROUTE["stages"][1], "parallel": parallel}, *ROUTE["stages"][2:]]

    answer = await administrator.puts("/routing/routes/r", {"stages": stages})

    assert (answer.status_code, problem_of(answer)["field"]) == (422, "/stages/1/parallel")
