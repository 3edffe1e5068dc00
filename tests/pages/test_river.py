"""The live river: what it shows, how it moves, and that its figures lead to what they count."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from services.reporting import handlers
from services.reporting.rules.counting import figures_of
from shared.bus import hear_batch
from shared.events import DeadlinePassed, Scope
from shared.http.language import number
from tests.pages.conftest import DESK, NARROWEST, PHONE, SCREENSHOTS, TABLET, PageAt, figure, fits, save
from tests.pages.test_reporting import Shown, reporting
from tests.telling import COMMUNE, Story, records_of

__all__ = ["reporting"]

WIDTHS = [DESK, TABLET, PHONE, NARROWEST]
RIVER = "/reporting/river"
PAGES = {
    "river": RIVER,
    "now": "/reporting/?still=true",
    "dossiers": "/reporting/dossiers/page?standing=open",
    "lookup": "/reporting/lookup?code=000.01.99.H41-190506-0006",
    "lookup-nothing": "/reporting/lookup?code=000.01.99.H41-000000-0000",
    "no-unit": "/reporting/dossiers/page?unit=000.77.99.H41",
    "style": "/reporting/style",
    "docs": "/reporting/docs",
}
UNKNOWN = [PAGES["lookup-nothing"], PAGES["no-unit"], "/reporting/dossiers/nothing", "/reporting/nowhere"]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("language", ["vi", "en"])
async def test_every_page_fits_at_every_width_in_both_languages_without_javascript(
    page_at: PageAt, reporting: Shown, width: int, language: str
) -> None:
    page = await page_at(width, scripts=False, may_complain=True)
    for name, path in PAGES.items():
        await page.goto(f"{reporting.url}{path}{'&' if '?' in path else '?'}lang={language}")
        await save(page, f"reporting-{name}-{width}-{language}")

        assert await fits(page), name
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await expect(page.get_by_role("heading", level=1)).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_on_a_page_keeps_anybody_from_using_it(page_at: PageAt, reporting: Shown, scheme: str) -> None:
    page = await page_at(DESK, may_complain=True)
    await page.emulate_media(color_scheme="dark" if scheme == "dark" else "light", reduced_motion="reduce")
    for name, path in PAGES.items():
        await page.goto(f"{reporting.url}{path}")
        found = await Axe().run(page)

        bad = [
            (name, each["id"], [node["html"][:120] for node in each["nodes"]][:3])
            for each in found.response["violations"]
            if each["impact"] in {"serious", "critical"}
        ]
        assert bad == []


async def test_every_figure_of_the_river_leads_to_as_many_dossiers(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, scripts=False)
    await page.goto(f"{reporting.url}{RIVER}?lang=vi")
    figures: list[tuple[str, str]] = await page.eval_on_selector_all(
        "a[href^='/reporting/dossiers/page']",
        "links => links.map(link => [link.textContent, link.getAttribute('href')])",
    )
    assert len(figures) > 100

    async with httpx.AsyncClient(base_url=reporting.url, headers={"Accept-Language": "vi"}) as client:
        for text, address in figures:
            if text[0].isdigit():
                listed = (await client.get(address)).text
                found = re.search(r'role="status">([\d.]+) hồ sơ', listed)
                assert found, address
                assert found[1] == text, address


async def test_what_is_heard_moves_on_the_open_page(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, may_complain=True)
    await page.goto(f"{reporting.url}{RIVER}")
    await expect(page.get_by_text("Trực tiếp")).to_be_visible()
    await page.evaluate("window.stayed = true")
    late = page.locator(f'[data-figure="unit/{COMMUNE}/commune_desk/late"]')
    before = await figure(late)

    story = Story()
    story.starts(because=story.received(901))
    story.say(DeadlinePassed(scope=Scope.STAGE, run=1, generation=1, unit=COMMUNE, due=story.now))
    async with reporting.database.transaction() as tx:
        await hear_batch(tx, handlers.hearer(), records_of(story.said))

    await expect(late).to_have_text(number(before + 1))
    await expect(page.locator("#latest li").filter(has_text="Quá hạn của bước xử lý").first).to_be_visible()
    await expect(page.locator(f'#latest a[href="/reporting/dossiers/{story.subject}"]')).to_have_count(3)
    assert await page.evaluate("window.stayed")
    await save(page, "reporting-river-moved")


async def test_every_figure_that_moves_has_its_place_on_the_page(page_at: PageAt, reporting: Shown) -> None:
    """A page that is told of a figure which it does not have takes it for a new unit's, and loads itself anew."""
    story = Story(now=datetime.now(UTC) - timedelta(hours=3))  # three events later it is now: it ends today
    story.starts(because=story.received(902))
    story.finishes(run=1)
    async with reporting.database.transaction() as tx:
        await hear_batch(tx, handlers.hearer(), records_of(story.said))
    page = await page_at(DESK, scripts=False)
    await page.goto(f"{reporting.url}{RIVER}")

    shown = await page.eval_on_selector_all("[data-figure]", "all => all.map(one => one.dataset.figure)")

    picture = (await handlers.glance(reporting.database, 0, 1)).picture
    assert picture.total.done_today > 0
    assert figures_of(picture).keys() - {"broken"} <= set(shown)


