"""A dossier goes to police and insurer at once and back to the desk, while routing is killed on the way."""

from __future__ import annotations

from typing import Any

from tests.flow.river import ADMINISTRATOR, TOWN, WARD, WARD_DESK, River
from tests.processes import until

FORKED = "2.000986"
POLICE, INSURER = "000.62.99.H41", "000.63.99.H41"
POLICE_DESK = {"X-Dev-Actor": f"id=police-1; unit={POLICE}; roles=specialist"}
INSURER_DESK = {"X-Dev-Actor": f"id=insurer-1; unit={INSURER}; roles=specialist"}
ON = {"kind": "hand_over"}

_STAGGER = """
UPDATE branch SET fires_at = clock_timestamp() + run * interval '300 milliseconds' WHERE dossier = $1
RETURNING run, fires_at
"""
_SAID = """
SELECT (payload::json ->> 'run')::int AS run, recorded FROM journal
 WHERE aggregateid = $1 AND type = 'DeadlineNear' AND payload::json ->> 'scope' = 'stage'
"""


async def a_town_with_a_fork(river: River) -> None:
    """Police, insurer, the route of 2.000986 and the procedure that takes it."""
    for code, name in ((POLICE, "Công an thị xã (mẫu)"), (INSURER, "Bảo hiểm xã hội (mẫu)")):
        unit = {"calendar": "office", "valid_from": "2013-06-03", "name": name, "level": "town", "parent": TOWN}
        await river.put("routing", f"/routing/units/{code}", unit)

    def stage(name: str, role: str, days: int, **more: Any) -> dict[str, Any]:
        unit = "calendar_day" if days else "same_day"
        return {"name": name, "place": "receiving", "role": role, "budget": {"value": days, "unit": unit}} | more

    stages = [
        stage("commune_birth", "officer", 0),
        stage("town_police", "specialist", 15, place="named", unit=POLICE, parallel=True),
        stage("social_insurance", "specialist", 10, place="named", unit=INSURER, parallel=True),
        stage("commune_return", "desk", 0),
    ]
    await river.put("routing", "/routing/routes/khai-sinh-thuong-tru-bhyt", {"stages": stages})
    await river.settled()
    procedure = {
        "code": FORKED,
        "name": "Liên thông khai sinh, thường trú, thẻ BHYT",
        "sector": "Hộ tịch",
        "level": "town",
        "term": {"value": 20, "unit": "working_day"},
        "route": "khai-sinh-thuong-tru-bhyt",
        "source": "tests",
    }
    await river.put("intake", "/intake/procedures", {"procedures": [procedure]})
    await river.settled()


async def near_said_once_each(river: River, dossier: str) -> None:
    """Both branches' clocks come near; routing is killed between the two."""
    async with river.store("routing") as store:
        due = {row["run"]: row["fires_at"] for row in await store.fetch(_STAGGER, dossier)}

        async def said() -> int:
            return len(await store.fetch(_SAID, dossier))

        async def one() -> bool:
            return await said() >= 1

        async def both() -> bool:
            return await said() >= 2

        await until(one, "the first branch comes near")
        await river.kill("routing")
        await river.start("routing")
        await until(both, "both branches come near", seconds=60)
        await river.settled()
        events = await store.fetch(_SAID, dossier)
    assert sorted(row["run"] for row in events) == [2, 3]
    assert all(row["recorded"] >= due[row["run"]] for row in events)


async def test_a_dossier_goes_through_a_fork_and_joins_once_whatever_is_killed(river: River) -> None:
    await a_town_with_a_fork(river)
    receipt = await river.receive(FORKED, email="forked@example.vn")
    dossier = receipt["id"]
    await river.settled()
    await river.act(dossier, ON)
    await river.settled()
    both = await river.look_up(receipt["code"])
    await near_said_once_each(river, dossier)

    ended = await river.act(dossier, ON, INSURER_DESK, run=3)
    await river.kill("routing")
    await river.start("routing")
    await river.settled()
    left = await river.look_up(receipt["code"])
    joined = await river.act(dossier, ON, POLICE_DESK)
    await river.settled()
    back = await river.look_up(receipt["code"])
    await river.act(dossier, {"kind": "finish"}, WARD_DESK)
    await river.settled()

    assert [(one["run"], one["unit"]) for one in both["places"]] == [(2, POLICE), (3, INSURER)]
    assert (both["status"], both["at_stage"]) == (4, "town_police")
    assert (ended["open_runs"], left["places"], left["at_unit"]) == ([2], [], POLICE)
    assert (joined["stage"], joined["run"], back["at_unit"], back["at_stage"]) == (
        "commune_return",
        4,
        WARD,
        "commune_return",
    )
    told = [one["template"] for one in await notices(river, dossier)]
    assert told == ["received", "result_ready"]
    recount = await river.client.get(river.url("reporting", "/reporting/recount"), headers=ADMINISTRATOR)
    assert recount.json()["agrees"], recount.text
    timeline = await river.client.get(
        river.url("reporting", f"/reporting/dossiers/{dossier}/timeline"), headers=ADMINISTRATOR
    )
    assert [step["stage"] for step in timeline.json()["steps"]] == [
        "commune_birth",
        "town_police",
        "social_insurance",
        "commune_return",
    ]


async def notices(river: River, dossier: str) -> list[dict[str, Any]]:
    """What the citizen was told, in order."""
    async with river.store("notification") as store:
        rows = await store.fetch("SELECT template FROM notice WHERE dossier = $1 ORDER BY number", dossier)
    return [dict(row) for row in rows]
