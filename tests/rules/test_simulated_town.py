"""The plan of a simulated town: the same every time, people come when a desk is open, and the sums are right."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.replay.doors import Doors
from deploy.simulate.arrivals import arrivals, doors, period_of
from deploy.simulate.asking import Waiting
from deploy.simulate.live import Lived, Living, rate_of, span_of
from deploy.simulate.model import the_model
from deploy.simulate.people import MARK
from deploy.simulate.plan import figures, plan
from deploy.simulate.town import NotReady, Town, town_of
from deploy.simulate.values import Plan
from shared.calendar import is_late
from shared.events import Channel
from tests.builders import HANOI, TOWN, WARD, office
from tests.processes import until

HOUR = 3600.0

UNIT: dict[str, Any] = {"calendar": "office", "valid_from": "2013-06-03", "valid_to": None}
UNITS: list[dict[str, Any]] = [
    {"code": TOWN, "level": "town", "parent": None, **UNIT},
    {"code": WARD, "level": "commune", "parent": TOWN, **UNIT},
]
ROUTES: list[dict[str, Any]] = [
    {
        "code": "commune",
        "level": "commune",
        "stages": [
            {"name": "commune_desk", "place": "receiving", "role": "desk", "share": 1},
            {"name": "commune_officer", "place": "receiving", "role": "officer", "share": 8},
        ],
    },
    {
        "code": "two_level",
        "level": "town",
        "stages": [
            {"name": "commune_desk", "place": "receiving", "role": "desk", "share": 1},
            {"name": "town_specialist", "place": "parent", "role": "specialist", "share": 8},
            {"name": "commune_return", "place": "receiving", "role": "desk", "share": 1},
        ],
    },
]
PROCEDURES: list[dict[str, Any]] = [
    {
        "code": code,
        "sector": "Hộ tịch",
        "level": level,
        "term": {"value": value, "unit": unit},
        "terms": {},
        "fees": {"desk": 8_000},
    }
    for code, level, value, unit in (
        ("1.001193", "commune", 0, "same_day"),
        ("2.000908", "commune", 3, "working_day"),
        ("1.001776", "town", 10, "working_day"),
    )
]


def officers(**changes: Any) -> list[dict[str, Any]]:
    """Twenty in each role at both units."""
    return [
        {
            "id": f"{role}-{unit[4:6]}-{number}",
            "unit": unit,
            "roles": [role],
            "sectors": [],
            "valid_from": "2015-01-01",
            "valid_to": None,
            **changes,
        }
        for unit in (TOWN, WARD)
        for role in ("desk", "officer", "specialist")
        for number in range(20)
    ]


@cache
def town() -> Town:
    """The town with one ward."""
    made = town_of(UNITS, officers(), ROUTES, PROCEDURES, {"office": office()})
    assert isinstance(made, Town)
    return made


@cache
def a_plan(name: str = "2019-03", seed: int = 1) -> Plan:
    """A period of a town with 6,000 dossiers a year."""
    period = period_of(name)
    until = datetime.combine(period.last, datetime.max.time(), HANOI)
    return plan(town(), the_model(), period, seed=seed, volume=6_000, until=until)


def test_the_same_arguments_give_the_same_plan_and_another_seed_another() -> None:
    a_plan.cache_clear()
    first = a_plan()
    a_plan.cache_clear()

    assert a_plan() == first
    assert a_plan(seed=2) != first


def test_a_day_brings_the_same_people_in_whatever_period_it_lies() -> None:
    day = arrivals(town(), the_model(), period_of("2019-03-05"), 1, 6_000)
    month = arrivals(town(), the_model(), period_of("2019-03"), 1, 6_000)

    assert day == [one for one in month if office().day_of(one.received) == date(2019, 3, 5)]
    assert day


def test_at_a_desk_and_by_post_dossiers_come_in_opening_hours_only() -> None:
    found = arrivals(town(), the_model(), period_of("2019"), 1, 6_000)
    at_desks = [one for one in found if one.channel is not Channel.ONLINE]

    for one in at_desks:
        hours = office().hours_on(office().day_of(one.received))
        assert any(start <= office().local(one.received).time() < end for start, end in hours)
    assert any(not office().is_working_day(office().day_of(one.received)) for one in found)


def test_a_year_brings_its_volume_and_tet_is_quiet() -> None:
    found = arrivals(town(), the_model(), period_of("2019"), 1, 6_000)
    tet = [one for one in found if date(2019, 2, 4) <= office().day_of(one.received) <= date(2019, 2, 8)]

    assert 5_700 < len(found) < 6_300
    assert all(one.channel is Channel.ONLINE for one in tet)


def test_the_shares_of_the_doors_add_up() -> None:
    assert sum(doors(town(), the_model()).values()) == pytest.approx(1)


def test_the_late_share_lies_in_the_model_s_band() -> None:
    model, counted = the_model(), figures(a_plan("2019").courses)

    assert model.late_band[0] <= counted.late_share <= model.late_band[1]


def test_the_sums_are_right() -> None:
    made = a_plan()
    counted = figures(made.courses)

    assert counted.received == counted.desk + counted.online + counted.post == len(made.courses)
    assert counted.received == counted.finished + counted.withdrawn + counted.open
    assert counted.finished == counted.handed_out + counted.ready
    assert counted.acts == sum(len(one.acts) for one in made.courses)


def test_what_happens_to_a_dossier_is_in_order_within_the_period_and_by_somebody_in_office() -> None:
    appointed = {one.id for one in town().officers}
    made = a_plan()

    for one in made.courses:
        instants = [one.received, *(act.at for act in one.acts)]
        assert instants == sorted(instants)
        assert instants[-1] < made.until
        assert {act.by for act in one.acts} <= appointed | {None}


def test_an_officer_does_one_thing_at_a_time_and_in_office_hours() -> None:
    done: dict[str, list[datetime]] = {}
    for one in a_plan().courses:
        for act in one.acts:
            if act.door == "routing" and act.by is not None and act.action["kind"] in {"hand_over", "finish"}:
                assert office().is_working_day(office().day_of(act.at))
                done.setdefault(act.by, []).append(act.at)

    assert all(len(set(instants)) == len(instants) for instants in done.values())


def test_a_late_dossier_is_late_by_the_date_that_its_term_and_pauses_give() -> None:
    late = [one for one in a_plan("2019").courses if one.late and one.end == "closed"]

    simple = [
        one for one in late if len({act.action["kind"] for act in one.acts} - {"hand_over", "finish", "result"}) == 0
    ]
    for one in simple:
        finished = next(act.at for act in one.acts if act.action["kind"] == "finish")
        assert is_late(office(), one.received, finished)
    assert simple


def test_people_are_marked_and_only_whoever_can_still_be_told_something_leaves_an_address() -> None:
    made = a_plan()

    assert all(one.body["applicant"]["name"].endswith(MARK) for one in made.courses)
    assert not [one for one in made.courses if one.end == "closed" and "contact" in one.body]
    addresses = [one.body["contact"]["email"] for one in made.courses if "contact" in one.body]
    assert addresses
    assert all(one.rpartition("@")[2] in {"example.com", "example.net", "example.org"} for one in addresses)


def test_ids_are_each_one_s_own() -> None:
    ids = [one.id for one in a_plan().courses]

    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("units", "staff", "procedures", "word"),
    [
        ([], officers(), PROCEDURES, "no units"),
        (UNITS, [], PROCEDURES, "no officers"),
        (UNITS, officers(), [], "no procedures"),
        (UNITS, officers(roles=["leader"]), PROCEDURES, "officer at each of its stages"),
    ],
)
def test_a_town_that_lacks_something_says_so_in_one_sentence(
    units: list[dict[str, Any]], staff: list[dict[str, Any]], procedures: list[dict[str, Any]], word: str
) -> None:
    made = town_of(units, staff, ROUTES, procedures, {"office": office()})

    assert isinstance(made, NotReady)
    assert word in made.sentence


def test_every_figure_of_the_model_has_a_source() -> None:
    path = Path(__file__).parents[2] / "deploy" / "simulate" / "model.json"
    read = json.loads(path.read_text(encoding="utf-8"))

    assert all(figure["source"] for name, figure in read.items() if name != "note")


def test_rates_and_spans_are_read_as_people_write_them() -> None:
    assert (rate_of("2/s"), rate_of("30/m"), span_of("10m"), span_of("90s")) == (2, 0.5, 600, 90)
    for text in ("2", "x/s", "0/s", "2/d"):
        with pytest.raises((ValueError, KeyError)):
            rate_of(text)


async def test_a_clock_that_jumps_is_told_once_and_a_steady_one_never() -> None:
    jumps = iter([0.0, -HOUR])
    lived = {name: Lived() for name in ("steady", "set back")}
    clocks = {"steady": time.monotonic, "set back": lambda: time.monotonic() + next(jumps, -HOUR)}
    watches = [asyncio.create_task(living(lived[name], wall).watch_the_clock()) for name, wall in clocks.items()]

    await until(lambda: bool(lived["set back"].clock_steps), "the jump is told")
    for watch in watches:
        watch.cancel()
    await asyncio.gather(*watches, return_exceptions=True)

    assert [round(step / HOUR) for step in lived["set back"].clock_steps] == [-1]
    assert lived["steady"].clock_steps == []


def living(lived: Lived, wall: Callable[[], float]) -> Living:
    """The town at work, with another clock on its wall."""
    return Living(Doors(httpx.AsyncClient(), Waiting()), town(), the_model(), 1, 1.0, None, lived, wall=wall)
