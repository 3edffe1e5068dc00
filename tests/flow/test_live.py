"""A dossier that is handed over moves on a page that is open, over real Kafka, through the front door."""

from __future__ import annotations

from functools import partial

from playwright.async_api import expect

from shared.http.language import number
from tests.flow.river import TOWN, WARD, WARD_DESK, River
from tests.pages.conftest import DESK, PageAt, browser, figure, page_at
from tests.processes import until

__all__ = ["browser", "page_at"]


async def _is_at(river: River, code: str, status: int) -> bool:
    return bool((await river.look_up(code))["status"] == status)


async def test_a_hand_over_moves_on_the_open_page_and_again_after_reporting_was_killed(
    river: River, page_at: PageAt
) -> None:
    page = await page_at(DESK, may_complain=True)
    receipt = await river.receive()
    await until(partial(_is_at, river, receipt["code"], 4), "routing has it")
    await river.settled()
    await page.goto(river.url("door", "/reporting/river"))
    await expect(page.locator("#live")).to_have_text("Trực tiếp", timeout=60_000)
    await page.evaluate("window.stayed = true")
    desk = page.locator(f'[data-figure="unit/{WARD}/commune_desk/open"]')
    officer = page.locator(f'[data-figure="unit/{WARD}/commune_officer/open"]')
    town = page.locator(f'[data-figure="unit/{TOWN}/town_desk/open"]')
    at_desk, at_officer, at_town = [await figure(each) for each in (desk, officer, town)]

    await river.act(receipt["id"], {"kind": "hand_over"}, WARD_DESK)

    await expect(desk).to_have_text(number(at_desk - 1), timeout=60_000)
    await expect(officer).to_have_text(number(at_officer + 1), timeout=60_000)

    await river.kill("reporting")
    await expect(page.locator("#live")).to_have_text("Mất kết nối, đang thử lại", timeout=60_000)
    await river.act(receipt["id"], {"kind": "hand_over"}, WARD_DESK)
    await river.start("reporting")

    await expect(town).to_have_text(number(at_town + 1), timeout=60_000)
    await expect(page.locator("#live")).to_have_text("Trực tiếp", timeout=60_000)
    assert await page.evaluate("window.stayed")
