"""The addresses that the landing page shows: one table, to be kept in step with what the services serve."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Address:
    """One link: where it leads, and what is there, in Vietnamese and in English."""

    path: str
    vi: str
    en: str


@dataclass(frozen=True, slots=True)
class Group:
    """A heading with its links."""

    vi: str
    en: str
    addresses: tuple[Address, ...]


SERVICES: Final = ("intake", "routing", "notification", "reporting")
"""In the river's order."""

PREFIXES: Final = {
    **{name: name for name in SERVICES},
    "mail": "mail",
    "telemetry": "receiver",
    "operations": "operations",
    "traces": "operations",
}
"""The first segment of a path, and the process behind the door that answers there."""

LANDING: Final = (
    Group(
        "Người dân và doanh nghiệp",
        "Citizens and businesses",
        (Address("/intake/procedures/page", "Tra cứu thủ tục hành chính", "Search the procedures"),),
    ),
    Group(
        "Cán bộ, lãnh đạo",
        "Officers and leaders",
        (
            Address("/reporting/", "Hồ sơ đang ở đâu, ngay lúc này", "What is where, now"),
            Address("/reporting/dossiers/page", "Tìm hồ sơ", "Find a dossier"),
            Address("/mail/", "Thư đã gửi (hộp thư thử)", "The e-mail that was sent (mail catcher)"),
        ),
    ),
    Group(
        "Lập trình viên",
        "Developers",
        (
            Address("/docs/", "Tài liệu và các sự kiện", "Documents, and the contracts of the events"),
            Address("/intake/docs", "API tiếp nhận", "API of intake"),
            Address("/routing/docs", "API luân chuyển", "API of routing"),
            Address("/notification/docs", "API thông báo", "API of notification"),
            Address("/reporting/docs", "API báo cáo", "API of reporting"),
        ),
    ),
    Group(
        "Vận hành",
        "Operators",
        (
            Address("/operations/", "Tình trạng hệ thống", "How the system is"),
            Address("/traces/", "Vết xử lý hồ sơ", "Traces: what became of a command"),
            Address("/health/ready", "Sẵn sàng hay chưa (JSON)", "Readiness (JSON)"),
            Address("/health/live", "Cửa chính còn sống (JSON)", "Liveness of the door (JSON)"),
            Address("/mail/health/ready", "Hộp thư thử (JSON)", "Readiness of the mail catcher (JSON)"),
        ),
    ),
)

COMMANDS: Final = (
    ("lienthong status", "dịch vụ, độ trễ, việc còn tồn", "services, lag, unsent, parked, dead letters"),
    ("lienthong trace MÃ-HỒ-SƠ", "hành trình của một hồ sơ qua các dịch vụ", "a dossier's way through the services"),
    ("lienthong dead-letters list", "sự kiện không đọc được", "events that could not be read"),
    ("lienthong down", "dừng tất cả theo thứ tự", "stop everything in order"),
)
