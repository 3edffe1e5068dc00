"""Catalogue files for tests: made ones, and the real one where it lies beside the repository."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from typing import Final

import pytest

from deploy.catalogue import COLUMNS
from tests.processes import REPOSITORY

PROCEDURES: Final = REPOSITORY.parent / "shared" / "data" / "procedures.csv"

needs_the_procedures = pytest.mark.skipif(
    not PROCEDURES.exists(), reason="procedures.csv is not in ../shared/data (the product does not carry it)"
)


def a_row(code: str = "1.000593", **cells: str) -> dict[str, str]:
    """A row with a trusted term at the counter, unless told otherwise."""
    given = {
        "code": code,
        "name": "Thủ tục đăng ký kết hôn lưu động",
        "sector": "Hộ tịch",
        "levels": "commune",
        "term_counter": "5",
        "term_counter_unit": "working_day",
        "fee_counter_vnd": "0",
        "components": "6",
        "result": "Giấy chứng nhận kết hôn",
    }
    return dict.fromkeys(COLUMNS, "") | given | cells


def a_file(*rows: Mapping[str, str]) -> bytes:
    """A catalogue file of these rows."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
