"""The search for canaries finds every disguise it claims to: a search that finds nothing anywhere proves nothing."""

from __future__ import annotations

import base64
import gzip
import html
import json
import quopri
import unicodedata
import urllib.parse
import zlib
from collections.abc import Callable
from typing import Final

import cramjam
import pytest
import zstandard
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from tests.canary import find

NAME: Final = "Hoàng Thị Bích Đào Canary"
PHONE: Final = "+84987654321"
NUMBER: Final = "040198765432"
MAIL: Final = "canary.bird+7@nowhere.example"
ADDRESS: Final = "Ngõ Chim Hoàng Yến 77, phường Quỳnh Thiện"
ALL: Final = (NAME, PHONE, NUMBER, MAIL, ADDRESS)

_AROUND: Final = "Nguyễn Văn An, 0912000111, an@example.vn, " * 3


def _in_kafka(codec: int) -> Callable[[str], bytes]:
    def written(text: str) -> bytes:
        batch = DefaultRecordBatchBuilder(
            magic=2,
            compression_type=codec,
            is_transactional=0,
            producer_id=-1,
            producer_epoch=-1,
            base_sequence=-1,
            batch_size=1_000_000,
        )
        for offset, value in enumerate((_AROUND, text, _AROUND)):
            batch.append(offset, 0, b"key", value.encode(), [])
        return bytes(batch.build())

    return written


def _base64_from(start: int) -> Callable[[str], bytes]:
    return lambda text: base64.b64encode(b"xyz"[:start] + text.encode())


DISGUISES: Final[dict[str, Callable[[str], bytes]]] = {
    "as it is": str.encode,
    "decomposed": lambda text: unicodedata.normalize("NFD", text).encode(),
    "in capitals": lambda text: text.upper().encode(),
    "without tone marks": lambda text: _bare(text).encode(),
    "without tone marks, in small letters": lambda text: _bare(text).lower().encode(),
    "JSON's escapes": lambda text: json.dumps(text).encode(),
    "JSON in JSON": lambda text: json.dumps(json.dumps({"it": text})).encode(),
    "HTML's decimal escapes": lambda text: text.encode("ascii", "xmlcharrefreplace"),
    "HTML's hexadecimal escapes": lambda text: "".join(f"&#x{ord(each):x};" for each in text).encode(),
    "HTML's names": lambda text: html.escape(text).replace("à", "&agrave;").encode(),
    "in a URL": lambda text: urllib.parse.quote(text, safe="").encode(),
    "in a form": lambda text: urllib.parse.quote_plus(text).encode(),
    "quoted-printable": lambda text: quopri.encodestring(text.encode()),
    "hexadecimal": lambda text: text.encode().hex().encode(),
    "PostgreSQL's bytea": lambda text: b"\\x" + text.encode().hex().encode(),
    "PostgreSQL's octal": lambda text: "".join(f"\\{each:03o}" for each in text.encode()).encode(),
    "base64, from its first byte": _base64_from(0),
    "base64, from its second": _base64_from(1),
    "base64, from its third": _base64_from(2),
    "base64 for URLs, unpadded": lambda text: base64.urlsafe_b64encode(b"\xff\xfe" + text.encode()).rstrip(b"="),
    "base64 in a mail's lines": lambda text: base64.encodebytes((_AROUND + text + _AROUND).encode()),
    "UTF-16": lambda text: text.encode("utf-16-le"),
    "UTF-16, the other way": lambda text: b"\x01" + text.encode("utf-16-be"),
    "gzip": lambda text: gzip.compress(text.encode()),
    "zlib": lambda text: zlib.compress(text.encode()),
    "zstd": lambda text: zstandard.ZstdCompressor().compress((_AROUND + text).encode()),
    "lz4": lambda text: bytes(cramjam.lz4.compress((_AROUND + text).encode())),
    "snappy, as Java writes it for Kafka": lambda text: (
        b"\x82SNAPPY\x00\x00\x00\x00\x01\x00\x00\x00\x01"
        + len(packed := bytes(cramjam.snappy.compress_raw(text.encode()))).to_bytes(4, "big")
        + packed
    ),
    "a batch of Kafka's": _in_kafka(0),
    "a batch of Kafka's, gzip": _in_kafka(1),
    "a batch of Kafka's, snappy": _in_kafka(2),
    "a batch of Kafka's, lz4": _in_kafka(3),
    "a batch of Kafka's, zstd": _in_kafka(4),
    "base64 of JSON's escapes in gzip in base64": lambda text: base64.b64encode(
        gzip.compress(json.dumps({"it": base64.b64encode(json.dumps(text).encode()).decode()}).encode())
    ),
}


def _bare(text: str) -> str:
    plain = unicodedata.normalize("NFD", text).replace("đ", "d").replace("Đ", "D")
    return "".join(each for each in plain if not unicodedata.combining(each))


@pytest.mark.parametrize("canary", ALL)
@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_canary_is_found_in_every_disguise(disguise: str, canary: str) -> None:
    hidden = DISGUISES[disguise](canary)

    assert find(ALL, hidden) == [canary]
    assert find(ALL, b"\x00\xff something before " + hidden + b"\n something after \xfe") == [canary]


@pytest.mark.parametrize("disguise", DISGUISES)
def test_other_people_s_data_are_no_canary_in_any_disguise(disguise: str) -> None:
    assert find(ALL, DISGUISES[disguise](f"{_AROUND}, Nguyễn Thị Bích, ngõ Chim 7, 040198765431")) == []


@pytest.mark.parametrize(
    "written", ["0987654321", "0987 654 321", "+84 987.654.321", "(+84) 98-765-4321", "84987654321"]
)
def test_a_telephone_number_is_found_however_people_write_it(written: str) -> None:
    assert find(ALL, f"gọi {written} nhé".encode()) == [PHONE]


def test_an_identity_number_is_found_in_groups() -> None:
    assert find(ALL, b"CCCD 040 198 765 432") == [NUMBER]


def test_several_canaries_are_told_in_the_order_of_the_question() -> None:
    assert find(ALL, f"{ADDRESS} {NAME}".encode()) == [NAME, ADDRESS]


def test_half_a_canary_is_none() -> None:
    assert find(ALL, f"{NAME[:-1]} {MAIL[1:]} {NUMBER[:-1]}".encode()) == []


def test_noise_holds_nothing_and_breaks_nothing() -> None:
    noise = bytes(range(256)) * 64
    broken = b"\x1f\x8b\x08 no gzip, \x28\xb5\x2f\xfd no zstd, \x04\x22\x4d\x18 no lz4, \x82SNAPPY\x00, \x78\x9c"

    assert find(ALL, noise + broken + b"%zz &#99999999; \\ud800 =FX") == []


def test_what_comes_after_damage_is_still_found() -> None:
    packed = gzip.compress((_AROUND * 50 + NAME + _AROUND).encode(), mtime=0)

    assert find(ALL, packed[:-8] + b"torn" + packed) == [NAME]


def test_a_canary_too_short_to_be_one_is_refused() -> None:
    with pytest.raises(ValueError, match="chance"):
        find(["An 77"], b"")
