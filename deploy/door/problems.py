"""What the door answers itself when it cannot pass a request on (RFC 9457), for programs and for people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from deploy.door.upstream import (
    UpstreamAwayError,
    UpstreamBusyError,
    UpstreamError,
    UpstreamLateError,
)

AGAIN: Final = "the same Idempotency-Key"


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem: its name in ``type``, and its texts in English (JSON and page) and Vietnamese (page)."""

    name: str
    status: int
    title: str
    title_vi: str
    detail: str
    detail_vi: str
    do: str
    do_vi: str
    more: Mapping[str, object] = field(default_factory=dict)
    retry_after: int | None = None

    def as_json(self) -> bytes:
        """The body of an ``application/problem+json`` answer."""
        members = {
            "type": f"/problems/{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "do": self.do,
            **self.more,
        }
        return json.dumps(members, ensure_ascii=False).encode()


def unknown_address() -> Problem:
    """No upstream has this prefix."""
    return Problem(
        name="unknown-address",
        status=404,
        title="There is nothing at this address",
        title_vi="Không có gì ở địa chỉ này",
        detail="Addresses begin with /intake, /routing, /notification, /reporting or /mail.",
        detail_vi="Địa chỉ bắt đầu bằng /intake, /routing, /notification, /reporting hoặc /mail.",
        do="Start from the front page at /.",
        do_vi="Hãy bắt đầu từ trang chủ.",
    )


def of_upstream(name: str, error: UpstreamError) -> Problem:
    """What to say when `name` gave no answer. Says truthfully whether the request may have been acted upon."""
    service = {"service": name}
    if isinstance(error, UpstreamAwayError):
        return Problem(
            name="service-away",
            status=503,
            title="The service is away",
            title_vi="Dịch vụ đang tạm ngừng",
            detail=f"{name} does not answer at its address. Nothing was sent to it.",
            detail_vi=f"Dịch vụ {name} không trả lời. Yêu cầu chưa được gửi đi.",
            do="Try again in a few seconds. If it stays away, `lienthong status` shows why.",
            do_vi="Hãy thử lại sau vài giây. Nếu vẫn chưa được, người vận hành chạy `lienthong status`.",
            more=service,
            retry_after=2,
        )
    if isinstance(error, UpstreamBusyError):
        return Problem(
            name="service-busy",
            status=503,
            title="The service is busy",
            title_vi="Dịch vụ đang quá tải",
            detail=f"All connections to {name} are in use. Nothing was sent to it.",
            detail_vi=f"Mọi kết nối tới dịch vụ {name} đang được dùng. Yêu cầu chưa được gửi đi.",
            do="Try again in a few seconds.",
            do_vi="Hãy thử lại sau vài giây.",
            more=service,
            retry_after=5,
        )
    late = isinstance(error, UpstreamLateError)
    return Problem(
        name="service-late" if late else "service-broke-off",
        status=504 if late else 502,
        title="The service did not answer in time" if late else "The service broke off",
        title_vi="Dịch vụ không trả lời kịp" if late else "Dịch vụ ngắt giữa chừng",
        detail=f"{name} gave no answer. Whether the request took effect is not known.",
        detail_vi=f"Dịch vụ {name} chưa trả lời. Chưa rõ yêu cầu đã có hiệu lực hay chưa.",
        do=f"Send it again with {AGAIN}: what was already done is then not done twice, and you get its answer.",
        do_vi="Hãy gửi lại với cùng Idempotency-Key: việc đã làm sẽ không bị làm hai lần.",
        more=service,
        retry_after=2,
    )


def not_ready(states: dict[str, str]) -> Problem:
    """Which services are not ready yet; `states` is what each said."""
    missing = [f"{name} ({state})" for name, state in states.items() if state != "ready"]
    return Problem(
        name="not-ready",
        status=503,
        title="Not every service is ready",
        title_vi="Chưa phải dịch vụ nào cũng sẵn sàng",
        detail="Not ready: " + ", ".join(missing),
        detail_vi="Chưa sẵn sàng: " + ", ".join(missing),
        do="Wait a few seconds after a start. If it lasts, `lienthong status` and the service's log say why.",
        do_vi="Hãy chờ vài giây sau khi khởi động. Nếu kéo dài, xem `lienthong status` và nhật ký của dịch vụ.",
        more={"services": states},
        retry_after=2,
    )
