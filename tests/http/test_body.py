"""What stands before every route: how much, as what, and of one meaning."""

import json
from collections.abc import AsyncIterator
from urllib.parse import urlencode

import pytest
from starlette.types import Message

from shared.http.body import CheckedBody
from tests.http.asking import DESK, an_app, asking, problem_of

JSON = {"Content-Type": "application/json"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


async def in_chunks(size: int, count: int, taken: list[int]) -> AsyncIterator[bytes]:
    for i in range(count):
        taken.append(i)
        yield b" " * size


async def test_of_a_body_that_says_that_it_is_too_large_nothing_is_read() -> None:
    taken: list[int] = []
    async with asking(an_app()) as client:
        response = await client.post(
            "/dossiers", content=in_chunks(1_000_000, 30, taken), headers=JSON | {"Content-Length": "30000000"}
        )

    problem_of(response)
    assert response.status_code == 413
    assert taken == []


@pytest.mark.parametrize("claimed", [{}, {"Content-Length": "5"}], ids=["chunked", "a lie"])
async def test_a_body_is_read_no_further_than_its_limit(claimed: dict[str, str]) -> None:
    taken: list[int] = []
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", content=in_chunks(100_000, 300, taken), headers=JSON | claimed)

    assert response.status_code == 413
    assert len(taken) < 13


@pytest.mark.parametrize("length", ["30000000", "1048577", "9" * 5000])
async def test_a_length_over_the_limit_is_refused(length: str) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", content=b"{}", headers=JSON | {"Content-Length": length})

    assert response.status_code == 413


async def test_a_body_of_exactly_the_limit_is_taken() -> None:
    async with asking(an_app(max_bytes=100)) as client:
        at_the_limit = await client.post("/echo", content=b'"' + b"a" * 98 + b'"', headers=JSON)
        over_it = await client.post("/echo", content=b'"' + b"a" * 99 + b'"', headers=JSON)

    assert at_the_limit.status_code == 200
    assert len(at_the_limit.json()["body"]) == 100
    assert over_it.status_code == 413


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/xml"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        FORM,
        {"Content-Type": "application/json; charset=utf-16"},
        JSON | {"Content-Encoding": "gzip"},
        {},
    ],
)
async def test_a_body_of_another_kind_is_refused(headers: dict[str, str]) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", content=b"{}", headers=headers)

    assert problem_of(response)["status"] == 415


@pytest.mark.parametrize(
    "content_type", ["application/json;charset=UTF-8", "Application/JSON", 'application/json; charset="utf-8"']
)
async def test_the_ways_to_say_json_are_one(content_type: str) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/echo", content=b"{}", headers={"Content-Type": content_type})

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "name", "field"),
    [
        (b'{"citizen": ', "malformed-json", None),
        (b'{"citizen": 1, "citizen": 2}', "duplicate-key", "citizen"),
        (b'{"sets": NaN}', "malformed-json", None),
        ('{"citizen": {"name": "Nguye\u0302\u0303n"}}'.encode(), "text-not-acceptable", "/citizen/name"),
        (b'{"citizen": {"name": "\\u0000"}}', "text-not-acceptable", "/citizen/name"),
        (b'{"citizen": {"name": "\\ud800"}}', "text-not-acceptable", "/citizen/name"),
        (b"[" * 1000, "too-deep", None),
    ],
)
async def test_a_body_of_two_meanings_is_refused_before_any_form_sees_it(
    body: bytes, name: str, field: str | None
) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", content=body, headers=JSON | DESK | {"Idempotency-Key": "1"})

    problem = problem_of(response)
    assert response.status_code == 400
    assert problem["type"] == f"/problems/{name}"
    assert problem.get("field") == field


async def test_text_in_decomposed_form_is_told_to_come_composed() -> None:
    body = json.dumps({"citizen": {"name": "Nguye\u0302\u0303n"}}, ensure_ascii=False).encode()
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", content=body, headers=JSON)

    assert "send NFC" in problem_of(response)["do"]


async def test_the_route_reads_the_body_as_it_was_sent() -> None:
    body = ' { "name" :  "Nguyễn" } '
    async with asking(an_app()) as client:
        response = await client.post("/echo", content=body.encode(), headers=JSON)

    assert response.json() == {"body": body}


async def test_a_command_without_a_body_needs_no_kind() -> None:
    async with asking(an_app()) as client:
        response = await client.post("/echo")

    assert response.json() == {"body": ""}


async def test_a_form_is_taken_where_forms_are_expected() -> None:
    async with asking(an_app()) as client:
        response = await client.post("/echo", content=urlencode({"name": "Nguyễn Lan"}).encode(), headers=FORM)

    assert response.status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [(b"a=1&name=%00", "name"), (b"name=Nguye%CC%82n", "name"), (b"e%CC%82=1", "e\u0302"), (b"a=%ff", None)],
)
async def test_the_text_of_a_form_obeys_the_same_rules(body: bytes, field: str | None) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/echo", content=body, headers=FORM)

    assert response.status_code == 400
    assert problem_of(response).get("field") == field


@pytest.mark.parametrize("address", ["/dossiers/a%00b", "/dossiers/a?page=%00"])
async def test_an_address_with_a_null_character_is_refused(address: str) -> None:
    async with asking(an_app()) as client:
        response = await client.get(address)

    assert problem_of(response)["status"] == 400


async def test_when_the_client_has_gone_nothing_is_done() -> None:
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    async def never(*_: object) -> None:
        pytest.fail("the route was called")

    scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": []}
    await CheckedBody(never)(scope, receive, send)

    assert sent == []
