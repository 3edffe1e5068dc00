"""People who do not exist: names of Vietnamese shape, marked; addresses that can belong to nobody (RFC 2606)."""

from __future__ import annotations

import unicodedata
from random import Random
from typing import Any, Final

MARK: Final = "(mô phỏng)"

_FAMILY: Final = ("Nguyễn", "Trần", "Lê", "Phạm", "Hoàng", "Hồ", "Vũ", "Đặng", "Bùi", "Đỗ", "Phan", "Ngô")
_MIDDLE: Final = ("Văn", "Thị", "Đức", "Ngọc", "Minh", "Thu", "Quang", "Thanh")
_GIVEN: Final = ("An", "Bình", "Chi", "Dũng", "Giang", "Hà", "Hải", "Hoa", "Hùng", "Lan", "Linh", "Long", "Mai")
_MORE: Final = ("Nam", "Nga", "Phúc", "Quân", "Sơn", "Tâm", "Thảo", "Trang", "Tuấn", "Việt", "Xuân", "Yến")
_DOMAINS: Final = ("example.com", "example.net", "example.org")


def applicant(draw: Random) -> dict[str, str]:
    """Whose dossier it is: a made-up name that says so."""
    name = f"{draw.choice(_FAMILY)} {draw.choice(_MIDDLE)} {draw.choice(_GIVEN + _MORE)}"
    return {"name": f"{name} {MARK}"}


def contact(draw: Random, who: dict[str, str]) -> dict[str, Any]:
    """How nobody can be reached: an address of an example domain.

    No telephone number: Vietnam keeps none free for examples, so any could ring at somebody's.
    """
    plain = unicodedata.normalize("NFD", who["name"].removesuffix(MARK).replace("Đ", "D").replace("đ", "d")).lower()
    words = "".join(each for each in plain if each.isascii()).split()
    return {"email": f"{'.'.join(words)}.{draw.randrange(10_000):04}@{draw.choice(_DOMAINS)}"}
