"""Makes procedures.json, once: ``python -m deploy.sample.making procedures.csv``. The product reads what it wrote.

From a file of the national procedure catalogue (deploy.catalogue says how it is read) it takes every procedure with a
term one can trust, save in the sectors of customs, tax, maritime affairs, immigration and treasury, which were never a
town's or a commune's; and from by_hand.csv what was read elsewhere. A row of by_hand.csv goes before the catalogue's:
its term (where it has one), fee, level, route, legs; name and sector are the catalogue's where the row leaves them out.
A number without a unit becomes a term only where by_hand.csv says which unit, and by which mark.

**Levels.** The catalogue's levels are those of 2026, when there was no district. Rows of by_hand.csv have the level of
2016-20. Else the sectors of `_OF_THE_TOWN` are mapped to the town [M: from memory of who decided before July 2025];
everything else keeps "commune" as in 2026, is **not mapped**, and its source says so.
"""

from __future__ import annotations

import csv
import io
import json
import sys
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from deploy.catalogue import read_catalogue

_HERE: Final = Path(__file__).parent
_NEVER_THE_TOWN_S: Final = frozenset(
    {"Hải quan", "Thuế", "Hàng hải và đường thủy nội địa", "Quản lý xuất nhập cảnh", "Kho bạc Nhà nước"}
)
_OF_THE_TOWN: Final = frozenset(
    {
        "Thành lập và hoạt động của tổ hợp tác, hợp tác xã, liên hiệp hợp tác xã",
        "Hoạt động xây dựng",
        "Đất đai",
        "Hạ tầng kỹ thuật",
        "Quy hoạch đô thị và nông thôn",
        "Nhà ở và công sở",
        "Môi trường",
        "Thủy sản",
        "Đăng ký biện pháp bảo đảm",
    }
)
_SOCIAL_INSURANCE: Final = ("BHXH", "BHYT")


def make(content: bytes, name: str) -> list[dict[str, Any]]:
    """The sample's procedures, by code, from a catalogue's bytes and by_hand.csv."""
    read = read_catalogue(content, name, "national")
    national = {one.code: dict(one.procedure) for one in read.taken}
    rows = {row["code"]: row for row in csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""))}
    with (_HERE / "by_hand.csv").open(encoding="utf-8", newline="") as file:
        by_hand = {row["code"]: row for row in csv.DictReader(file)}
    made = {code: _national(one) for code, one in national.items() if one["sector"] not in _NEVER_THE_TOWN_S}
    for code, row in by_hand.items():
        made[code] = _by_hand(row, made.get(code), rows.get(code))
    return [made[code] for code in sorted(made)]


def _national(one: dict[str, Any]) -> dict[str, Any]:
    town = one["level"] == "town" or one["sector"] in _OF_THE_TOWN
    mapped = "level by sector [M]" if town else "level as in 2026, not mapped to 2019"
    insurer = any(word in one["sector"] for word in _SOCIAL_INSURANCE)
    made = {
        **{key: value for key, value in one.items() if value not in (None, {}, [])},
        "level": "town" if town else "commune",
        "source": f"Mẫu: national catalogue, July 2026: term [V]; {mapped}; fee unknown",
    }
    if all(term == made["term"] for term in made.get("terms", {}).values()):
        made.pop("terms", None)
    return made | ({"route": "bao-hiem-xa-hoi"} if insurer else {})


def _by_hand(row: Mapping[str, str], made: dict[str, Any] | None, national: Mapping[str, str] | None) -> dict[str, Any]:
    one: dict[str, Any] = {"code": row["code"], **(made or {})}
    one["name"] = row["name"] or (national["name"].strip() if national else one["name"])
    one["sector"] = row["sector"] or (national["sector"].strip() if national else one["sector"])
    if national and national["result"].strip():
        one["result"] = national["result"].strip()
    one["level"] = row["level"]
    if row["unit"]:
        one["term"] = {"value": int(row["term"]), "unit": row["unit"]}
        one.pop("terms", None)
    if row["fee"]:
        one["fees"] = {"desk": int(row["fee"])}
    if row["fee_note"]:
        one["fee_note"] = row["fee_note"]
    if row["route"]:
        one["route"] = row["route"]
    if row["legs"]:
        legs = [leg.split() for leg in row["legs"].split(";")]
        one["legs"] = [{"level": level, "term": {"value": int(days), "unit": row["unit"]}} for level, days in legs]
    one["source"] = f"Mẫu: domain notes {row['source']}"
    return one


def main() -> None:
    """Write procedures.json beside this file."""
    path = Path(sys.argv[1])
    made = make(path.read_bytes(), path.name)
    note = "Made by deploy/sample/making.py; [V] read in a source, [M] from memory. A fee that is not there is unknown."
    text = unicodedata.normalize("NFC", json.dumps({"note": note, "procedures": made}, ensure_ascii=False, indent=1))
    (_HERE / "procedures.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
