"""A citizen's data are found in no topic, no file of Kafka's, no log, no span, no metric and no row, in no form."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Final

import pytest
from aiokafka import AIOKafkaProducer

from shared.journal import shard_of
from shared.topics import CONTACT, INTAKE
from tests.canary import find
from tests.flow.river import WARD, WARD_DESK, WARD_PROCEDURE, River, command_id, flowing
from tests.flow.searching import left_behind
from tests.layouts import TWICE
from tests.processes import until

NAME: Final = "Hoàng Canary Bích Ngọc Đường"
MAIL: Final = "canary.bird@nowhere.example"
PHONE: Final = "+84987654321"
NUMBER: Final = "040198765432"
ADDRESS: Final = "Ngõ Chim Hoàng Yến 77"
ALL: Final = (NAME, MAIL, PHONE, NUMBER, ADDRESS)

HEAD: Final = {"X-Dev-Actor": f"id=head-1; unit={WARD}; roles=leader"}


@pytest.fixture(scope="module")
async def river() -> AsyncIterator[River]:
    """Of its own: what cannot be heard stays on the topics, and others look at every record there."""
    async with flowing(TWICE) as running:
        await running.seed()
        yield running


def a_canary_s_body(**changes: Any) -> dict[str, Any]:
    """A submission full of canaries."""
    body = {
        "unit": WARD,
        "procedure": WARD_PROCEDURE,
        "channel": "desk",
        "applicant": {"name": NAME, "id_number": NUMBER, "address": ADDRESS},
        "contact": {"email": MAIL, "phone": PHONE},
    }
    return {**body, **changes}


async def a_canary_s_dossier(river: River) -> dict[str, Any]:
    """Received; the receipt."""
    answer = await river.client.post(
        river.url("intake", "/intake/dossiers"), json=a_canary_s_body(), headers={**WARD_DESK, **command_id()}
    )
    answer.raise_for_status()
    receipt: dict[str, Any] = answer.json()
    return receipt


async def withdrawn(river: River, receipt: dict[str, Any]) -> None:
    """Asked back by its citizen and given back: closed."""
    path = river.url("intake", f"/intake/dossiers/{receipt['code']}")
    await until(partial(_status_is, river, receipt["code"], 4), "routing has it")
    (await river.client.post(f"{path}/withdrawal", json={}, headers={**WARD_DESK, **command_id()})).raise_for_status()
    await until(partial(_status_is, river, receipt["code"], 7), "it is given back")
    await river.settled()


async def erased(river: River, receipt: dict[str, Any]) -> dict[str, Any]:
    """Its citizen's data are erased by the head of the ward; the answer."""
    seen = (await river.look_up(receipt["code"]))["version"]
    answer = await river.client.post(
        river.url("intake", f"/intake/dossiers/{receipt['code']}/erasure"),
        json={"reason": "asked_by_citizen", "seen": seen},
        headers={**HEAD, **command_id()},
    )
    answer.raise_for_status()
    done: dict[str, Any] = answer.json()
    return done


async def _status_is(river: River, code: str, status: int) -> bool:
    return bool((await river.look_up(code))["status"] == status)


async def test_a_canary_is_found_nowhere_from_its_reception_to_its_erasure_whatever_else_was_sent(river: River) -> None:
    receipt = await a_canary_s_dossier(river)
    await _ask_for_what_is_refused(river, receipt["code"])
    await _write_what_cannot_be_heard(river)
    await withdrawn(river, receipt)
    assert await river.mails_to(MAIL), "the canary did sing: its mail arrived"
    told = (await river.look_up(receipt["code"]))["applicant"]
    assert find(ALL, json.dumps(told).encode()) == [NAME, NUMBER, ADDRESS], "and it is here, for those who may see it"
    await erased(river, receipt)
    await river.settled()
    await until(lambda: river.spans.hold(receipt["id"].encode()), "spans of the dossier are exported")
    await until(lambda: river.spans.hold(b"erase personal data"), "the erasure's span, too")
    await until(lambda: any(b"notice_sent" in one for one in river.spans.of("/v1/logs")), "log events are exported")
    await until(lambda: bool(river.spans.of("/v1/metrics")), "metrics are exported", seconds=60)

    everything = await left_behind(river)

    holding = {name: found for name, blob in everything.items() if (found := find(ALL, blob))}
    assert holding == {}
    searched = set(everything)
    assert {"topics", "postgres.log", "kafka.log", "/v1/metrics", "notification.dead_letter"} <= searched
    assert any(name.startswith(f"{CONTACT.name}-") for name in searched)
    assert receipt["id"].encode() in everything["topics"]
    assert not river.spans.hold(receipt["code"].encode()), "a trace carries the stream id, not the printed code"


async def _ask_for_what_is_refused(river: River, code: str) -> None:
    """Canaries where they do not belong: in bodies that are none, in fields that do not exist, in addresses."""
    door = river.url("intake", "/intake/dossiers")
    headers = {**WARD_DESK, "Content-Type": "application/json"}
    torn = json.dumps(a_canary_s_body()).encode()[:-9]
    bodies: list[bytes] = [
        torn,
        json.dumps(a_canary_s_body(unit=NAME)).encode(),
        json.dumps(a_canary_s_body(note=ADDRESS)).encode(),
        json.dumps(a_canary_s_body(applicant={"name": NAME, "id_number": MAIL})).encode(),
        json.dumps(a_canary_s_body(contact={"email": f"{MAIL} {PHONE}"})).encode(),
        json.dumps(a_canary_s_body(procedure="9.999999")).encode(),
        base64.b64encode(torn),
        NAME.encode("utf-16"),
    ]
    for body in bodies:
        refused = await river.client.post(door, content=body, headers={**headers, **command_id()})
        assert refused.is_client_error, refused.text
        assert find(ALL, refused.content) == []
    for path in (f"{door}/{NAME}", f"{door}/{code}?who={MAIL}", f"{door}/{code}/{NUMBER}"):
        answer = await river.client.get(path, headers=WARD_DESK)
        assert answer.is_client_error or answer.json()["code"] == code
    # Asked for what cannot be done yet, and by its printed code.
    await river.client.post(f"{door}/{code}/result", json={"way": NAME}, headers={**headers, **command_id()})
    await river.client.post(
        f"{door}/{code}/erasure", json={"reason": NAME, "seen": 1}, headers={**HEAD, **command_id()}
    )


async def _write_what_cannot_be_heard(river: River) -> None:
    """Records that end as dead letters; no service of ours would write personal data there, so nor do these."""
    producer = AIOKafkaProducer(bootstrap_servers=river.servers.kafka)
    await producer.start()
    try:
        for topic in (INTAKE, CONTACT):
            await producer.send_and_wait(topic.name, b"{torn", key=b"nobody", partition=shard_of("nobody"))
    finally:
        await producer.stop()


async def test_keys_and_the_register_lie_where_git_does_not_look_and_others_cannot(river: River) -> None:
    receipt = await a_canary_s_dossier(river)
    await withdrawn(river, receipt)
    await erased(river, receipt)
    keys, erasures = river.layout.keys, river.layout.erasures
    private = [path for path in keys.rglob("*") if path.is_file() and path.name != "public.json"]

    assert private
    assert erasures.exists()
    for path in (keys, erasures.parent, erasures, *private):
        assert path.stat().st_mode & 0o077 == 0, path
