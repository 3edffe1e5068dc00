"""A dossier travels over real Kafka and is seen in all four stores."""

from __future__ import annotations

from functools import partial
from typing import Any

from tests.flow.river import ADMINISTRATOR, TOWN, TOWN_DESK, WARD, WARD_DESK, River, command_id
from tests.processes import until


async def _status_is(river: River, code: str, status: int) -> bool:
    return bool((await river.look_up(code))["status"] == status)


async def test_a_dossier_goes_from_the_ward_to_the_town_and_back_and_every_store_sees_it(river: River) -> None:
    receipt = await river.receive(email="binh@example.vn")
    await until(partial(_status_is, river, receipt["code"], 4), "routing has it")

    for actor in (WARD_DESK, WARD_DESK, TOWN_DESK):
        await river.act(receipt["id"], {"kind": "hand_over"}, actor)
    await river.act(receipt["id"], {"kind": "request_supplement", "reason": "missing_paper"}, TOWN_DESK)
    await until(partial(_status_is, river, receipt["code"], 5), "intake knows that papers are missing")
    path = river.url("intake", f"/intake/dossiers/{receipt['code']}")
    brought = await river.client.post(
        f"{path}/supplement", json={"components": ["giay_to"]}, headers={**WARD_DESK, **command_id()}
    )
    brought.raise_for_status()
    await until(partial(_status_is, river, receipt["code"], 4), "the clock runs again")
    for actor in (TOWN_DESK, TOWN_DESK):
        await river.act(receipt["id"], {"kind": "hand_over"}, actor)
    await river.act(receipt["id"], {"kind": "finish"})
    await until(partial(_status_is, river, receipt["code"], 9), "the result is at the desk")
    handed = await river.client.post(f"{path}/result", json={"way": "desk"}, headers={**WARD_DESK, **command_id()})
    handed.raise_for_status()
    await river.settled()

    told = await river.look_up(receipt["code"])
    assert (told["status"], told["promise"], told["supplements"]) == (10, receipt["promise"].replace("+00:00", "Z"), 1)
    ledger = (
        await river.client.get(river.url("routing", f"/routing/dossiers/{receipt['id']}"), headers=ADMINISTRATOR)
    ).json()["ledger"]
    assert [(entry["stage"], entry["unit"]) for entry in ledger if entry["kind"] == "started"] == [
        ("commune_desk", WARD),
        ("commune_officer", WARD),
        ("town_desk", TOWN),
        ("town_specialist", TOWN),
        ("town_return", TOWN),
        ("commune_return", WARD),
    ]
    timeline = await _timeline(river, receipt["id"])
    assert [event["type"] for event in timeline if event["source"] == "intake"] == [
        "DossierReceived",
        "SupplementReceived",
        "ResultHandedOver",
    ]
    assert sum(event["type"] == "StageStarted" for event in timeline) == 6
    notices = await _notices(river, receipt["id"])
    assert {"received", "supplement_requested", "result_ready"} <= {notice["template"] for notice in notices}
    assert {notice["state"] for notice in notices} == {"sent"}
    assert told["notices"]["sent"] == len(notices)
    assert len(await river.mails_to("binh@example.vn")) == len(notices)


async def _timeline(river: River, dossier: str) -> list[dict[str, Any]]:
    answer = await river.client.get(
        river.url("reporting", f"/reporting/dossiers/{dossier}/timeline"), headers=ADMINISTRATOR
    )
    answer.raise_for_status()
    events: list[dict[str, Any]] = answer.json()["timeline"]
    return events


async def _notices(river: River, dossier: str) -> list[dict[str, Any]]:
    answer = await river.client.get(
        river.url("notification", f"/notification/dossiers/{dossier}/notices"), headers=ADMINISTRATOR
    )
    answer.raise_for_status()
    notices: list[dict[str, Any]] = answer.json()["notices"]
    return notices


async def test_every_service_answers_health_and_describes_its_interface(river: River) -> None:
    for service in ("intake", "routing", "notification", "reporting"):
        assert (await river.client.get(river.url(service, "/health/live"))).status_code == 200
        assert (await river.client.get(river.url(service, "/health/ready"))).status_code == 200
        described = (await river.client.get(river.url(service, f"/{service}/openapi.json"))).json()
        assert described["openapi"].startswith("3.")
        assert f"/{service}/operations/status" in described["paths"]
