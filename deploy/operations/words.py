"""What names of spans, queues, codes and states are called on the pages, in the page's language."""

from __future__ import annotations

from datetime import datetime
from typing import Final
from zoneinfo import ZoneInfo

from markupsafe import Markup

from deploy.journey.spans import Queue
from shared.http.language import asked

ZONE: Final = ZoneInfo("Asia/Ho_Chi_Minh")

COMMANDS: Final = {
    "receive dossier": "Tiếp nhận hồ sơ",
    "take supplement": "Nhận giấy tờ bổ sung",
    "take withdrawal": "Nhận đề nghị rút hồ sơ",
    "hand out result": "Trả kết quả",
    "carry out hand over": "Bàn giao hồ sơ",
    "carry out send back": "Trả lại bước trước",
    "carry out request supplement": "Yêu cầu bổ sung",
    "carry out request fee": "Yêu cầu nộp phí",
    "carry out resume": "Tiếp tục xử lý",
    "carry out finish": "Hoàn thành xử lý",
    "carry out record step": "Ghi lại bước cũ",
    "fire timer": "Đồng hồ thời hạn",
}

QUEUES: Final = {
    Queue.DOOR: ("chờ ở cửa nhận", "at the door"),
    Queue.OUTBOX: ("chờ trong hộp gửi", "in the outbox"),
    Queue.TOPIC: ("chờ trên kênh Kafka", "on the topic"),
    Queue.BATCH: ("chờ trong mẻ", "in the batch"),
    Queue.PARKED: ("tạm giữ", "parked"),
    Queue.SENDER: ("chờ gửi thư", "for the sender"),
    Queue.OTHER: ("chờ", "waiting"),
}

REASONS: Final = {
    "away": ("không trả lời", "does not answer"),
    "not_ready": ("chưa sẵn sàng", "not ready"),
    "database_away": ("mất cơ sở dữ liệu", "database away"),
    "broker_away": ("mất Kafka", "broker away"),
    "hearing_stopped": ("ngừng nghe", "hearing stopped"),
    "event_loop_late": ("vòng lặp chậm", "event loop late"),
}

SHELVES: Final = {"traces": ("Vết", "traces"), "metrics": ("Số đo", "metrics"), "logs": ("Nhật ký", "logs")}

FATES: Final = {
    "redriven": ("đã nghe lại", "redriven"),
    "voided": ("đã bỏ qua", "voided"),
    "superseded": ("đã có bản mới", "superseded"),
    "dismissed": ("đã gạt đi", "dismissed"),
}

SEVERITIES: Final = (
    (21, "CRITICAL", "overdue"),
    (17, "ERROR", "overdue"),
    (13, "WARNING", "near"),
    (0, "INFO", "done"),
)


def clock(ns: int) -> Markup:
    """Nanoseconds since 1970 as date and time of day, to the second."""
    at = datetime.fromtimestamp(ns / 1e9, ZONE)
    return Markup('<time datetime="{}">{:%H:%M:%S %d/%m/%Y}</time>').format(at.isoformat(timespec="milliseconds"), at)


def command(name: str) -> str:
    """What was done, by the name of its span; a name that is no command's stays as it is."""
    return COMMANDS.get(name, name) if asked().language == "vi" else name[:1].upper() + name[1:]


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
