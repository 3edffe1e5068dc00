"""The shell of the pages."""

import json
import re
from datetime import UTC, date, datetime
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from jinja2 import UndefinedError
from starlette.responses import HTMLResponse

from shared.http import pages
from shared.http.body import CheckedBody
from shared.http.pages import Link, Pages
from shared.http.problems import RESPONSES, say_problems
from tests.http.asking import asking, problem_of
from tests.http.vectors import vector

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
DUE = datetime(2019, 5, 3, 18, 30, tzinfo=UTC)

NAV = (Link("/", "Trang đầu", "Home"), Link("/demo/dossiers", "Hồ sơ", "Dossiers"))
PAGES = Pages(Path(__file__).parent / "templates", "/demo", NAV, ("Dữ liệu thử nghiệm", "sample data"))


def a_row(name: str = "Đăng ký khai sinh", state: str = "in_time") -> SimpleNamespace:
    return SimpleNamespace(code="000.00.01.H41-190504-0001", name=name, due=DUE, state=state)


def a_page(**context: Any) -> HTMLResponse:
    given = {"here": "/demo/dossiers", "q": "", "dossiers": [a_row()]} | context
    return PAGES.page("dossiers.html", **given)


def an_app() -> FastAPI:
    app = FastAPI(title="demo", docs_url=None, openapi_url="/demo/openapi.json", responses=RESPONSES)

    @app.get("/demo/dossiers")
    async def dossiers(q: str = "") -> HTMLResponse:
        """What is in process."""
        states = ["in_time", "near", "overdue", "paused", "done"]
        return a_page(q=q, dossiers=[a_row(state=state) for state in states])

    @app.get("/demo/fails")
    async def fails() -> None:
        raise ZeroDivisionError

    say_problems(app)
    PAGES.serve(app)
    app.add_middleware(CheckedBody)
    return app


