"""JSON of one meaning only."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.http.problems import Problem
from shared.http.strict_json import MAX_DEPTH, Parsed, parse_json
from tests.http.vectors import members, vector

# Valid JSON, which we refuse on purpose: one key, two values; and a character that PostgreSQL cannot store.
REFUSED_ON_PURPOSE = {
    "y_object_duplicated_key.json": "duplicate-key",
    "y_object_duplicated_key_and_value.json": "duplicate-key",
    "y_object_escaped_null_in_key.json": "text-not-acceptable",
    "y_string_null_escape.json": "text-not-acceptable",
}


def refused(body: bytes | str) -> Problem:
    problem = parse_json(body.encode() if isinstance(body, str) else body)
    assert isinstance(problem, Problem)
    assert problem.status == 400
    return problem


def test_the_public_vectors_parse_or_do_not_parse_as_their_names_say() -> None:
    for name, body in sorted(members("json-parsing.tar.gz").items()):
        parsed = parse_json(body)
        if name in REFUSED_ON_PURPOSE:
            assert isinstance(parsed, Problem), name
            assert parsed.name == REFUSED_ON_PURPOSE[name], name
        elif name.startswith("y_"):
            assert parsed == Parsed(json.loads(body)), name
        elif name.startswith("n_"):
            assert isinstance(parsed, Problem), name
            assert parsed.status == 400, name
        else:
            assert isinstance(parsed, Parsed | Problem), name


def test_every_naughty_string_comes_through_whole_or_is_refused_by_name() -> None:
    for text in json.loads(vector("naughty-strings.json").read_bytes()):
        for body in (json.dumps({"name": text}), json.dumps({"name": text}, ensure_ascii=False)):
            parsed = parse_json(body.encode("utf-8", "surrogatepass"))
            if isinstance(parsed, Parsed):
                assert parsed.value == {"name": text}
            else:
                assert parsed.name in {"text-not-acceptable", "malformed-json"}


@pytest.mark.parametrize(
    ("body", "name", "field"),
    [
        ("", "malformed-json", None),
        ("{", "malformed-json", None),
        ("{} {}", "malformed-json", None),
        ("\ufeff{}", "malformed-json", None),
        ('{"a": NaN}', "malformed-json", None),
        ('{"a": -Infinity}', "malformed-json", None),
        ('{"a": 1e999}', "malformed-json", None),
        ('{"a": ' + "9" * 5000 + "}", "malformed-json", None),
        ('{"a": "\t"}', "malformed-json", None),
        ('{"a": 1, "b": {"c": 1, "c": 2}}', "duplicate-key", "c"),
        (r'{"a": 1, "\u0061": 2}', "duplicate-key", "a"),
        (r'{"\ud800": 1, "\ud800": 2}', "duplicate-key", "?"),
        (r'{"a": ["x", "\u0000"]}', "text-not-acceptable", "/a/1"),
        (r'{"a": {"b/c~": "\ud800"}}', "text-not-acceptable", "/a/b~1c~0"),
        (r'{"a": "\udc00\ud800"}', "text-not-acceptable", "/a"),
        (r'{"a": "e\u0302\u0301"}', "text-not-acceptable", "/a"),
        ('{"a": "Nguye\u0302\u0303n"}', "text-not-acceptable", "/a"),
        ('{"Nguye\u0302\u0303n": 1}', "text-not-acceptable", ""),
        ("[" * 33 + "]" * 33, "too-deep", None),
        ("[" * 100_000, "too-deep", None),
        ('{"a":' * 50 + "1" + "}" * 50, "too-deep", None),
    ],
)
def test_what_has_two_meanings_is_refused_with_its_place(body: str, name: str, field: str | None) -> None:
    problem = refused(body)

    assert problem.name == name
    assert problem.field == field


@pytest.mark.parametrize(
    "body",
    [b'{"a": "\xff"}', b'{"a": "\xed\xa0\x80"}', b'{"a": "\xc0\x80"}', '{"a": 1}'.encode("utf-16")],
    ids=["byte", "raw surrogate", "overlong", "utf-16"],
)
def test_only_utf_8_is_read(body: bytes) -> None:
    assert refused(body).name == "malformed-json"


@pytest.mark.parametrize(
    "body",
    [
        "[" * MAX_DEPTH + "]" * MAX_DEPTH,
        '{"a": "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        r'{"a": "\u1ec5 \ud83d\ude00"}',
        '{"a": "Nguyễn 😀"}',
        '{"a": "\u0301 begins with a mark"}',
        "[" + "[]," * 100 + "[]]",
        '""',
        "null",
        " 7 ",
    ],
)
def test_what_only_looks_suspicious_is_taken(body: str) -> None:
    assert parse_json(body.encode()) == Parsed(json.loads(body))


values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(values, st.booleans())
def test_what_is_taken_is_what_was_meant(value: object, ascii_only: bool) -> None:
    body = json.dumps(value, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")

    parsed = parse_json(body)

    assert isinstance(parsed, Problem) or parsed.value == value


@given(st.binary())
def test_any_bytes_are_a_value_or_a_problem(body: bytes) -> None:
    assert isinstance(parse_json(body), Parsed | Problem)
