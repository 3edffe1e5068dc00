"""The shell of the pages for people: server-rendered, Vietnamese first, whole without JavaScript."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import FastAPI
from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PrefixLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.staticfiles import StaticFiles

from shared.http.problems import Problem

PRODUCT = "Một cửa liên thông"
_HERE = Path(__file__).parent
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the head of every page."""

    href: str
    vi: str
    en: str


class Pages:
    """Renders a service's templates within the shell. A template begins `{% extends "shell/base.html" %}`.

    In templates: `two(vi, en)`, `state(name)` and `search(…)` from `shell/parts.html`; `when(instant)`, `day(date)` and
    `number(n)` as Vietnamese people write them. `foot` is a sentence below every page, in Vietnamese and English;
    `banner` one above it, written "Vietnamese | English", where a page must not be taken for what it is not (a sample).
    """

    def __init__(
        self,
        templates: Path,
        prefix: str,
        nav: Sequence[Link] = (),
        foot: tuple[str, str] | None = None,
        zone: str = "Asia/Ho_Chi_Minh",
        banner: str | None = None,
    ) -> None:
        self.prefix = prefix
        self.banner = two_languages(banner) if banner else None
        self._zone = ZoneInfo(zone)
        shell = PrefixLoader({"shell": FileSystemLoader(_HERE / "templates")})
        self._environment = Environment(
            loader=ChoiceLoader([shell, FileSystemLoader(templates)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        digest = hashlib.sha256((_HERE / "static" / "style.css").read_bytes()).hexdigest()[:12]
        self._environment.globals.update(
            product=PRODUCT,
            nav=tuple(nav),
            foot=foot,
            banner=self.banner,
            style=f"{prefix}/static/style.css?v={digest}",
            when=self._when,
            day=self._day,
            number=_number,
        )

    def page(self, template: str, here: str = "", status: int = 200, **context: Any) -> HTMLResponse:
        """The page as an answer. `here` is its address in the nav. Raises UndefinedError for what was not given."""
        rendered = self._environment.get_template(template).render(here=here, **context)
        return HTMLResponse(rendered, status, headers=_HEADERS)

    def serve(self, app: FastAPI) -> None:
        """Serve the style sheet, the page of the API, and problems as pages to browsers, below the service's prefix.

        The app is made with `docs_url=None`: FastAPI's own page fetches its scripts from somebody else's server.
        """
        app.mount(f"{self.prefix}/static", StaticFiles(directory=_HERE / "static"), name="static")
        app.state.problem_page = self.problem_page

        @app.get(f"{self.prefix}/about", include_in_schema=False)
        async def about() -> dict[str, str | None]:
            """What the pages say above everything else; None where they say nothing."""
            return {"banner": " | ".join(self.banner) if self.banner else None}

        @app.get(f"{self.prefix}/docs", include_in_schema=False)
        async def docs(_: Request) -> HTMLResponse:
            return self.page("shell/operations.html", title=app.title, openapi=app.openapi_url, operations=_listed(app))

    def problem_page(self, problem: Problem) -> HTMLResponse:
        """A refusal for a person: a Vietnamese sentence for the status, and the English of the problem."""
        vi, vi_do = _SENTENCES.get(problem.status, _OTHER if problem.status < 500 else _FAILED)
        page = self.page("shell/problem.html", status=problem.status, problem=problem, vi=vi, vi_do=vi_do)
        page.headers.update(problem.headers)
        return page

    def _when(self, instant: datetime) -> Markup:
        local = self._local(instant)
        return Markup('<time datetime="{}">{:%H:%M %d/%m/%Y}</time>').format(local.isoformat(timespec="seconds"), local)

    def _day(self, value: date) -> Markup:
        day = self._local(value).date() if isinstance(value, datetime) else value
        return Markup('<time datetime="{}">{:%d/%m/%Y}</time>').format(day.isoformat(), day)

    def _local(self, instant: datetime) -> datetime:
        if instant.tzinfo is None:
            raise ValueError("a time without an offset cannot be shown")
        return instant.astimezone(self._zone)


def two_languages(text: str) -> tuple[str, str]:
    """A sentence of the settings, "Vietnamese | English", in its two languages; the English may be missing."""
    vi, _, en = text.partition(" | ")
    return vi.strip(), en.strip()


_OTHER = ("Yêu cầu không được chấp nhận", "Xin xem lại nội dung đã gửi rồi gửi lại.")
_FAILED = ("Hệ thống gặp lỗi", "Xin thử lại sau; nếu lỗi còn lặp lại, xin báo mã lỗi dưới đây cho cán bộ vận hành.")
_SENTENCES = {
    401: ("Chưa đăng nhập", "Xin đăng nhập rồi thử lại."),
    403: ("Không có quyền thực hiện", "Việc này thuộc quyền của người hoặc đơn vị khác."),
    404: ("Không tìm thấy", "Không có gì ở địa chỉ này. Xin kiểm tra lại địa chỉ hoặc mã hồ sơ."),
    413: ("Nội dung gửi quá lớn", "Xin gửi ít hơn trong mỗi lần."),
    503: ("Hệ thống đang bận", "Xin thử lại sau vài giây; nội dung đã được nhận trước đó không bị mất."),
}


def _number(value: float) -> str:
    """1434 is 1.434 and 0.5 is 0,5 in Vietnamese."""
    return f"{value:,}".translate(str.maketrans(",.", ".,"))


def _listed(app: FastAPI) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "meaning": operation.get("description") or operation.get("summary", ""),
            "parameters": [parameter["name"] for parameter in operation.get("parameters", [])],
        }
        for path, operations in app.openapi().get("paths", {}).items()
        for method, operation in operations.items()
    ]
