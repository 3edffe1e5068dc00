"""The envelope: what is written is read again; what comes is told apart without an exception and without a value."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shared.envelope import (
    Cause,
    Envelope,
    Heard,
    Malformed,
    Record,
    UnknownWord,
    Unreadable,
    decode,
    headers_of,
    restored_headers,
    stored_headers,
)
from shared.events import every_event
from shared.topics import INTAKE, NOTIFICATION, ROUTING, Service
from tests.http.vectors import members, vector
from tests.telling import Story, record_of

RECORD = record_of(Story().received())
SECRET = "Nguyễn Thị Bình 0912345678"


def with_header(name: str, value: bytes | None, record: Record = RECORD) -> Record:
    return replace(record, headers=(*((n, v) for n, v in record.headers if n != name), (name, value)))


def without_header(name: str) -> Record:
    return replace(RECORD, headers=tuple((n, v) for n, v in RECORD.headers if n != name))


def with_body(body: bytes, record: Record = RECORD) -> Record:
    return replace(record, body=body)


def test_what_the_relay_writes_the_hearer_reads() -> None:
    said = replace(
        Story().received(), cause=Cause(Service.ROUTING, 7), origin="xes:receipt", actor="officer-7", traceparent=TRACE
    )

    assert decode(record_of(said)) == said


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (replace(RECORD, body=None), "empty body"),
        (with_body(b""), "empty body"),
        (with_body(b" " * 1_000_001), "oversized body"),
        *((without_header(f"ce_{name}"), f"missing header ce_{name}") for name in ("id", "type", "subject", "source")),
        (without_header("ce_streamversion"), "missing header ce_streamversion"),
        (with_header("ce_time", None), "missing header ce_time"),
        (with_header("ce_specversion", b"0.3"), "ce_specversion is not 1.0"),
        (with_header("ce_source", b"/portal"), "unknown source"),
        (with_header("ce_source", b"ce_" + SECRET.encode()), "unknown source"),
        (with_header("ce_causesource", b"/portal"), "a header that cannot be read"),
        (with_header("ce_causesource", b"/intake"), "a header that cannot be read"),
        (with_header("ce_type", b"org.example.Received"), "a header that cannot be read"),
        (with_header("ce_type", "lienthong.Nhận".encode()), "a header that cannot be read"),
        (with_header("ce_id", b"1"), "a header that cannot be read"),
        (with_header("ce_streamversion", b"two"), "a header that cannot be read"),
        (with_header("ce_streamversion", b"9" * 5000), "a header that cannot be read"),
        (with_header("ce_streamversion", b"0"), "a header out of range"),
        (with_header("ce_streamversion", b"2147483648"), "a header out of range"),
        (with_header("ce_time", b"2019-05-06T01:00:00"), "a header out of range"),
        (with_header("ce_time", b"0001-01-01T00:00:00+14:00"), "a header out of range"),
        (with_header("ce_time", b"yesterday"), "a header that cannot be read"),
        (with_header("ce_actor", b"\xff\xfe"), "a header that cannot be read"),
        (with_header("ce_actor", b"officer\x007"), "a header that cannot be read"),
        (with_header("ce_origin", b"x" * 201), "a header that cannot be read"),
        (replace(RECORD, topic=ROUTING.name), "source does not speak on this topic"),
        (replace(RECORD, key=b"somebody else"), "key is not the subject"),
        (replace(RECORD, key=None), "key is not the subject"),
        (replace(with_header("ce_subject", b"a\x00b"), key=b"a\x00b"), "a header that cannot be read"),
    ],
)
def test_headers_that_do_not_say_whose_event_it_is_are_unreadable(record: Record, reason: str) -> None:
    assert decode(record) == Unreadable(reason)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"{", "body: json_invalid"),
        (b"\xff\xfe", "body: json_invalid"),
        (b"[]", "body: model_type"),
        (b"{}", "code: missing"),
        (b'{"code": "\\ud800"}', "body: json_invalid"),
        (b'{"code": "\\u0000"}', "text with U+0000"),
        (b'{"code": "a", "attributes": {"\\u0000": "b"}}', "text with U+0000"),
    ],
)
def test_a_body_that_is_none_is_malformed_and_holds_its_version(body: bytes, reason: str) -> None:
    found = decode(with_body(body))

    assert isinstance(found, Malformed)
    assert (found.reason, found.envelope.version) == (reason, 1)


def test_an_escaped_backslash_before_u0000_is_not_the_character() -> None:
    said = json.loads(RECORD.body or b"") | {"attributes": {"path": "\\u0000"}}

    assert isinstance(decode(with_body(json.dumps(said).encode())), Heard)


def test_words_of_a_newer_release_are_unknown_and_not_malformed() -> None:
    newer = decode(with_header("ce_type", b"lienthong.DossierTransferred"))
    channel = decode(with_body((RECORD.body or b"").replace(b'"desk"', b'"drone"')))
    both = decode(
        with_body((RECORD.body or b"").replace(b'"desk"', b'"drone"').replace(b'"procedure_version":1,', b""))
    )

    assert isinstance(newer, UnknownWord)
    assert newer.reason == "type DossierTransferred"
    assert isinstance(channel, UnknownWord)
    assert channel.reason == "value of channel"
    assert isinstance(both, Malformed)


def test_optional_fields_of_a_newer_speaker_are_passed_over() -> None:
    assert isinstance(decode(with_body((RECORD.body or b"")[:-1] + b',"later": [1, 2]}')), Heard)


@pytest.mark.parametrize("trace", [b"00-zz", b"\x00" * 55, b"\xff" * 55, b"", None])
def test_a_trace_that_cannot_be_read_is_no_reason_to_refuse_an_event(trace: bytes | None) -> None:
    found = decode(with_header("traceparent", trace))

    assert isinstance(found, Heard)
    assert found.traceparent is None


@pytest.mark.parametrize("name", sorted(every_event()))
def test_a_reason_quotes_no_value(name: str) -> None:
    spoiled = dict.fromkeys(every_event()[name].model_fields, SECRET)
    record = with_header("ce_type", f"lienthong.{name}".encode(), with_body(json.dumps(spoiled).encode()))
    found = decode(
        replace(
            with_header("ce_source", f"/{every_event()[name].said_by.value}".encode(), record),
            topic={"intake": INTAKE, "routing": ROUTING, "notification": NOTIFICATION}[
                every_event()[name].said_by.value
            ].name,
        )
    )

    if not isinstance(found, Heard):
        assert not any(word in found.reason for word in SECRET.split())


@given(
    headers=st.lists(
        st.tuples(
            st.sampled_from([name for name, _ in RECORD.headers] + ["ce_causesource", "ce_causeversion", "ce_actor"])
            | st.text(),
            st.binary(max_size=60) | st.none(),
        )
    ),
    keep=st.booleans(),
    key=st.binary(max_size=40) | st.none() | st.just(RECORD.key),
    body=st.binary(max_size=200) | st.none() | st.just(RECORD.body),
    topic=st.sampled_from([INTAKE.name, ROUTING.name, "somewhere"]),
)
def test_no_bytes_make_decoding_raise(
    headers: list[tuple[str, bytes | None]], keep: bool, key: bytes | None, body: bytes | None, topic: str
) -> None:
    record = Record(topic, 0, 0, key, (*(RECORD.headers if keep else ()), *headers), body)

    found = decode(record)

    assert isinstance(found, Heard | UnknownWord | Malformed | Unreadable)
    assert restored_headers(stored_headers(record.headers)) == record.headers
    assert "\x00" not in stored_headers(record.headers)


def test_the_public_vectors_of_json_are_never_an_exception() -> None:
    for name, body in members("json-parsing.tar.gz").items():
        if body and len(body) < 1_000_000:
            assert isinstance(decode(with_body(body)), Malformed | UnknownWord), name


def test_naughty_strings_come_through_whole_or_are_refused() -> None:
    said = json.loads(RECORD.body or b"")
    for text in json.loads(vector("naughty-strings.json").read_bytes()):
        found = decode(with_body(json.dumps(said | {"attributes": {"text": text}}).encode()))

        if isinstance(found, Heard):
            assert json.loads(found.event.model_dump_json())["attributes"] == {"text": text}
        else:
            assert isinstance(found, Malformed)


def test_an_envelope_without_what_is_optional_has_no_header_for_it() -> None:
    plain = Envelope(*(getattr(Story().received(), name) for name in Envelope.__struct_fields__))

    assert {name for name, _ in headers_of(plain)}.isdisjoint(
        {"ce_causesource", "ce_origin", "ce_actor", "traceparent"}
    )


def test_the_latest_business_time_can_be_kept_by_every_database() -> None:
    assert isinstance(decode(with_header("ce_time", datetime(9998, 12, 31, tzinfo=UTC).isoformat().encode())), Heard)
    assert isinstance(decode(with_header("ce_time", b"9999-12-31T23:59:59-12:00")), Unreadable)
