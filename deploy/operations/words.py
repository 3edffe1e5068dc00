"""How instants, lengths of time and sizes are written on the pages, in the page's language."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from shared.http.language import asked

SEVERITIES: Final = (
    (21, "CRITICAL", "overdue"),
    (17, "ERROR", "overdue"),
    (13, "WARNING", "near"),
    (0, "INFO", "done"),
)


def instant(ns: int) -> datetime:
    """The instant so many nanoseconds after 1970 began."""
    return datetime.fromtimestamp(ns / 1e9, UTC)


def milliseconds(ns: int) -> str:
    """Nanoseconds as people read them: 3,2 ms, 240 ms, 12 giây, 5 phút (3.2 ms, 12 s, 5 min)."""
    value = ns / 1e6
    if value < 10_000:
        return _decimal(f"{value:.1f}" if value < 100 else f"{value:.0f}") + " ms"
    return seconds(ns / 1e9)


def seconds(value: float | None) -> str:
    """Seconds as people read them; a dash for None."""
    if value is None:
        return "–"
    days, hours, minutes, second = (
        ("ngày", "giờ", "phút", "giây") if asked().language == "vi" else ("d", "h", "min", "s")
    )
    for size, unit, name in ((172_800, 86_400, days), (7_200, 3_600, hours), (120, 60, minutes)):
        if value >= size:
            return f"{value / unit:.0f} {name}"
    return f"{value:.0f} {second}" if value >= 10 else f"{_decimal(f'{value:.1f}')} {second}"


def size(value: int) -> str:
    """Bytes as people read them."""
    return _decimal(f"{value / 1024 / 1024:.1f}") + " MB" if value >= 100_000 else f"{value / 1024:.0f} kB"


def _decimal(text: str) -> str:
    return text.replace(".", ",") if asked().language == "vi" else text


def severity(number: int) -> tuple[str, str]:
    """A level's name and how it looks."""
    return next((name, look) for least, name, look in SEVERITIES if number >= least)
