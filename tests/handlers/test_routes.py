"""Routes over HTTP and on real PostgreSQL: published version by version, bound to the terms that are promised."""

from __future__ import annotations

from typing import Any

import pytest

from services.intake.values import Leg
from services.routing.values import HandOver, Resume
from shared.calendar import Term, TermUnit
from shared.events import ProcedurePublished, RoutePublished
from tests.builders import TEN_DAYS, TOWN, TOWN_PROCEDURE, a_dossier_id, a_dossier_received, a_procedure, at, heard
from tests.handlers.doors import A_ROUTE, DESK, Desk, at_counter, intake_app
from tests.handlers.intake import ADMINISTRATOR as INTAKE_ADMINISTRATOR
from tests.handlers.intake import Intake
from tests.handlers.routing import ADMINISTRATOR, Routing
from tests.http.asking import problem_of

CITIZEN = {"name": "citizen_pays", "kind": "citizen", "place": "receiving"}


@pytest.fixture
def administrator(officer: Desk) -> Desk:
    """The administrator, at the same door."""
    return Desk(officer.client, ADMINISTRATOR)


def names_its_route(route: str, term: Term = TEN_DAYS, version: int = 2) -> Any:
    """Intake published the town's procedure with a route."""
    event = ProcedurePublished.model_validate(
        {
            "code": TOWN_PROCEDURE,
            "name": "Thủ tục",
            "sector": "Bảo trợ xã hội",
            "term": term,
            "level": "town",
            "route": route,
        }
    )
    return heard(event, subject=f"procedure:{TOWN_PROCEDURE}", version=version)


# --- routing ---------------------------------------------------------------------------------------------------------


async def test_the_same_route_again_keeps_its_version_and_is_said_once(routing: Routing, administrator: Desk) -> None:
    first = await administrator.puts("/routing/routes/tro-cap", A_ROUTE)
    same = await administrator.puts("/routing/routes/tro-cap", A_ROUTE)
    changed = await administrator.puts("/routing/routes/tro-cap", {**A_ROUTE, "stages": A_ROUTE["stages"][:1]})
    shown = (await administrator.gets("/routing/routes")).json()["routes"]

    assert [one.json() for one in (first, same, changed)] == [{"version": 1}, {"version": 1}, {"version": 2}]
    assert await routing.said("route:tro-cap") == ["RoutePublished", "RoutePublished"]
    assert [(one["version"], len(one["stages"])) for one in shown if one["code"] == "tro-cap"] == [(2, 1)]


async def test_a_route_that_takes_longer_than_a_term_is_refused_and_leaves_nothing_behind(
    routing: Routing, administrator: Desk
) -> None:
    await routing.hears(names_its_route("tro-cap", Term(2, TermUnit.WORKING_DAY)))
    before = await routing.everything()

    refused = await administrator.puts("/routing/routes/tro-cap", A_ROUTE)

    assert (refused.status_code, problem_of(refused)["field"]) == (422, "/stages")
    assert TOWN_PROCEDURE in problem_of(refused)["detail"]
    assert await routing.everything() == before


@pytest.mark.parametrize(
    ("stages", "field"),
    [
        ([], "/stages"),
        ([{"name": "a", "place": "moon", "role": "desk", "share": 1}], "/stages/0/place"),
        ([{"name": "a", "place": "named", "unit": "000.55.99.H41", "role": "desk", "share": 1}], "/stages/0/unit"),
        (
            [{"name": "a", "place": "receiving", "role": "desk", "budget": {"value": 0.3, "unit": "working_day"}}],
            "/stages/0/budget/value",
        ),
        (
            [{"name": "a", "place": "receiving", "role": "desk", "budget": {"value": 1.5, "unit": "calendar_day"}}],
            "/stages/0/budget/value",
        ),
    ],
)
async def test_what_is_no_route_is_refused_with_its_field(
    routing: Routing, administrator: Desk, stages: list[Any], field: str
) -> None:
    refused = await administrator.puts("/routing/routes/r", {"stages": stages})

    assert (refused.status_code, problem_of(refused)["field"]) == (422, field)


async def test_routes_are_the_administrator_s(officer: Desk) -> None:
    assert (await officer.puts("/routing/routes/r", A_ROUTE)).status_code == 403


async def test_a_dossier_waits_until_the_route_of_its_procedure_is_known(routing: Routing, administrator: Desk) -> None:
    await routing.hears(names_its_route("tro-cap"))
    dossier = a_dossier_id()
    waiting = await routing.hears(heard(a_dossier_received(), subject=dossier))
    waited = await routing.said(dossier)

    await administrator.puts("/routing/routes/tro-cap", A_ROUTE)
    await routing.hears(again=[dossier])

    assert (waiting.parked, waited) == (1, [])
    assert (await routing.journey(dossier)).stage == "officer"


