"""Reading a catalogue file: what is taken, what is left and why, and one sentence for a bad file."""

from __future__ import annotations

import unicodedata
from collections import Counter

import pytest

from deploy.catalogue import COLUMNS, BadCatalogueError, Catalogue, Left, Reason, read_catalogue
from tests.catalogues import PROCEDURES, a_file, a_row, needs_the_procedures

HEADER = ",".join(COLUMNS).encode() + b"\r\n"


def read(content: bytes) -> Catalogue:
    return read_catalogue(content, "list.csv", "a test")


def the_only_one(**cells: str) -> dict[str, object]:
    return dict(read(a_file(a_row(**cells))).taken[0].procedure)


def test_a_procedure_is_taken_as_intake_wants_it() -> None:
    assert the_only_one(fee_online_vnd="10000", term_online="3", term_online_unit="calendar_day") == {
        "code": "1.000593",
        "name": "Thủ tục đăng ký kết hôn lưu động",
        "sector": "Hộ tịch",
        "level": "commune",
        "term": {"value": 5, "unit": "working_day"},
        "terms": {"desk": {"value": 5, "unit": "working_day"}, "online": {"value": 3, "unit": "calendar_day"}},
        "fees": {"online": 10000},
        "components": 6,
        "result": "Giấy chứng nhận kết hôn",
        "source": "a test",
    }


def test_the_term_is_the_first_trusted_one_of_counter_online_and_post() -> None:
    by_post = {"term_counter_unit": "", "term_online": "1", "term_postal": "15", "term_postal_unit": "calendar_day"}

    taken = the_only_one(**by_post)

    assert taken["term"] == {"value": 15, "unit": "calendar_day"}
    assert taken["terms"] == {"post": {"value": 15, "unit": "calendar_day"}}


def test_a_channel_with_a_bare_number_is_left_out() -> None:
    found = read(a_file(a_row(term_online="220")))

    assert list(found.taken[0].procedure["terms"]) == ["desk"]
    assert found.bare_channels == 1


def test_a_procedure_whose_only_terms_are_bare_numbers_is_left_by_line() -> None:
    bare = a_row("1.000656", term_counter="1", term_counter_unit="", term_online="120.000")
    none = a_row("2.000815", term_counter="", term_counter_unit="")

    found = read(a_file(a_row(), bare, none))

    assert found.left == (Left(3, "1.000656", Reason.BARE), Left(4, "2.000815", Reason.NO_TERM))


def test_a_line_is_where_a_row_begins_though_its_cells_hold_line_breaks() -> None:
    found = read(a_file(a_row(result="Giấy\nchứng nhận"), a_row("1.000594", term_counter="", term_counter_unit="")))

    assert [one.line for one in found.taken] == [2]
    assert [one.line for one in found.left] == [4]


def test_hours_and_same_day_are_units_too() -> None:
    assert the_only_one(term_counter="1", term_counter_unit="hour")["term"] == {"value": 1, "unit": "hour"}
    same_day = the_only_one(term_counter="0", term_counter_unit="same_day")
    assert same_day["term"] == {"value": 0, "unit": "same_day"}


@pytest.mark.parametrize("fee", ["", "0"])
def test_a_blank_fee_and_a_fee_of_zero_are_unknown(fee: str) -> None:
    assert the_only_one(fee_counter_vnd=fee)["fees"] == {}


@pytest.mark.parametrize("components", ["", "0"])
def test_no_components_are_an_unknown_number_of_components(components: str) -> None:
    assert the_only_one(components=components)["components"] is None


@pytest.mark.parametrize(
    ("name", "levels", "level"),
    [
        ("Đăng ký thường trú", "ministry|province|commune", "commune"),
        ("Liên thông các thủ tục về đăng ký khai sinh", "commune", "town"),
        ("Đăng ký thuế theo cơ chế liên thông", "commune", "commune"),
        ("Đăng ký hộ kinh doanh", "district", "town"),
        ("Đăng ký doanh nghiệp", "ministry|province", "province"),
    ],
)
def test_the_level_is_the_communes_unless_the_file_says_otherwise(name: str, levels: str, level: str) -> None:
    assert the_only_one(name=name, levels=levels)["level"] == level


