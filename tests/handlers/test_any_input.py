"""Whatever is sent to any address of intake and routing: an answer or a problem, never a fault."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shared.access import Role
from shared.calendar import to_data
from tests.builders import a_reception_body, an_actor, command_id, dev_actor, office
from tests.handlers.doors import A_RECORD, A_ROUTE, A_UNIT, AN_OFFICER, intake_app, routing_app
from tests.handlers.intake import Intake
from tests.handlers.routing import Routing
from tests.http.asking import asking, problem_of

EVERYBODY = an_actor(*(role for role in Role if role is not Role.CITIZEN))
A_PROCEDURE = {
    "code": "1.000001",
    "name": "Thủ tục",
    "sector": "Hộ tịch",
    "level": "commune",
    "term": {"value": 5, "unit": "working_day"},
    "terms": {"online": {"value": 0, "unit": "same_day"}},
    "fees": {"desk": 8000},
    "legs": [{"level": "commune", "term": {"value": 5, "unit": "working_day"}}],
    "online_level": 3,
    "fee_note": "mỗi bản",
    "source": "tests",
}
COMMAND: dict[str, Any] = {"seen": 1, "action": {"kind": "hand_over", "officer": "officer-9"}}
VALID: dict[str, Any] = {
    "/intake/dossiers": a_reception_body(contact={"email": "a@example.vn", "phone": "0912345678"}, record=A_RECORD),
    "/intake/dossiers/{code}/supplement": {"components": ["cmnd"]},
    "/intake/dossiers/{code}/withdrawal": {},
    "/intake/dossiers/{code}/result": {"way": "desk"},
    "/intake/dossiers/{code}/erasure": {"reason": "asked_by_citizen", "seen": 1},
    "/intake/records": {
        "records": [{**a_reception_body(contact={"email": "a@example.vn"}, record=A_RECORD), "id": "record-1"}]
    },
    "/intake/commands": {
        "commands": [
            {
                "id": "1",
                "dossier": "018f2c3e-0000-7000-8000-000000000000",
                "action": {"kind": "supplement", "at": "2019-03-04T09:00:00+07:00", "components": ["cmnd"]},
            }
        ]
    },
    "/intake/procedures": {"procedures": [A_PROCEDURE]},
    "/routing/calendars/{code}": {"data": to_data(office()) | {"days_off": ["2019-01-01"], "worked_days": {}}},
    "/routing/units/{code}": A_UNIT,
    "/routing/officers/{id}": AN_OFFICER,
    "/routing/routes/{code}": A_ROUTE,
    "/routing/dossiers/{dossier}/commands": COMMAND,
    "/routing/commands": {"commands": [{"id": "1", "dossier": "018f2c3e-0000-7000-8000-000000000000", **COMMAND}]},
}
"""A valid body of every operation that takes one; operators' routes are the bus's affair."""

PUBLISHED = {
    "/intake/procedures",
    "/routing/calendars/{code}",
    "/routing/units/{code}",
    "/routing/officers/{id}",
    "/routing/routes/{code}",
}

texts = st.text(max_size=12) | st.sampled_from(
    ["", " ", "\u0000", "\ud800", "e\u0301", "\u202e", "x" * 5000, "0001-01-01", "9999-12-31T23:59:59-12:00", "NaN"]
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.sampled_from([2**31, 2**63, 10**30, -(2**63), 1.5, 1e308, -0.0])
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3), max_leaves=6
)


def _places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    if isinstance(body, dict):
        for key, item in body.items():
            yield from _places(item, (*path, key))
    elif isinstance(body, list):
        for place, item in enumerate(body):
            yield from _places(item, (*path, place))


def _changed(body: Any, path: tuple[Any, ...], value: Any) -> Any:
    if not path:
        return value
    head, *rest = path
    changed = dict(body) if isinstance(body, dict) else list(body)
    changed[head] = _changed(body[head], tuple(rest), value)
    return changed


@st.composite
def requests(draw: st.DrawFn, path: str) -> tuple[dict[str, str], Any]:
    """Words for the address, and a body: the valid one, with up to two of its places changed."""
    body = VALID[path]
    for _ in range(draw(st.integers(0, 2))):
        body = _changed(body, draw(st.sampled_from(list(_places(body)))), draw(values))
    word = draw(st.sampled_from(["1.000001", "000.01.99.H41", "018f2c3e-0000-7000-8000-000000000000", "x" * 70, "%00"]))
    return {"code": word, "dossier": word, "id": word}, body


def test_every_operation_that_takes_a_body_has_a_valid_one_here(intake: Intake, routing: Routing) -> None:
    taking = {
        path
        for app in (intake_app(intake), routing_app(routing))
        for path, operations in app.openapi()["paths"].items()
        for operation in operations.values()
        if "requestBody" in operation and "/operations/" not in path
    }

    assert taking == VALID.keys()


def test_every_whole_number_that_is_asked_for_has_bounds_that_a_store_can_hold(
    intake: Intake, routing: Routing
) -> None:
    """A number beyond a column's would be a fault of ours instead of a problem."""
    unbounded = {
        where
        for app in (intake_app(intake), routing_app(routing))
        for where, schema in _numbers_asked_for(app.openapi())
        if not schema.get("minimum", schema.get("exclusiveMinimum", -math.inf)) >= -(2**63)
        or not schema.get("maximum", schema.get("exclusiveMaximum", math.inf)) < 2**63
    }

    assert unbounded == set()


