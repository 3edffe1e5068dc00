"""Reporting's pages as people see them: what is where, the dossiers behind a figure, a dossier's timeline."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import Page, expect

from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from services.reporting import handlers
from shared.bus import hear_batch
from shared.envelope import Heard
from shared.events import FeeRequested, UnitPublished
from shared.store import Database
from tests.handlers.test_reporting import a_day_s_work
from tests.pages.conftest import DESK, NARROWEST, PHONE, PageAt, fits, save
from tests.processes import free_port, running
from tests.stores import databases, store
from tests.telling import COMMUNE, MORNING, TOWN, Story, a_calendar, a_procedure, a_unit, records_of

INSPECTOR = {"X-Dev-Actor": "id=inspector-1; roles=inspector"}
OFFICER = {"X-Dev-Actor": "id=officer-7; unit=H41.NN.01; roles=officer"}
FAR_AWAY = {"X-Forwarded-For": "203.0.113.7"}


@dataclass(frozen=True, slots=True)
class Shown:
    """Reporting, running as a process without a broker, and what it knows."""

    url: str
    stories: list[Story]
    database: Database

    @property
    def long_one(self) -> Story:
        """The dossier that went to the town and back."""
        return self.stories[5]


def what_is_known() -> tuple[list[Story], list[Heard]]:
    """Ten dossiers that stand differently, thirty more at other communes, and a replayed one."""
    stories = a_day_s_work()
    names = ["UBND phường Mai Hùng", "UBND xã Quỳnh Lộc", "UBND phường Quỳnh Xuân"]
    units = [a_unit(f"000.0{number}.99.H41", name) for number, name in enumerate(names, 2)]
    others = []
    for number in range(36):
        story = Story(now=MORNING + timedelta(minutes=number))
        unit = units[number % 3].event
        assert isinstance(unit, UnitPublished)
        story.starts(unit=unit.code, because=story.received(number, unit=unit.code))
        others.append(story)
    replayed = Story(origin="municipal-receipt-log")
    replayed.received()
    replayed.starts("Confirmation of receipt")
    town = a_unit(TOWN, "UBND thị xã Hoàng Mai", "town")
    said = [a_calendar(), a_procedure(), a_unit(COMMUNE), town, *units]
    return stories, [*said, *(one for story in [*stories, *others, replayed] for one in story.said)]


@pytest.fixture(scope="module")
async def reporting(servers: Servers, layout: Layout) -> AsyncIterator[Shown]:
    """Reporting's process over a store that has heard all this."""
    assert servers.kafka
    stories, said = what_is_known()
    async with showing(layout, said) as (url, database):
        yield Shown(url, stories, database)


