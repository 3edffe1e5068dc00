"""A citizen's data are found in no topic, no log and no span, whatever form they might take there."""

from __future__ import annotations

import base64
import json
import unicodedata
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from shared.events import CONTROL, TOPICS
from tests.flow.river import WARD, WARD_DESK, WARD_PROCEDURE, River, command_id
from tests.processes import until

_NAME: Final = "Hoàng Canary Bích Ngọc"
_MAIL: Final = "canary.bird@nowhere.example"
_PHONE: Final = "+84987654321"
_ID: Final = "123456789012"
_ADDRESS: Final = "Ngõ Chim Hoàng Yến 77"


def _without_marks(text: str) -> str:
    plain = unicodedata.normalize("NFD", text).replace("đ", "d").replace("Đ", "D")
    return "".join(sign for sign in plain if not unicodedata.combining(sign))


def _spellings(text: str) -> set[bytes]:
    plain = {text, unicodedata.normalize("NFD", text), _without_marks(text), json.dumps(text)[1:-1], text.lower()}
    return {one.encode() for one in plain} | {base64.b64encode(one.encode())[:-4] for one in plain}


async def test_a_canary_is_found_in_no_topic_no_log_and_no_span(river: River) -> None:
    answer = await river.client.post(
        river.url("intake", "/intake/dossiers"),
        json={
            "unit": WARD,
            "procedure": WARD_PROCEDURE,
            "channel": "desk",
            "applicant": {"name": _NAME, "id_number": _ID, "address": _ADDRESS},
            "contact": {"email": _MAIL, "phone": _PHONE},
        },
        headers={**WARD_DESK, **command_id()},
    )
    answer.raise_for_status()
    # Printed codes stand in addresses: looked up, and asked for what cannot be done yet.
    address = river.url("intake", f"/intake/dossiers/{answer.json()['code']}")
    (await river.client.get(address, headers=WARD_DESK)).raise_for_status()
    await river.client.post(f"{address}/result", json={"way": "desk"}, headers={**WARD_DESK, **command_id()})
    await river.settled()
    assert await river.mails_to(_MAIL), "the canary did sing: its mail arrived"

    canaries = {spelling for text in (_NAME, _MAIL, _PHONE, _ID, _ADDRESS) for spelling in _spellings(text)}
    topics = await _everything_on_topics(river.servers.kafka)
    assert answer.json()["id"].encode() in topics, "the topics were read"
    assert [spelling for spelling in canaries if spelling in topics] == []
    await until(lambda: river.spans.hold(answer.json()["id"].encode()), "spans of the dossier are exported")
    await until(lambda: river.spans.hold(b"POST /intake/dossiers/{code}/result"), "the refused command's span, too")
    await until(lambda: any(b"notice_sent" in one for one in river.spans.of("/v1/logs")), "log events are exported")
    assert [spelling for spelling in canaries if river.spans.hold(spelling)] == []
    assert not river.spans.hold(answer.json()["code"].encode()), "a trace carries the stream id, not the printed code"
    for log in sorted((river.layout.var / "log").glob("*.log*")):
        text = log.read_bytes()
        assert [spelling for spelling in canaries if spelling in text] == [], log.name


async def test_keys_lie_where_git_does_not_look_and_others_cannot(river: River) -> None:
    folder = river.layout.keys
    private = [path for path in folder.rglob("*") if path.is_file() and path.name != "public.json"]

    assert private
    assert folder.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o077 == 0 for path in private)


async def _everything_on_topics(kafka: str) -> bytes:
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic.name, number) for topic in (*TOPICS, CONTROL) for number in range(topic.partitions)
        ]
        ends = await consumer.end_offsets(partitions)
        consumer.assign(partitions)
        await consumer.seek_to_beginning(*partitions)
        read: list[bytes] = []
        while [where for where, end in ends.items() if await consumer.position(where) < end]:
            for records in (await consumer.getmany(timeout_ms=200)).values():
                for record in records:
                    read += [record.key or b"", record.value or b"", *(value for _, value in record.headers)]
        return b"\n".join(read)
    finally:
        await consumer.stop()