def _numbers_asked_for(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Place and schema of every integer in parameters and bodies."""
    schemas = document["components"]["schemas"]
    seen: set[str] = set()

    def within(where: str, schema: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        if isinstance(schema, list):
            for one in schema:
                yield from within(where, one)
        elif isinstance(schema, dict):
            name = str(schema.get("$ref", "")).rpartition("/")[2]
            if name and name not in seen:
                seen.add(name)
                yield from within(name, schemas[name])
            if schema.get("type") == "integer":
                yield where, schema
            for key, inner in schema.items():
                yield from within(f"{where}.{key}", inner)

    for path, operations in document["paths"].items():
        for operation in operations.values():
            yield from within(path, operation.get("parameters", []))
            yield from within(path, operation.get("requestBody", {}))


@pytest.mark.parametrize("path", VALID)
@settings(
    max_examples=40,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
async def test_no_body_is_a_fault_of_ours(
    intake: Intake, routing: Routing, caplog: pytest.LogCaptureFixture, path: str, data: st.DataObject
) -> None:
    app = intake_app(intake) if path.startswith("/intake") else routing_app(routing)
    words, body = data.draw(requests(path))

    response = await _sent(app, path.format(**words), path, body)

    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        problem_of(response)
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == []


async def _sent(app: FastAPI, address: str, path: str, body: Any) -> httpx.Response:
    method = "PUT" if path in PUBLISHED else "POST"
    content = json.dumps(body).encode()
    headers = dev_actor(EVERYBODY) | command_id() | {"Content-Type": "application/json"}
    async with asking(app) as client:
        return await client.request(method, address, content=content, headers=headers)


@settings(
    max_examples=60,
    deadline=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    path=st.sampled_from(
        [
            "/intake/procedures",
            "/intake/procedures/page",
            "/routing/worklist",
            "/routing/units",
            "/routing/officers",
            "/intake/counts",
        ]
    ),
    parameters=st.dictionaries(
        st.sampled_from(["q", "sector", "skip", "count", "unit", "role", "after", "on"]), scalars.map(str), max_size=4
    ),
)
async def test_no_question_is_a_fault_of_ours(
    intake: Intake, routing: Routing, path: str, parameters: dict[str, str]
) -> None:
    app = intake_app(intake) if path.startswith("/intake") else routing_app(routing)
    sendable = {name: value.encode("utf-8", "replace").decode() for name, value in parameters.items()}

    async with asking(app) as client:
        response = await client.get(path, params=sendable, headers=dev_actor(EVERYBODY))

    assert response.status_code < 500, response.text