async def test_charts_are_drawn_and_their_tables_say_the_same(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, may_complain=True)
    await page.goto(f"{reporting.url}{RIVER}")

    await expect(page.locator("#hour canvas")).to_be_visible()
    await page.get_by_text("Bảng: sự kiện mỗi 10 phút").click()
    await expect(page.locator("#hour-table tr")).to_have_count(6)


async def test_the_river_stands_still_for_who_has_no_javascript_and_asks_again(
    page_at: PageAt, reporting: Shown
) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{reporting.url}{RIVER}")
    await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1)
    await page.get_by_role("link", name="dừng").click()
    await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)


@pytest.mark.parametrize("path", UNKNOWN)
@pytest.mark.parametrize(("language", "word"), [("vi", "Không"), ("en", "no")])
async def test_what_is_unknown_is_met_with_what_to_do_in_both_languages(
    page_at: PageAt, reporting: Shown, path: str, language: str, word: str
) -> None:
    page = await page_at(PHONE, scripts=False, may_complain=True)
    answer = await page.goto(f"{reporting.url}{path}{'&' if '?' in path else '?'}lang={language}")

    assert answer is not None
    assert answer.status == 404
    await expect(page.locator("main")).to_contain_text(re.compile(word, re.IGNORECASE))


async def test_a_citizen_finds_the_dossier_by_its_printed_code_and_no_officer(
    page_at: PageAt, reporting: Shown
) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{reporting.url}/reporting/lookup")
    await page.get_by_label("Mã hồ sơ").fill(" 000.01.99.h41-190506-0003 ")
    await page.get_by_role("button", name="Tra cứu").click()

    await expect(page.get_by_role("heading", level=2)).to_have_text("Đăng ký khai sinh")
    await expect(page.locator("article")).to_contain_text("Quá hạn")
    assert "officer-" not in await page.content()


async def test_the_language_is_kept_once_it_was_chosen(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{reporting.url}/reporting/dossiers/page?standing=late")
    await page.get_by_role("link", name="EN English").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Dossiers")
    await expect(page.get_by_role("status")).to_contain_text("dossiers")
    await page.goto(f"{reporting.url}{RIVER}")

    await expect(page.get_by_role("heading", level=1)).to_have_text("The river of dossiers")


async def test_the_river_prints(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, may_complain=True)
    await page.goto(f"{reporting.url}{RIVER}?still=true")
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)

    paper = await page.pdf(path=SCREENSHOTS / "reporting-river.pdf", format="A4")

    assert paper.startswith(b"%PDF")
    await page.emulate_media(media="print")
    await expect(page.locator(".pulse")).to_be_hidden()
    await expect(page.locator(".units")).to_be_visible()
