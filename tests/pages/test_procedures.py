"""The public search of procedures, and the catalogue that `lienthong catalogue import` puts behind it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import expect
from typer.testing import CliRunner, Result

from deploy.cli import build
from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from deploy.sample.says import BANNER_VI, SETTINGS
from shared.seal import make_keys
from tests.catalogues import PROCEDURES, a_file, a_row, needs_the_procedures
from tests.pages.conftest import DESK, NARROWEST, PHONE, PageAt, fits, save
from tests.processes import free_port, running
from tests.stores import databases

WIDTHS = [DESK, PHONE, NARROWEST]
BY_CHANNEL = {"term_counter_unit": "calendar_day", "term_online": "20", "term_online_unit": "working_day"}


def the_file() -> bytes:
    """Some forty procedures, of which one has its own term online and one has a bare number only."""
    weddings = a_row("1.000593")
    building = a_row("1.013225", name="Cấp giấy phép xây dựng mới", sector="Hoạt động xây dựng", **BY_CHANNEL)
    left = a_row("1.000656", name="Thủ tục đăng ký khai tử", term_counter_unit="")
    others = [a_row(f"9.0000{n}", name=f"Thủ tục thử số {n}", sector="Thử") for n in range(10, 48)]
    return a_file(weddings, building, left, *others)


async def lienthong(*arguments: str) -> Result:
    """The command as somebody types it; in a thread, because it has a loop of its own."""
    return await asyncio.to_thread(CliRunner().invoke, build(), list(arguments), env={"COLUMNS": "200"})


@pytest.fixture(scope="module")
async def intake(servers: Servers, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """Intake's process without a broker, with a catalogue that was imported; its address."""
    assert servers.kafka
    folder: Path = tmp_path_factory.mktemp("procedures")
    make_keys(folder / "keys")
    (folder / "procedures.csv").write_bytes(the_file())
    async with databases(layout, "_procedures") as made:
        port = free_port()
        environment = {
            "DATABASE_URL_INTAKE": made.login["intake"],
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
            "HTTP_PORT": str(port),
            "SEAL_KEYS": str(folder / "keys"),
            "ERASURE_REGISTER": str(folder / "erasures" / "register.jsonl"),
            "DEV_ACTOR": "true",
            **SETTINGS,
        }
        async with running("services.intake", environment, port):
            url = f"http://127.0.0.1:{port}"
            imported = await lienthong("catalogue", "import", str(folder / "procedures.csv"), "--url", url)
            assert imported.exit_code == 0, imported.output
            yield url


@pytest.mark.parametrize("width", WIDTHS)
async def test_procedures_can_be_read_at_any_width(page_at: PageAt, intake: str, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{intake}/intake/procedures/page")
    await save(page, f"procedures-{width}")

    assert await fits(page)
    await expect(page.get_by_role("status")).to_contain_text("40 thủ tục")
    await expect(page.locator("tbody tr")).to_have_count(30)
    await page.get_by_role("link", name="Trang sau").click()
    await expect(page.locator("tbody tr")).to_have_count(10)
    await expect(page.get_by_role("link", name="Trang sau")).to_have_count(0)


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_the_page_says_that_it_is_a_sample_and_how_much_of_the_town_s_figure_is_there(
    page_at: PageAt, intake: str, width: int
) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{intake}/intake/procedures/page")

    assert await fits(page)
    await expect(page.get_by_text(BANNER_VI)).to_be_visible()
    await expect(page.get_by_text("/ 378 thủ tục đã nạp")).to_be_visible()
    await expect(page.get_by_text("do chính thị xã công bố")).to_be_visible()


@pytest.mark.parametrize("typed", ["luu dong", "Lưu Động", "KẾT HÔN LƯU ĐỘNG", "dang ky ket hon", "1.000593"])
async def test_a_search_finds_with_and_without_tone_marks_and_case(page_at: PageAt, intake: str, typed: str) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{intake}/intake/procedures/page")
    await page.get_by_role("searchbox").fill(typed)
    await page.get_by_role("button", name="Tìm").click()

    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.get_by_text("Thủ tục đăng ký kết hôn lưu động")).to_be_visible()


async def test_channels_with_terms_of_their_own_are_told_apart(page_at: PageAt, intake: str) -> None:
    page = await page_at(DESK, scripts=False)
    await page.goto(f"{intake}/intake/procedures/page?q=giay+phep+xay+dung")
    await save(page, "procedures-by-channel")

    await expect(page.locator("tbody tr")).to_contain_text("tại bàn: 5 ngày")
    await expect(page.locator("tbody tr")).to_contain_text("trực tuyến: 20 ngày làm việc")


async def test_nothing_found_says_what_to_try(page_at: PageAt, intake: str) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{intake}/intake/procedures/page?q=khong+co+gi&sector=Thử")

    await expect(page.get_by_text("Hãy thử ít từ hơn")).to_be_visible()


async def test_a_second_import_changes_nothing_and_says_so(intake: str, tmp_path: Path) -> None:
    path, report = tmp_path / "procedures.csv", tmp_path / "left.csv"
    path.write_bytes(the_file())

    again = await lienthong("catalogue", "import", str(path), "--url", intake, "--report", str(report))

    assert again.exit_code == 0
    assert "Nothing changed" in again.output
    assert report.read_text(encoding="utf-8").split() == [
        "line,code,reason",
        "4,1.000656,a",
        "number",
        "without",
        "a",
        "unit",
    ]


async def test_a_text_that_intake_refuses_is_told_by_its_line(intake: str, tmp_path: Path) -> None:
    path = tmp_path / "bell.csv"
    path.write_bytes(a_file(a_row("8.000001"), a_row("8.000002", name="Chuông \x07")))

    refused = await lienthong("catalogue", "import", str(path), "--url", intake)

    assert refused.exit_code == 1
    assert "bell.csv, line 3 (8.000002/name)" in refused.output
    async with httpx.AsyncClient() as client:
        assert (await client.get(f"{intake}/intake/procedures?q=8.00000")).json()["total"] == 0


async def test_where_nothing_answers_the_command_says_how_to_start_it(tmp_path: Path) -> None:
    path = tmp_path / "procedures.csv"
    path.write_bytes(the_file())

    told = await lienthong("catalogue", "import", str(path), "--url", f"http://127.0.0.1:{free_port()}")

    assert told.exit_code == 1
    assert "start it with `lienthong up`" in told.output


@needs_the_procedures
async def test_the_real_catalogue_is_imported_once(intake: str) -> None:
    first = await lienthong("catalogue", "import", os.fspath(PROCEDURES), "--url", intake)
    second = await lienthong("catalogue", "import", os.fspath(PROCEDURES), "--url", intake)

    assert (first.exit_code, second.exit_code) == (0, 0)
    assert "Nothing changed" not in first.output
    assert "Nothing changed" in second.output
    async with httpx.AsyncClient() as client:
        found = (await client.get(f"{intake}/intake/procedures?q=luu dong&count=200")).json()
    assert "Thủ tục đăng ký kết hôn lưu động" in [one["name"] for one in found["procedures"]]
