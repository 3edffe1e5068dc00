"""`make screenshots`: pictures of the product that runs, for README and the documents, in docs/pictures.

The product must be a sample: what a town's own shows are people's affairs.
"""

from __future__ import annotations

import asyncio
import io
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from deploy import chromium
from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import REPOSITORY

FOLDER: Final = REPOSITORY / "docs" / "pictures"
LARGEST_BYTES: Final = 600_000
"""All of them together: they stay in the repository's history for ever."""

_COLOURS: Final = 256
_OPERATOR: Final = {"X-Dev-Actor": "id=pictures; roles=operator"}
_START: Final = "start it with `make up`, then run this again."


@dataclass(frozen=True, slots=True)
class Picture:
    """A page as it is seen first, at a width and height in CSS pixels. `shows`: what must be there before it is taken.

    {stream} in the path is a dossier that has a journey.
    """

    name: str
    path: str
    shows: str
    width: int = 1280
    height: int = 860


PICTURES: Final = (
    Picture("home", "/", ".totals", height=900),
    Picture("home-phone", "/", ".totals", 360, 740),
    Picture("river", "/reporting/river", ".is-live #hour canvas", height=1100),
    Picture("operations", "/operations/", "table.services", height=760),
    Picture("journey", "/traces/?q={stream}", "table.waterfall", height=1300),
    Picture("procedures", "/intake/procedures/page?q=khai+sinh", "table.stacks", height=760),
)


async def take(door: str) -> dict[str, bytes]:
    """Every picture as a PNG, by its name, from the product whose front door is at ``door``.

    Raises LaunchError with one sentence.
    """
    stream = await _stream(door)
    executable = chromium.found()
    if executable is None:
        raise LaunchError("There is no Chromium: `make screenshots` installs it where it can, CHROMIUM names one.")
    async with _browser(executable) as browser:
        return {one.name: smaller(await _seen(browser, door, one, stream)) for one in PICTURES}


def smaller(png: bytes) -> bytes:
    """The same picture with a palette: a page has few colours, and a third of the bytes is left."""
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(_COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        kept = io.BytesIO()
        few.save(kept, "PNG", optimize=True)
    return kept.getvalue()


async def _stream(door: str) -> str:
    """The dossier of the sample that has the most commands among the newest."""
    async with httpx.AsyncClient(base_url=door, trust_env=False, timeout=30) as client:
        try:
            about = await client.get("/intake/about")
            traces = await client.get("/telemetry/traces?count=200", headers=_OPERATOR)
        except httpx.HTTPError as error:
            raise LaunchError(f"Nothing answers at {door}: {_START}") from error
    if not about.is_success or not traces.is_success:
        raise LaunchError(f"The product at {door} is not ready: wait until `lienthong status` says so; else {_START}")
    if not about.json()["banner"]:
        raise LaunchError(f"What runs at {door} is no sample town: nothing of real dossiers may be in a picture.")
    streams = Counter(one["stream"] for one in traces.json()["traces"] if ":" not in (one["stream"] or ":"))
    if not streams:
        raise LaunchError("No dossier has left a trace: hand some in with `lienthong simulate --rate 2/s --for 1m`.")
    return str(max(streams, key=lambda stream: streams[stream]))


@asynccontextmanager
async def _browser(executable: str) -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            await browser.close()


async def _seen(browser: Browser, door: str, picture: Picture, stream: str) -> bytes:
    context = await browser.new_context(
        viewport={"width": picture.width, "height": picture.height},
        locale="vi-VN",
        timezone_id="Asia/Ho_Chi_Minh",
        color_scheme="light",
        reduced_motion="reduce",
        is_mobile=picture.width < 800,
    )
    try:
        page: Page = await context.new_page()
        answer = await page.goto(door + picture.path.format(stream=stream))
        if answer is None or not answer.ok:
            raise LaunchError(f"{door}{picture.path} answers {answer.status if answer else 'nothing'}: see the page.")
        await page.locator(picture.shows).first.wait_for()
        await page.evaluate("document.fonts.ready")
        return await page.screenshot()
    finally:
        await context.close()


def main() -> int:
    """0 when all were taken, 1 with a sentence about what stands in the way."""
    try:
        taken = asyncio.run(take(state.where_it_runs(os.environ).url("door")))
    except LaunchError as error:
        return _say(str(error))
    whole = sum(map(len, taken.values()))
    if whole > LARGEST_BYTES:
        return _say(f"They have {whole / 1000:.0f} kB in all, more than {LARGEST_BYTES / 1000:.0f} kB: none was kept.")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, png in taken.items():
        path = FOLDER / f"{name}.png"
        path.write_bytes(png)
        sys.stdout.write(f"✓ {path.relative_to(REPOSITORY)}  {len(png) / 1000:.0f} kB\n")
    return 0


def _say(text: str) -> int:
    sys.stderr.write(f"✗ {text}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
