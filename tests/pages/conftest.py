"""A real browser, headless, at the widths of a desk and of a telephone."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, async_playwright

from deploy import chromium

SCREENSHOTS = Path(__file__).resolve().parents[2] / "var" / "screenshots"
DESK = 1280
TABLET = 768
PHONE = 360
NARROWEST = 320

PageAt = Callable[..., Awaitable[Page]]


@pytest.fixture(scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium. Without it these tests are skipped, save in CI, which installs it."""
    executable = chromium.found()
    if executable is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no chromium on the PATH: apt-get install chromium fonts-noto-core")
        pytest.skip("no chromium on the PATH: apt-get install chromium fonts-noto-core")
    async with async_playwright() as playwright:
        one = await playwright.chromium.launch(
            executable_path=executable,
            args=[
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-background-networking",
                "--disable-component-update",
                "--disable-sync",
            ],
        )
        yield one
        await one.close()


@pytest.fixture
async def page_at(browser: Browser) -> AsyncIterator[PageAt]:
    """`await page_at(360)`: an empty page of that width in CSS pixels, in a browser that knows nothing yet.

    `scripts=False` switches JavaScript off. What the browser complains of in its console (a policy that forbids what
    the page wants, a file that is not there) fails the test at its end, unless it says `may_complain=True`.
    """
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def page(width: int, *, scripts: bool = True, may_complain: bool = False) -> Page:
        context = await browser.new_context(
            viewport={"width": width, "height": 800 if width >= 800 else 740},
            device_scale_factor=1 if width >= 800 else 2,
            is_mobile=width < 800,
            has_touch=width < 800,
            java_script_enabled=scripts,
            locale="vi-VN",
            timezone_id="Asia/Ho_Chi_Minh",
        )
        contexts.append(context)
        one = await context.new_page()

        def listen(message: ConsoleMessage) -> None:
            if message.type in {"error", "warning"} and not may_complain:
                complaints.append(f"{one.url}: {message.text}")

        one.on("console", listen)
        return one

    yield page
    for context in contexts:
        await context.close()
    assert complaints == []


async def save(page: Page, name: str) -> Path:
    """The whole page as a picture in var/screenshots, for people to look at."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    path = SCREENSHOTS / f"{name}.png"
    await page.screenshot(path=path, full_page=True)
    return path


async def figure(shown: Locator) -> int:
    """A number on a Vietnamese page: 1.434 is 1434."""
    return int((await shown.inner_text()).replace(".", ""))


async def fits(page: Page) -> bool:
    """Whether nobody has to scroll sideways, and nothing sticks out to the right."""
    return bool(
        await page.evaluate(
            """() => {
                const width = document.documentElement.clientWidth;
                const visible = element => element.checkVisibility() && element.getBoundingClientRect().left > -999;
                const scrolls = element => element.closest('.scroll') !== null;
                return document.documentElement.scrollWidth <= width
                    && [...document.body.querySelectorAll('*')].every(element =>
                        !visible(element) || scrolls(element) || element.getBoundingClientRect().right <= width + 1);
            }"""
        )
    )


async def is_accessible(page: Page) -> None:
    """Fails with what axe-core finds serious or critical on a page, and where."""
    found = (await Axe().run(page)).response["violations"]
    assert [
        (one["id"], [node["html"][:160] for node in one["nodes"]][:3])
        for one in found
        if one["impact"] in {"serious", "critical"}
    ] == []
