"""What the texts and times of a form may be."""

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from shared.http.commands import digest_of
from shared.http.fields import BusinessTime, Form, ShortText, Text
from shared.http.problems import Problem, invalid_body
from tests.http.vectors import vector

short_text: TypeAdapter[str] = TypeAdapter(ShortText)
text: TypeAdapter[str] = TypeAdapter(Text)
business_time: TypeAdapter[datetime] = TypeAdapter(BusinessTime)


@pytest.mark.parametrize("value", ["Nguyễn Thị Lan", "Đ", "số 5, ngõ 7", "a" * 200, "😀", " với khoảng trắng "])
def test_a_short_text_is_a_line(value: str) -> None:
    assert short_text.validate_python(value) == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\u00a0",
        "a\nb",
        "a\tb",
        "a\x00b",
        "a\x1bb",
        "a\x7fb",
        "a\u0085b",
        "a\u2028b",
        "a\u202eb",
        "a\u2066b",
        "Nguye\u0302\u0303n",
        "\ud800",
        "a" * 201,
        7,
        None,
    ],
)
def test_what_is_no_line_of_text_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        short_text.validate_python(value)


def test_an_explanation_has_lines() -> None:
    assert text.validate_python("Kính gửi ông bà\n\tlý do") == "Kính gửi ông bà\n\tlý do"
    with pytest.raises(ValidationError):
        text.validate_python("a\r\x0bb")


def test_every_naughty_string_is_taken_whole_or_refused_without_being_said_back() -> None:
    refused: dict[str, Problem] = {}
    for naughty in json.loads(vector("naughty-strings.json").read_bytes()):
        try:
            taken = text.validate_python(naughty)
        except ValidationError as error:
            refused[naughty] = invalid_body(error)
        else:
            assert taken == naughty

    assert len(refused) < 20
    assert not [naughty for naughty, problem in refused.items() if naughty.strip() and naughty in str(problem)]


@pytest.mark.parametrize(
    "value",
    ["2019-05-04T08:30:00+07:00", "2019-05-04T01:30:00Z", "1990-01-01T00:00:00+07:00", "2100-12-31T23:59:59.999-07:00"],
)
def test_a_business_time_has_an_offset_and_lies_in_our_time(value: str) -> None:
    assert business_time.validate_python(value) == datetime.fromisoformat(value)


@pytest.mark.parametrize(
    "value",
    [
        "2019-05-04T08:30:00",
        "2019-05-04",
        "0001-01-01T00:00:00Z",
        "0001-01-01T00:00:00+07:00",
        "9999-12-31T23:59:59-07:00",
        "1989-12-31T23:59:59Z",
        "2101-01-01T00:00:00Z",
        "2019-02-30T00:00:00Z",
        "1556933400",
        "-1556933400",
        1556933400,
        1556933400.5,
        True,
        None,
        "",
    ],
)
def test_another_time_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        business_time.validate_python(value)


def test_a_time_that_is_one_already_is_judged_too() -> None:
    year_one = datetime.min.replace(tzinfo=timezone(timedelta(hours=7)))

    with pytest.raises(ValidationError):
        business_time.validate_python(year_one)


def test_an_api_describes_a_business_time_as_a_time() -> None:
    assert business_time.json_schema() == {"type": "string", "format": "date-time"}


def test_a_form_is_frozen_knows_its_fields_and_keeps_its_values_out_of_errors() -> None:
    class Contact(Form):
        phone: int

    contact, field = Contact(phone=7), "phone"
    with pytest.raises(ValidationError, match="frozen"):
        setattr(contact, field, 8)
    with pytest.raises(ValidationError) as refused:
        Contact.model_validate({"phone": "canary-0912345678", "colour": "canary"})

    assert "canary" not in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1, "b": [1, 2]}, {"b": [1, 2], "a": 1}), ({"a": {"c": 1, "b": "ế"}}, {"a": {"b": "ế", "c": 1}})],
)
def test_bodies_that_mean_the_same_have_one_digest(one: Any, other: Any) -> None:
    assert digest_of(one) == digest_of(other)
    assert len(digest_of(one)) == 32


@pytest.mark.parametrize("other", [{"a": [2, 1]}, {"a": [1, 2, None]}, {"a": "[1,2]"}, {"b": [1, 2]}, [], None])
def test_bodies_that_differ_have_two(other: Any) -> None:
    assert digest_of({"a": [1, 2]}) != digest_of(other)
