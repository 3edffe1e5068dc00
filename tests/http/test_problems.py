"""Refusals and failures: what the caller learns, and what nobody learns."""

import logging
from typing import NoReturn

import asyncpg
import pytest

from tests.http.asking import DESK, an_app, asking, problem_of

CANARY = "canary-0912345678"
KEY = {"Idempotency-Key": "1"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "/citizen"),
        ({"citizen": {"name": ""}}, "/citizen/name"),
        ({"citizen": {"name": CANARY, "phones": [CANARY, 7]}}, "/citizen/phones/1"),
        ({"citizen": {"name": CANARY, "a/b~": CANARY}}, "/citizen/a~1b~0"),
        ({"citizen": {"name": CANARY}, "sets": CANARY}, "/sets"),
        ({"citizen": {"name": CANARY}, "happened": CANARY}, "/happened"),
        ({"citizen": {"name": CANARY}, "happened": "0001-01-01T00:00:00+07:00"}, "/happened"),
        ({"citizen": {"name": CANARY}, "happened": "9999-12-31T23:59:59-07:00"}, "/happened"),
        ({"citizen": {"name": CANARY}, "happened": "2019-05-04T08:30:00"}, "/happened"),
        ({"citizen": {"name": CANARY}, "happened": 1556933400}, "/happened"),
        ({"citizen": CANARY}, "/citizen"),
        ([CANARY], ""),
    ],
)
async def test_a_field_that_is_not_acceptable_is_named_and_its_value_is_not_said_back(body: object, field: str) -> None:
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", json=body, headers=DESK | KEY)

    problem = problem_of(response)
    assert response.status_code == 422
    assert problem["field"] == field
    assert CANARY not in response.text


async def test_all_fields_that_are_not_acceptable_are_listed() -> None:
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", json={"sets": "x", "colour": 1}, headers=DESK | KEY)

    assert [error["field"] for error in problem_of(response)["errors"]] == ["/citizen", "/sets", "/colour"]


async def test_a_parameter_is_named_by_its_name() -> None:
    async with asking(an_app()) as client:
        response = await client.get("/dossiers/1", params={"page": CANARY})

    assert problem_of(response)["field"] == "page"
    assert CANARY not in response.text


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/nowhere", 404), ("DELETE", "/dossiers", 405), ("POST", "/dossiers/1", 405)]
)
async def test_a_wrong_address_or_method_is_a_problem_too(method: str, path: str, status: int) -> None:
    async with asking(an_app()) as client:
        response = await client.request(method, path)

    assert problem_of(response)["status"] == status
    assert status != 405 or response.headers["Allow"]


async def test_what_nobody_foresaw_is_told_by_its_id_alone(caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> NoReturn:
        error = asyncpg.UniqueViolationError("duplicate key value")
        error.detail = f"Key (phone)=({CANARY}) already exists."
        raise error

    with caplog.at_level(logging.DEBUG):
        async with asking(an_app(fail)) as client:
            response = await client.get("/fails")

    problem = problem_of(response)
    failed = next(record for record in caplog.records if record.message == "request_failed")
    assert response.status_code == 500
    assert problem["error_id"] == failed.__dict__["error_id"]
    assert failed.__dict__["error"] == "asyncpg.exceptions.UniqueViolationError"
    assert any("test_problems.py" in frame for frame in failed.__dict__["frames"])
    assert CANARY not in response.text
    assert CANARY not in "".join(f"{record.__dict__}" for record in caplog.records)


@pytest.mark.parametrize(
    "error",
    [
        ConnectionRefusedError(111, CANARY),
        TimeoutError(CANARY),
        asyncpg.CannotConnectNowError(CANARY),
        asyncpg.ConnectionDoesNotExistError(CANARY),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_while_the_database_is_away_the_caller_is_told_when_to_come_again(error: Exception) -> None:
    def fail() -> NoReturn:
        raise error

    async with asking(an_app(fail)) as client:
        response = await client.get("/fails")

    problem_of(response)
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert CANARY not in response.text


async def test_the_description_of_the_api_says_that_every_operation_may_answer_a_problem() -> None:
    async with asking(an_app()) as client:
        described = (await client.get("/openapi.json")).json()

    for path in described["paths"].values():
        for operation in path.values():
            assert list(operation["responses"]["default"]["content"]) == ["application/problem+json"]
            assert "422" not in operation["responses"]


async def test_a_good_request_is_answered() -> None:
    body = {"citizen": {"name": "Nguyễn Thị Lan"}, "happened": "2019-05-04T08:30:00+07:00", "note": "a\nb"}
    async with asking(an_app()) as client:
        response = await client.post("/dossiers", json=body, headers=DESK | KEY)

    assert response.status_code == 201
    assert response.json() == {"key": "1", "name": "Nguyễn Thị Lan", "actor": "officer-7"}


@pytest.mark.parametrize(
    ("headers", "peer", "status", "field"),
    [
        (KEY, "127.0.0.1", 401, "X-Dev-Actor"),
        (DESK | KEY, "192.168.1.4", 401, "X-Dev-Actor"),
        ({"X-Dev-Actor": "king"} | KEY, "127.0.0.1", 401, "X-Dev-Actor"),
        ({"X-Dev-Actor": "id=a; roles=officer"} | KEY, "127.0.0.1", 403, None),
        ({"X-Dev-Actor": "id=a; unit=H41.NN.02; roles=desk"} | KEY, "127.0.0.1", 403, None),
        (DESK, "127.0.0.1", 400, "Idempotency-Key"),
        (DESK | {"Idempotency-Key": ""}, "127.0.0.1", 400, "Idempotency-Key"),
        (DESK | {"Idempotency-Key": "a b"}, "127.0.0.1", 400, "Idempotency-Key"),
        (DESK | {"Idempotency-Key": "a" * 129}, "127.0.0.1", 400, "Idempotency-Key"),
    ],
)
async def test_who_may_not_or_has_no_command_id_is_refused(
    headers: dict[str, str], peer: str, status: int, field: str | None
) -> None:
    async with asking(an_app(), peer) as client:
        response = await client.post("/dossiers", json={"citizen": {"name": "Lan"}}, headers=headers)

    problem = problem_of(response)
    assert response.status_code == status
    assert problem.get("field") == field
    assert status != 401 or response.headers["WWW-Authenticate"]


async def test_two_command_ids_are_none() -> None:
    async with asking(an_app()) as client:
        response = await client.post(
            "/dossiers",
            json={"citizen": {"name": "Lan"}},
            headers=[*DESK.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")],
        )

    assert response.status_code == 400