@asynccontextmanager
async def showing(layout: Layout, said: list[Heard]) -> AsyncIterator[tuple[str, Database]]:
    """Reporting's process over a store that has heard something: its address, and the store."""
    async with databases(layout, "_pages") as made, store(made, "reporting") as database:
        async with database.transaction() as tx:
            await hear_batch(tx, handlers.hearer(), records_of(said))
        port = free_port()
        environment = {
            "DATABASE_URL_REPORTING": made.login["reporting"],
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
            "HTTP_PORT": str(port),
            "DEV_ACTOR": "true",
        }
        async with running("services.reporting", environment, port):
            yield f"http://127.0.0.1:{port}", database


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_what_is_where_can_be_read_at_any_width(page_at: PageAt, reporting: Shown, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{reporting.url}/reporting/")
    await save(page, f"reporting-now-{width}")

    assert await fits(page)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Hồ sơ đang ở đâu")
    await expect(page.locator(".totals .figure")).to_have_text(["43", "39", "1", "2", "1", "0"])
    await expect(page.get_by_text("UBND thị xã Hoàng Mai").first).to_be_visible()


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_the_dossiers_behind_a_figure_are_a_click_away(page_at: PageAt, reporting: Shown, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{reporting.url}/reporting/?still=true")
    await page.locator(".totals .open .figure").click()
    await save(page, f"reporting-dossiers-{width}")

    assert await fits(page)
    await expect(page.get_by_role("status")).to_contain_text("43 hồ sơ")
    await expect(page.locator("tbody tr")).to_have_count(30)
    await page.get_by_role("link", name="Trang sau").click()
    await expect(page.locator("tbody tr")).to_have_count(13)


async def test_every_figure_leads_to_as_many_dossiers(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, scripts=False)
    await page.goto(f"{reporting.url}/reporting/?still=true")
    figures: list[tuple[str, str]] = await page.eval_on_selector_all(
        "a[href^='/reporting/dossiers/page']",
        "links => links.map(link => [link.textContent, link.getAttribute('href')])",
    )
    assert len(figures) > 20

    async with httpx.AsyncClient(base_url=reporting.url) as client:
        for text, address in figures:
            listed = (await client.get(address)).text
            if found := re.match(r"[\d.]+", text):
                assert f'role="status">{found[0]} hồ sơ' in listed, address


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_a_dossier_s_timeline_tells_its_way(page_at: PageAt, reporting: Shown, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{reporting.url}/reporting/dossiers/{reporting.long_one.subject}")
    await save(page, f"reporting-dossier-{width}")

    assert await fits(page)
    await expect(page.locator(".steps li")).to_have_count(len(reporting.long_one.said))
    await expect(page.locator(".steps")).to_contain_text("UBND phường Quỳnh Thiện → UBND thị xã Hoàng Mai")
    await expect(page.get_by_text("Đăng ký khai sinh")).to_be_visible()


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_where_a_citizen_s_data_were_erased_both_pages_say_so_and_what_is_kept(
    page_at: PageAt, reporting: Shown, width: int
) -> None:
    erased = reporting.stories[6]
    page = await page_at(width, scripts=False)

    await page.goto(f"{reporting.url}/reporting/dossiers/{erased.subject}")
    await save(page, f"reporting-erased-dossier-{width}")
    assert await fits(page)
    await expect(page.locator(".notice")).to_contain_text("Dữ liệu cá nhân của hồ sơ này đã được xóa ngày 06/05/2019")
    await expect(page.locator(".steps li").last).to_contain_text("theo yêu cầu của công dân")

    await page.goto(f"{reporting.url}/reporting/lookup?code=000.01.99.H41-190506-0007&lang=en")
    await save(page, f"reporting-erased-lookup-{width}")
    assert await fits(page)
    await expect(page.locator(".found .notice")).to_contain_text("The personal data of this dossier were erased on")
    await expect(page.locator(".found")).not_to_contain_text("asked")


@pytest.mark.parametrize("ident", ["0199b2c4-5f3a-7c11-9d7e-3a1f6b2c9e10", "nothing", "%F0%9F%92%A9"])
async def test_an_unknown_dossier_is_met_with_what_to_do(page_at: PageAt, reporting: Shown, ident: str) -> None:
    page = await page_at(PHONE, scripts=False, may_complain=True)
    answer = await page.goto(f"{reporting.url}/reporting/dossiers/{ident}")
    await save(page, "reporting-unknown")

    assert answer is not None
    assert answer.status == 404
    assert await fits(page)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Không tìm thấy hồ sơ")
    await _search(page, "000.01.99.H41-190506-0004")
    await expect(page.get_by_role("status")).to_contain_text("1 hồ sơ")


async def _search(page: Page, code: str) -> None:
    await page.get_by_role("searchbox").fill(code)
    await page.get_by_role("button", name="Tìm").click()


async def test_the_page_prints_without_what_is_only_for_a_screen(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, scripts=False)
    await page.emulate_media(media="print")
    await page.goto(f"{reporting.url}/reporting/?still=true")
    await save(page, "reporting-print")

    await expect(page.locator(".totals")).to_be_visible()
    await expect(page.locator(".refresh")).to_be_hidden()


async def test_the_page_refreshes_itself_until_it_is_told_to_stand_still(page_at: PageAt, reporting: Shown) -> None:
    page = await page_at(DESK, scripts=False)
    await page.goto(f"{reporting.url}/reporting/")
    await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(1)

    await page.get_by_role("link", name="dừng").click()

    await expect(page.locator("meta[http-equiv=refresh]")).to_have_count(0)


@pytest.mark.parametrize(
    "path", ["/reporting/dossiers", "/reporting/recount", "/reporting/counts?from=2019-05-01&to=2019-05-31"]
)
async def test_only_who_may_read_reports_gets_more_than_totals(reporting: Shown, path: str) -> None:
    async with httpx.AsyncClient(base_url=reporting.url) as client:
        nobody = await client.get(path)
        officer = await client.get(path, headers=OFFICER)
        inspector = await client.get(path, headers=INSPECTOR)
        totals = await client.get("/reporting/now", headers=FAR_AWAY)
        listed = await client.get("/reporting/dossiers/page", headers=FAR_AWAY)

    assert [one.status_code for one in (nobody, officer, inspector, totals)] == [401, 403, 200, 200]
    assert listed.status_code == 401


async def test_the_api_tells_the_same_as_the_page(reporting: Shown) -> None:
    async with httpx.AsyncClient(base_url=reporting.url, headers=INSPECTOR) as client:
        now = (await client.get("/reporting/now")).json()
        listed = (await client.get("/reporting/dossiers?standing=late&count=1")).json()
        recount = (await client.get("/reporting/recount")).json()
        history = (await client.get("/reporting/history")).json()["history"]
        told = (await client.get(f"/reporting/dossiers/{reporting.long_one.subject}/timeline")).json()
        counts = (await client.get("/reporting/counts?from=2019-05-01&to=2019-05-31")).json()

    assert now["totals"]["open"] == 43
    assert now["totals"]["open"] == sum(unit["open"] for unit in now["units"])
    assert (listed["total"], len(listed["dossiers"])) == (2, 1)
    assert recount == {"agrees": True, "only_in_the_picture": [], "only_in_the_timelines": []}
    assert [(one["origin"], one["dossiers"], one["steps"]) for one in history] == [("municipal-receipt-log", 1, 1)]
    assert [step["stage"] for step in told["steps"]] == ["commune_desk", "town_desk", "commune_return"]
    assert len(told["timeline"]) == len(reporting.long_one.said)
    assert counts["received"]["total"] == 46
    assert counts["as_known_on"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/reporting/counts?from=2019-06-01&to=2019-05-31", 422),
        ("/reporting/counts?from=yesterday&to=2019-05-31", 422),
        ("/reporting/dossiers?status=3", 422),
        ("/reporting/dossiers?standing=lost", 422),
        ("/reporting/dossiers?after=nowhere", 422),
        ("/reporting/dossiers/0199b2c4-5f3a-7c11-9d7e-3a1f6b2c9e10/timeline", 404),
        ("/reporting/dossiers/nothing/timeline", 422),
        ("/reporting/dossiers/page?q=%00", 400),
    ],
)
async def test_what_cannot_be_asked_is_refused_with_what_to_do(reporting: Shown, path: str, status: int) -> None:
    async with httpx.AsyncClient(base_url=reporting.url, headers=INSPECTOR) as client:
        answer = await client.get(path)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["do"]


@pytest.mark.parametrize(("amount", "told"), [(50_000, "nộp 50.000 đồng"), (0, "nộp theo thông báo của cơ quan")])
async def test_a_payment_whose_amount_another_office_sets_is_not_told_as_none(
    reporting: Shown, amount: int, told: str
) -> None:
    story = Story()
    story.starts(because=story.received(950 + (amount > 0)))
    story.say(FeeRequested(run=1, amount_vnd=amount, reason="as_on_the_notice"))
    async with reporting.database.transaction() as tx:
        await hear_batch(tx, handlers.hearer(), records_of(story.said))

    async with httpx.AsyncClient(base_url=reporting.url, headers={"Accept-Language": "vi"}) as client:
        page = (await client.get(f"/reporting/dossiers/{story.subject}")).text

    assert told in page
    assert "nộp 0 đồng" not in page