class Outline(HTMLParser):
    """The elements of a page, with the check that each is closed where it was opened."""

    void = frozenset({"meta", "link", "input", "br", "hr", "img"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.void:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def count(self, tag: str) -> int:
        return sum(each == tag for each, _ in self.seen)


def outline(response: HTMLResponse) -> Outline:
    return Outline(bytes(response.body).decode())


async def test_a_page_is_vietnamese_unless_english_is_asked_for_and_then_remembers_it() -> None:
    async with asking(an_app()) as client:
        first = await client.get("/demo/dossiers")
        english = await client.get("/demo/dossiers?q=x&lang=en")
        later = await client.get("/demo/dossiers", headers={"Cookie": "lang=en"})

    assert "set-cookie" not in first.headers
    assert ("html", {"lang": "vi"}) in Outline(first.text).seen
    assert Outline(first.text).count("h1") == 1
    assert Outline(first.text).count("script") == 0
    assert english.headers["set-cookie"].startswith("lang=en; Path=/")
    for page in (english, later):
        assert ("html", {"lang": "en"}) in Outline(page.text).seen
        assert "dossiers in process" in page.text
        assert "1,434" in page.text
        assert "4 May 2019" in page.text


def test_the_place_where_one_is_is_marked() -> None:
    page = outline(a_page())

    assert [attrs["href"] for tag, attrs in page.seen if tag == "a" and "aria-current" in attrs] == ["/demo/dossiers"]


def test_times_are_written_as_people_there_write_them() -> None:
    page = outline(a_page())

    assert "01:30 04/05/2019" in page.text
    assert ("time", {"datetime": "2019-05-04T01:30:00+07:00"}) in page.seen
    assert "Tiếp nhận, 04/05/2019" in page.text
    assert "1.434" in page.text


def test_a_day_is_a_day_and_a_time_without_an_offset_is_no_time() -> None:
    row = a_row()
    row.due = date(2019, 5, 4)
    with pytest.raises(AttributeError):
        a_page(dossiers=[row])

    row.due = DUE.replace(tzinfo=None)
    with pytest.raises(ValueError, match="offset"):
        a_page(dossiers=[row])


def test_what_a_template_asks_for_must_be_given() -> None:
    with pytest.raises(UndefinedError):
        PAGES.page("dossiers.html", q="")


def test_no_text_breaks_out_of_its_place() -> None:
    naughty = [*json.loads(vector("naughty-strings.json").read_bytes()), '"><script>alert(1)</script>', "{{ 7 * 7 }}"]
    plain = outline(a_page(dossiers=[a_row("")]))

    for text in naughty:
        page = outline(a_page(q=text, dossiers=[a_row(text)]))
        assert [tag for tag, _ in page.seen] == [tag for tag, _ in plain.seen]
        shown = next(attrs["value"] for tag, attrs in page.seen if attrs.get("name") == "q")
        assert (shown or "").replace("\r\n", "\n") == text.replace("\r\n", "\n")


async def test_a_browser_gets_a_page_for_what_is_not_there_and_a_program_a_problem() -> None:
    async with asking(an_app()) as client:
        page = await client.get("/demo/nowhere", headers=BROWSER)
        problem = await client.get("/demo/nowhere")

    assert page.status_code == 404
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "Không tìm thấy" in page.text
    assert problem_of(problem)["status"] == 404


@pytest.mark.parametrize(("path", "status"), [("/demo/dossiers?q=%00", 400), ("/demo/fails", 500)])
async def test_a_browser_is_told_of_any_failure_in_vietnamese(path: str, status: int) -> None:
    async with asking(an_app()) as client:
        page = await client.get(path, headers=BROWSER)

    assert page.status_code == status
    assert Outline(page.text).count("h1") == 1


async def test_a_page_fetches_nothing_from_elsewhere() -> None:
    async with asking(an_app()) as client:
        page = await client.get("/demo/dossiers", headers=BROWSER)
        docs = await client.get("/demo/docs", headers=BROWSER)
        (style,) = [attrs["href"] for tag, attrs in Outline(page.text).seen if attrs.get("rel") == "stylesheet"]
        sheet = await client.get(str(style))
        old = await client.get(str(style).partition("?")[0])
        same = await client.get(str(style), headers={"If-None-Match": sheet.headers["ETag"]})
        fonts = [await client.get(f"/static/{each}") for each in re.findall(r'url\("([^"]+)"\)', sheet.text)]
        nothing = await client.get("/static/../pages.py")

    assert "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert page.headers["Cache-Control"] == "no-store"
    assert sheet.status_code == 200
    assert not re.search(r"https?://|@import|url\((?!\"vendor/)", page.text + docs.text + sheet.text)
    assert "immutable" in sheet.headers["Cache-Control"]
    assert sheet.headers["Content-Encoding"] == "gzip"
    assert old.headers["Cache-Control"] == "no-cache"
    assert (same.status_code, same.content) == (304, b"")
    assert [font.headers["Content-Type"] for font in fonts] == ["font/woff2", "font/woff2"]
    assert all("immutable" in font.headers["Cache-Control"] for font in fonts)
    assert nothing.status_code == 404


@pytest.mark.parametrize("letter", "ằẵộữỹĐđơƯ0123456789₫")
def test_the_font_has_every_vietnamese_letter(letter: str) -> None:
    """At every weight: there is one variable font, whose letters are the same at all of them."""
    css = (Path(pages.__file__).parent / "static" / "style.css").read_text(encoding="utf-8")
    named = [each for found in re.findall(r"unicode-range: ([^;]+);", css) for each in found.split(", ")]
    ranges = [each.replace("U+", "").split("-") for each in named]

    assert any(int(each[0], 16) <= ord(letter) <= int(each[-1], 16) for each in ranges)


async def test_the_api_is_described_for_people() -> None:
    async with asking(an_app()) as client:
        docs = Outline((await client.get("/demo/docs")).text)

    assert "/demo/dossiers" in docs.text
    assert "What is in process." in docs.text
