"""Any bytes become something that people can read."""

import base64
import quopri

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from deploy.mail.letters import content_of, letter_of, readable, summary_of, with_envelope

NAME = "20261123T214653.123456Z-0f8fad5b-d9cb-469f-a165-70867728950e"
TEXT = "Kính gửi bà Nguyễn Thị Hồng Hạnh: hồ sơ đã được tiếp nhận."


def letter(headers: str, body: bytes) -> bytes:
    return headers.encode().replace(b"\n", b"\r\n") + b"\r\n" + body


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ("Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: 8bit\n", TEXT.encode()),
        (
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n",
            quopri.encodestring(TEXT.encode()),
        ),
        (
            "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n",
            base64.encodebytes(TEXT.encode()),
        ),
        (
            "Content-Type: text/plain; charset=utf-16\nContent-Transfer-Encoding: base64\n",
            base64.b64encode(TEXT.encode("utf-16")),
        ),
        # No word of the character set, and a character set that nobody knows.
        ("Subject: x\n", TEXT.encode()),
        ("Content-Type: text/plain; charset=x-unheard-of\n", TEXT.encode()),
        ("Content-Type: text/plain; charset=utf-8; charset*0*=%ff''x\n", TEXT.encode()),
    ],
)
def test_vietnamese_is_read_however_it_was_wrapped(headers: str, body: bytes) -> None:
    [part] = letter_of(letter(headers, body)).parts

    assert part.text is not None
    assert part.text.rstrip("\n") == TEXT


@pytest.mark.parametrize(
    "written",
    [
        "=?utf-8?q?H=E1=BB=93_s=C6=A1_=C4=91=C3=A3_=C4=91=C6=B0=E1=BB=A3c_ti=E1=BA=BFp_nh=E1=BA=ADn?=",
        "=?UTF-8?B?SOG7kyBzxqEgxJHDoyDEkcaw4bujYyB0aeG6v3Agbmjhuq1u?=",
        # A letter cut in two by the fold, as many senders do.
        "=?utf-8?q?H=E1=BB?=\r\n =?utf-8?q?=93_s=C6=A1_=C4=91=C3=A3?=\r\n =?utf-8?b?IMSRxrDhu6NjIHRp4bq/cCBuaOG6rW4=?=",
        "Hồ sơ đã\r\n được tiếp nhận",
        "Hồ sơ đã được tiếp nhận".encode().decode("ascii", "surrogateescape"),
    ],
)
def test_a_header_is_read_however_it_was_written(written: str) -> None:
    assert readable(written) == "Hồ sơ đã được tiếp nhận"


@pytest.mark.parametrize(
    "broken", ["=?utf-8?b?!!!?=", "=?x-none?q?a=FF?=", "=?utf-8?q?=ff=fe?=", "=?", "=?utf-8?b?QQ?="]
)
def test_a_header_that_is_broken_is_shown_as_well_as_may_be(broken: str) -> None:
    assert readable(broken)


def test_the_recipients_are_the_envelopes_and_not_what_the_message_says() -> None:
    content = b"To: all@example.vn\r\nDelivered-To: forged@example.vn\r\nSubject: x\r\n\r\n"
    kept = with_envelope(
        content,
        sender="",
        recipients=("b@example.vn", "c@example.vn"),
        peer="127.0.0.1",
        arrived=summary_of(NAME, b"", 0).arrived,
    )

    assert summary_of(NAME, kept, len(kept)).recipients == ("b@example.vn", "c@example.vn")


def test_a_long_text_is_cut_on_the_page_only() -> None:
    data = letter("Content-Type: text/plain\n", b"x" * 300_000)

    [part] = letter_of(data).parts
    found = content_of(data, 0)

    assert part.text is not None
    assert len(part.text) < 201_000
    assert found is not None
    assert len(found[1]) == 300_000


def test_parts_within_parts_without_end_are_still_shown() -> None:
    boundaries = "".join(f"Content-Type: multipart/mixed; boundary=b{n}\r\n\r\n--b{n}\r\n" for n in range(3000))

    assert letter_of(boundaries.encode()).parts


@given(st.binary(max_size=2000))
@example(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n--b--")
@example(b'Content-Type: text/plain; charset="\xff"\r\nSubject: =?utf-8?b?/w==?=\r\n\r\n\x00')
@example(b"Content-Type: message/rfc822\r\nContent-Transfer-Encoding: base64\r\n\r\n!")
@example(b"Content-Disposition: attachment; filename*=x''%zz; filename*0=\r\n\r\n")
def test_any_bytes_give_a_summary_and_a_letter(data: bytes) -> None:
    is_readable(data)


_fields = st.sampled_from(
    ["Subject", "From", "Content-Type", "Content-Transfer-Encoding", "Content-Disposition", "Message-ID"]
)
_values = st.text(max_size=60) | st.sampled_from(
    ["multipart/mixed; boundary=b", "text/html; charset=idna", "base64", "x-uuencode", "=?utf-8?b?4?="]
)


@given(st.lists(st.tuples(_fields, _values), max_size=6), st.binary(max_size=300))
def test_any_headers_give_a_summary_and_a_letter(fields: list[tuple[str, str]], body: bytes) -> None:
    head = "".join(f"{name}: {value}\r\n" for name, value in fields).encode("utf-8", "replace")

    is_readable(head + b"\r\n" + body)


def is_readable(data: bytes) -> None:
    """Fails where a summary or a letter cannot be had, or cannot be written as UTF-8."""
    summary = summary_of(NAME, data, len(data))
    whole = letter_of(data)
    for text in (summary.subject, *summary.recipients, *(part.text or part.name for part in whole.parts)):
        text.encode("utf-8")
    for part in whole.parts:
        assert content_of(data, part.number) is not None