async def test_a_dossier_passes_posting_and_citizen_over_the_store(routing: Routing, administrator: Desk) -> None:
    route = {"stages": [*A_ROUTE["stages"][:2], CITIZEN, A_ROUTE["stages"][2]]}
    await administrator.puts("/routing/routes/tro-cap", route)
    await routing.hears(names_its_route("tro-cap", Term(35, TermUnit.WORKING_DAY)))
    dossier = await routing.receives()
    await routing.does(dossier, HandOver())
    during = await routing.journey(dossier)
    async with routing.database.pool.acquire() as connection:
        await connection.execute("UPDATE timer SET stage_at = clock_timestamp() WHERE dossier = $1", dossier)

    said = await routing.fires(dossier)
    waiting = await routing.journey(dossier)
    await routing.does(dossier, Resume())
    last = await routing.journey(dossier)

    assert (during.stage, during.role, during.state) == ("posting", None, "moving")
    assert said > 0
    assert (waiting.stage, waiting.state) == ("citizen_pays", "paused")
    assert (last.stage, last.unit, last.state) == ("town", TOWN, "moving")


# --- intake ----------------------------------------------------------------------------------------------------------


async def test_intake_refuses_a_route_that_it_does_not_know_or_that_is_too_long(intake: Intake) -> None:
    async with at_counter(intake_app(intake), INTAKE_ADMINISTRATOR) as administrator:
        body: dict[str, Any] = {"code": "1.000009", "name": "Thủ tục", "sector": "Đất đai", "level": "town"}
        body |= {"source": "tests"}
        body |= {"term": {"value": 5, "unit": "working_day"}, "route": "tro-cap"}
        unknown = await administrator.puts("/intake/procedures", {"procedures": [body]})
        said = RoutePublished(code="tro-cap", length=6 * 224)
        await intake.hears(heard(said, at("2019-01-02 08:00"), subject="route:tro-cap"))
        too_long = await administrator.puts("/intake/procedures", {"procedures": [body]})
        fits = await administrator.puts(
            "/intake/procedures", {"procedures": [body | {"term": {"value": 6, "unit": "working_day"}}]}
        )

    assert (problem_of(unknown)["type"], problem_of(unknown)["field"]) == (
        "/problems/unknown-route",
        "/procedures/0/route",
    )
    assert (too_long.status_code, problem_of(too_long)["type"]) == (422, "/problems/route-too-long")
    assert fits.status_code == 200


async def test_legs_are_promised_one_after_the_other_and_the_last_is_the_promise(intake: Intake, desk: Desk) -> None:
    term = Term(35, TermUnit.WORKING_DAY)
    legs = (Leg("commune", Term(25, TermUnit.WORKING_DAY)), Leg("town", Term(10, TermUnit.WORKING_DAY)))
    await intake.publishes(a_procedure(version=0, term=term, legs=legs))

    receipt = await intake.receives()
    shown = (await desk.gets(f"/intake/procedures/by-code/{TOWN_PROCEDURE}")).json()

    assert [leg["level"] for leg in receipt["legs"]] == ["commune", "town"]
    assert receipt["legs"][0]["promise"] < receipt["legs"][1]["promise"] == receipt["promise"]
    assert [leg["term"]["value"] for leg in shown["legs"]] == [25, 10]


async def test_legs_that_do_not_add_up_are_refused(intake: Intake) -> None:
    async with at_counter(intake_app(intake), INTAKE_ADMINISTRATOR) as administrator:
        leg = {"level": "commune", "term": {"value": 4, "unit": "working_day"}}
        body = {"code": "1.000009", "name": "Thủ tục", "sector": "Đất đai", "level": "town", "source": "tests"}
        refused = await administrator.puts(
            "/intake/procedures",
            {"procedures": [body | {"term": {"value": 5, "unit": "working_day"}, "legs": [leg]}]},
        )

    assert (refused.status_code, problem_of(refused)["field"]) == (422, "/procedures/0/legs")


async def test_the_coverage_is_of_the_town_s_own_figure_and_says_whose_it_is(intake: Intake) -> None:
    whose = "số do thị xã công bố | the town's own"
    async with (
        at_counter(intake_app(intake, (378, whose)), DESK) as with_figure,
        at_counter(intake_app(intake), DESK) as without,
    ):
        answered = (await with_figure.gets("/intake/procedures/coverage")).json()
        page = (await with_figure.gets("/intake/procedures/page")).text
        nothing = await without.gets("/intake/procedures/coverage")

    assert answered == {"loaded": 2, "figure": 378, "share": round(2 / 378, 4), "whose": whose}
    assert ("2 / 378" in page, "số do thị xã công bố" in page) == (True, True)
    assert nothing.status_code == 404


async def test_what_is_known_of_a_fee_is_kept_and_shown(intake: Intake, desk: Desk) -> None:
    await intake.publishes(a_procedure(version=0, online_level=3, fee_note="mỗi trang / per page"))

    shown = (await desk.gets(f"/intake/procedures/by-code/{TOWN_PROCEDURE}")).json()
    page = (await desk.gets("/intake/procedures/page")).text

    assert (shown["online_level"], shown["fee_note"], shown["route"]) == (3, "mỗi trang / per page", None)
    assert "mỗi trang / per page" in page
