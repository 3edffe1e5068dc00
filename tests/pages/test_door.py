"""The front page, and what a person sees who comes to a service that is away."""

import re

import pytest
from playwright.async_api import expect

from tests.door.conftest import a_door
from tests.pages.conftest import DESK, NARROWEST, PHONE, PageAt, fits, save


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_the_front_page_is_readable(page_at: PageAt, width: int) -> None:
    async with a_door() as door:
        await door.behind["notification"].stop()
        page = await page_at(width)
        await page.goto(door.url)
        await save(page, f"front-{width}")

        assert await fits(page)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Một cửa liên thông")
        await expect(page.get_by_role("link", name="Tra cứu thủ tục hành chính")).to_be_visible()
        await expect(page.locator(".services").get_by_text("không trả lời")).to_have_count(1)


@pytest.mark.parametrize(
    ("started_by", "says", "never"),
    [
        ("launcher", "lienthong down", "docker"),
        ("compose", "docker compose down", "lienthong down"),
        ("", "list", "down"),
    ],
)
async def test_the_front_page_names_the_commands_of_what_started_it(started_by: str, says: str, never: str) -> None:
    async with a_door(DOOR_STARTED_BY=started_by) as door, door.client() as client:
        page = (await client.get("/")).text
    commands = " ".join(re.findall(r"<dt><code>(.*?)</code>", page))

    assert says in commands
    assert never not in commands


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_a_service_that_is_away_is_said_to_people(page_at: PageAt, width: int) -> None:
    async with a_door() as door:
        await door.behind["reporting"].stop()
        page = await page_at(width, may_complain=True)
        await page.goto(f"{door.url}/reporting/")
        await save(page, f"away-{width}")

        assert await fits(page)
        await expect(page.get_by_role("heading", level=1)).to_contain_text("Hệ thống đang bận")