def test_a_procedure_of_the_ministries_alone_is_left() -> None:
    assert read(a_file(a_row(levels="ministry"))).left == (Left(2, "1.000593", Reason.OTHER_LEVEL),)


def test_names_come_out_composed() -> None:
    name = "Đăng ký khai sinh lưu động"

    assert the_only_one(name=f" {unicodedata.normalize('NFD', name)} ")["name"] == name


def test_a_byte_order_mark_other_columns_and_blank_lines_do_no_harm() -> None:
    rows = a_file(a_row()).decode().splitlines()
    with_more = "\n".join(["\ufeff" + rows[0] + ",audience", "", rows[1] + ",Công dân", ",,,", ""])

    assert [one.code for one in read(with_more.encode()).taken] == ["1.000593"]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "list.csv is empty"),
        (b"\xef\xbb\xbf \r\n", "list.csv is empty"),
        (HEADER, "list.csv has no row below its header"),
        (a_file(a_row()) + b"x\xff\r\n", "list.csv, line 3: this is not UTF-8"),
        ("Mã".encode("utf-16"), "list.csv, line 1: this is not UTF-8"),
        (a_file(a_row()) + b"x\x00\r\n", "list.csv, line 3: a NUL character"),
        (b"code,name\r\n1,x\r\n", "list.csv, line 1: missing in the header: sector, levels, term_counter"),
        (HEADER.replace(b"result", b"result,code") + b"x\r\n", "list.csv, line 1: twice in the header: code"),
        (a_file(a_row()) + b"1.000001,short\r\n", "list.csv, line 3: the row has 2 cells, the header 15"),
        (a_file(a_row()) + b'1.000001,"open\r\n\r\n', "list.csv, line 3: the row that begins here cannot be read"),
        (a_file(a_row(), a_row()), "list.csv, line 3: 1.000593 stands in line 2 already"),
        (a_file(a_row("mã số")), "list.csv, line 2: “mã số” is no procedure code"),
        (a_file(a_row(name=" ")), "list.csv, line 2: name is blank"),
        (a_file(a_row(name="x" * 4001)), "list.csv, line 2: name has 4001 characters, at most 4000 may be"),
        (a_file(a_row(term_counter_unit="week")), "list.csv, line 2: term_counter_unit is “week”"),
        (a_file(a_row(term_counter="")), "list.csv, line 2: term_counter is “”: with the unit working_day"),
        (a_file(a_row(term_counter="0")), "list.csv, line 2: term_counter is “0”"),
        (a_file(a_row(term_counter="2.5")), "list.csv, line 2: term_counter is “2.5”"),
        (a_file(a_row(term_counter="٣")), "list.csv, line 2: term_counter is “٣”"),
        (a_file(a_row(fee_postal_vnd="-1")), "list.csv, line 2: fee_postal_vnd is “-1”"),
        (a_file(a_row(components="\x1b[31m")), "list.csv, line 2: components is “·[31m”"),
    ],
)
def test_a_bad_file_is_one_sentence_with_its_line(content: bytes, sentence: str) -> None:
    with pytest.raises(BadCatalogueError) as refused:
        read(content)

    assert str(refused.value).startswith(sentence)
    assert "\n" not in str(refused.value)


@needs_the_procedures
def test_the_real_catalogue_gives_387_procedures_and_201_that_are_left() -> None:
    found = read(PROCEDURES.read_bytes())

    assert found.rows == 588
    assert len(found.taken) == 387
    assert Counter(one.reason for one in found.left) == {Reason.BARE: 162, Reason.NO_TERM: 39}
    assert sorted(one.code for one in found.taken if one.procedure["level"] == "town") == ["2.000986", "2.001023"]
    assert all(one.procedure["fees"] == {} for one in found.taken)
