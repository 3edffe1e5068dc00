"""The shell of the pages for people: server-rendered, Vietnamese first, whole without JavaScript."""

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
from starlette.responses import HTMLResponse, Response

from shared.http.assets import Assets
from shared.http.language import LANGUAGES, Language, Languages, Texts, asked, number
from shared.http.problems import Problem

SHELL = Path(__file__).parent / "templates"
_STATIC = Path(__file__).parent / "static"
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; font-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Cookie",
}


@dataclass(frozen=True, slots=True)
class Link:
    """A place in the head of every page."""

    href: str
    vi: str
    en: str


class Pages:
    """Renders a service's templates within the shell. A template begins `{% extends "shell/base.html" %}`.

    In templates: `t(key, …)` and `word(group, code)` say what `texts.toml` beside the templates has, in the page's
    language, and `two(vi, en)` the one of two; `state(name)`, `search(…)` and the other pieces are in
    `shell/parts.html`; `when(instant)`, `day(date)` and `number(n)` write as people do; `asset(name)` and
    `vendor(name)` are addresses of files in `static` beside the templates and of what lies in the shell's.
    `foot` is a sentence below every page and `banner` one above it, in Vietnamese and English.
    """

    def __init__(
        self,
        templates: Path,
        prefix: str,
        nav: Sequence[Link] = (),
        foot: tuple[str, str] | None = None,
        zone: str = "Asia/Ho_Chi_Minh",
        banner: tuple[str, str] | None = None,
    ) -> None:
        self.prefix = prefix
        self.banner = banner
        self._zone = ZoneInfo(zone)
        self.texts = Texts(SHELL, templates)
        # The shell's files have one address, whichever service answers: a phone fetches them once.
        self._shell_assets = Assets(_STATIC, "/static")
        self._assets = Assets(templates.parent / "static", f"{prefix}/static")
        shell = PrefixLoader({"shell": FileSystemLoader(SHELL)})
        self._environment = Environment(
            loader=ChoiceLoader([shell, FileSystemLoader(templates)]),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            nav=tuple(nav),
            foot=foot,
            banner=banner,
            language=_language,
            switch=_switch,
            t=self.texts.say,
            word=self.texts.word,
            asset=self._assets.url,
            vendor=self._shell_assets.url,
            when=self._when,
            day=self._day,
            clock=self._clock,
            number=number,
        )

    def add(self, **globals_: Any) -> None:
        """Give every template of this process something more to use."""
        self._environment.globals.update(globals_)

    def page(self, template: str, here: str = "", status: int = 200, **context: Any) -> HTMLResponse:
        """The page as an answer. `here` is its address in the nav. Raises UndefinedError for what was not given."""
        return HTMLResponse(self.text(template, here=here, **context), status, headers=_HEADERS)

    def text(self, template: str, **context: Any) -> str:
        """A template's text: a page, or a piece of one. Raises UndefinedError for what was not given."""
        # Product and places are words, so they are of the language of this request.
        return self._environment.get_template(template).render(product=self.texts.say("shell.product"), **context)

    def serve(self, app: FastAPI) -> None:
        """Serve the static files, the page of the API, and problems as pages to browsers, below the service's prefix.

        The app is made with `docs_url=None`: FastAPI's own page fetches its scripts from somebody else's server.
        """
        app.add_middleware(Languages)
        app.state.problem_page = self.problem_page

        @app.api_route("/static/{name:path}", methods=["GET", "HEAD"], include_in_schema=False)
        async def shell_file(request: Request) -> Response:
            return await self._shell_assets.serve(request)

        @app.api_route(f"{self.prefix}/static/{{name:path}}", methods=["GET", "HEAD"], include_in_schema=False)
        async def file(request: Request) -> Response:
            return await self._assets.serve(request)

        @app.get(f"{self.prefix}/about", include_in_schema=False)
        async def about() -> dict[str, str | None]:
            """What the pages say above everything else; None where they say nothing."""
            return {"banner": " | ".join(self.banner) if self.banner else None}

        @app.get(f"{self.prefix}/docs", include_in_schema=False)
        async def docs(_: Request) -> HTMLResponse:
            return self.page("shell/operations.html", title=app.title, openapi=app.openapi_url, operations=_listed(app))

    def problem_page(self, problem: Problem) -> HTMLResponse:
        """A refusal for a person: a sentence for the status, what to do, and the problem's own English."""
        kind = f"s{problem.status}" if f"problem.s{problem.status}" in self.texts.entries else "other"
        if kind == "other" and problem.status >= 500:
            kind = "failed"
        page = self.page("shell/problem.html", status=problem.status, problem=problem, kind=kind)
        page.headers.update(problem.headers)
        return page

    def _when(self, instant: datetime) -> Markup:
        local = self._local(instant)
        written = f"{local:%H:%M} {_day(local)}"
        return Markup('<time datetime="{}">{}</time>').format(local.isoformat(timespec="seconds"), written)

    def _clock(self, instant: datetime) -> Markup:
        local = self._local(instant)
        return Markup('<time datetime="{}">{:%H:%M:%S}</time>').format(local.isoformat(timespec="seconds"), local)

    def _day(self, value: date) -> Markup:
        day = self._local(value).date() if isinstance(value, datetime) else value
        return Markup('<time datetime="{}">{}</time>').format(day.isoformat(), _day(day))

    def _local(self, instant: datetime) -> datetime:
        if instant.tzinfo is None:
            raise ValueError("a time without an offset cannot be shown")
        return instant.astimezone(self._zone)


def two_languages(text: str) -> tuple[str, str]:
    """A sentence of the settings, "Vietnamese | English", in its two languages; the English may be missing."""
    vi, _, en = text.partition(" | ")
    return vi.strip(), en.strip()


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def _day(day: date) -> str:
    """04/05/2019 is the fourth of May in Vietnam and April the fifth elsewhere: in English the month has its name."""
    if asked().language == "en":
        return f"{day.day} {_MONTHS[day.month - 1]} {day.year}"
    return f"{day:%d/%m/%Y}"


def _language() -> Language:
    return asked().language


def _switch() -> list[tuple[Language, str]]:
    one = asked()
    return [(language, one.in_language(language)) for language in LANGUAGES]


def _listed(app: FastAPI) -> list[dict[str, Any]]:
    return [
        {
            "method": method.upper(),
            "path": path,
            "meaning": (operation.get("description") or operation.get("summary", "")).replace("``", ""),
            "parameters": [parameter["name"] for parameter in operation.get("parameters", [])],
        }
        for path, operations in app.openapi().get("paths", {}).items()
        for method, operation in operations.items()
    ]
