"""Which language a page speaks, and that every text is there in both."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest
from starlette.types import Scope

from shared.http.language import Language, Texts, accepted, answering, asked_of
from shared.http.pages import SHELL

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDERS = [SHELL, *sorted(path.parent for path in REPOSITORY.glob("services/*/templates/texts.toml"))]
FOLDERS += sorted(path.parent for path in REPOSITORY.glob("deploy/*/templates/texts.toml"))


def a_request(query: str = "", **headers: str) -> Scope:
    return {
        "type": "http",
        "path": "/demo",
        "query_string": query.encode(),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "vi"),
        ("en", "en"),
        ("en-GB,en;q=0.9", "en"),
        ("vi-VN,vi;q=0.9,en;q=0.8", "vi"),
        ("en;q=0.5,vi;q=0.6", "vi"),
        ("fr,en;q=0.1", "en"),
        ("en,vi", "vi"),
        ("en;q=nonsense", "vi"),
        ("*", "vi"),
    ],
)
def test_the_better_liked_language_is_spoken_and_vietnamese_when_in_doubt(header: str, language: Language) -> None:
    assert accepted(header) == language


def test_the_address_goes_before_the_cookie_and_the_cookie_before_the_browser() -> None:
    assert asked_of(a_request("lang=vi", cookie="lang=en", accept_language="en")).language == "vi"
    assert asked_of(a_request(cookie="lang=en", accept_language="vi")).language == "en"
    assert asked_of(a_request("lang=fr", cookie="lang=xx", accept_language="en")).language == "en"


def test_the_switch_keeps_what_was_asked_for() -> None:
    one = asked_of(a_request("q=%C4%91%E1%BA%A5t&lang=en&unit="))

    assert one.in_language("vi") == "/demo?q=%C4%91%E1%BA%A5t&unit=&lang=vi"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(REPOSITORY)))
def test_every_text_is_there_in_both_languages_and_is_filled_with_the_same(folder: Path) -> None:
    for key, entry in Texts(folder).entries.items():
        assert set(entry) - {"en_one"} == {"vi", "en"}, key
        assert all(entry.values()), key
        filled = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in entry.values()]
        assert all(each == filled[0] for each in filled), key


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(REPOSITORY)))
def test_every_text_that_a_template_says_is_there(folder: Path) -> None:
    texts = Texts(SHELL, folder).entries
    said = {
        key
        for path in folder.glob("*.html")
        for key in re.findall(r'\bt\("([\w.-]+[\w])"[,)]', path.read_text(encoding="utf-8"))
    }

    assert said
    assert said - set(texts) == set()


def test_one_thing_is_said_as_one_thing_and_what_is_filled_in_breaks_out_of_nothing() -> None:
    texts = Texts(SHELL, REPOSITORY / "services" / "reporting" / "templates")
    with answering(asked_of(a_request("lang=en"))):
        assert texts.say("list.count", n=1) == "1 dossier"
        assert texts.say("list.count", n=1434) == "1,434 dossiers"
        assert texts.say("list.no_unit_do", unit="<b>").startswith("No unit has the code &lt;b&gt;")
    assert texts.say("list.count", n=1434) == "1.434 hồ sơ"
    assert texts.word("stage", "<a stage of a record>") == "&lt;a stage of a record&gt;"
