"""The documents as a site: every page has its place, every link leads somewhere, nothing is fetched from elsewhere."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from deploy.site.__main__ import build
from deploy.site.pages import PageError, navigation
from tests.architecture.tree import REPOSITORY

_DOCS = REPOSITORY / "docs"
_FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=\"?(https?:)?//", re.IGNORECASE)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of this checkout, built."""
    return build(_DOCS, tmp_path_factory.mktemp("var"))


@pytest.fixture
def docs(tmp_path: Path) -> Path:
    """A copy of the documents, to be spoilt."""
    return Path(shutil.copytree(_DOCS, tmp_path / "docs"))


def _pages(entries: object) -> list[str]:
    if isinstance(entries, str):
        return [entries]
    inside = entries.values() if isinstance(entries, dict) else entries if isinstance(entries, list) else []
    return [page for entry in inside for page in _pages(entry)]


def test_every_page_has_one_place() -> None:
    placed = _pages(navigation(_DOCS))

    assert sorted(placed) == sorted(path.relative_to(_DOCS).as_posix() for path in _DOCS.rglob("*.md"))
    assert placed[0] == "index.md"


def test_a_page_that_nobody_placed_stands_among_what_is_looked_up(docs: Path) -> None:
    (docs / "new-page.md").write_text("# A new page\n", encoding="utf-8")

    look_up = next(entry["Look up"] for entry in navigation(docs) if "Look up" in entry)

    assert {"A new page": "new-page.md"} in look_up


def test_the_site_is_built_and_begins_in_vietnamese(site: Path) -> None:
    landing = (site / "index.html").read_text(encoding="utf-8")

    assert "Một cửa liên thông" in landing
    assert 'lang="vi"' in landing
    assert (site / "contracts" / "events" / "index.html").is_file()
    assert (site / "contracts" / "asyncapi.json").read_bytes() == (_DOCS / "contracts" / "asyncapi.json").read_bytes()


def test_the_site_fetches_nothing_from_elsewhere(site: Path) -> None:
    guilty = [
        path.relative_to(site).as_posix()
        for path in site.rglob("*.html")
        if _FETCHED.search(path.read_text(encoding="utf-8"))
    ]

    assert guilty == []


@pytest.mark.parametrize("link", ["nowhere.md", "glossary.md#no-such-heading"])
def test_a_link_that_leads_nowhere_stops_the_build(docs: Path, tmp_path: Path, link: str) -> None:
    with (docs / "run.md").open("a", encoding="utf-8") as page:
        page.write(f"\nSee [there]({link}).\n")

    with pytest.raises(PageError, match=r"run\.md"):
        build(docs, tmp_path / "var")


def test_a_page_without_a_heading_is_named(docs: Path) -> None:
    (docs / "nameless.md").write_text("Words.\n", encoding="utf-8")

    with pytest.raises(PageError, match=r"nameless\.md has no heading: begin it with '# …'"):
        navigation(docs)


def test_a_site_without_a_landing_page_is_refused(docs: Path) -> None:
    (docs / "index.md").unlink()

    with pytest.raises(PageError, match="the site needs a page to begin with"):
        navigation(docs)
