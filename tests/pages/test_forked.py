"""A dossier that lies in two places at once, as leaders, inspectors and the citizen see it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta

import httpx
import pytest
from playwright.async_api import expect

from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from shared.envelope import Heard
from shared.events import DeadlinePassed, Scope
from tests.pages.conftest import DESK, NARROWEST, PageAt, fits, save
from tests.pages.test_reporting import INSPECTOR, showing
from tests.telling import COMMUNE, MORNING, TOWN, Story, a_calendar, a_procedure, a_unit

POLICE, INSURER = "000.62.99.H41", "000.63.99.H41"
BRANCHES = (("town_police", POLICE), ("social_insurance", INSURER))
CODE = f"{COMMUNE}-190506-0001"


@dataclass(frozen=True, slots=True)
class Forked:
    """Reporting's address, and what it shows."""

    url: str
    both: Story
    one_left: Story


def a_forked_one(number: int) -> Story:
    """Handed in at the commune, on to police and insurer at once."""
    story = Story(now=MORNING)
    story.starts("commune_birth", because=story.received(number, days=20))
    story.now += timedelta(hours=2)
    story.forks(*BRANCHES, run=2)
    return story


@pytest.fixture(scope="module")
async def forked(servers: Servers, layout: Layout) -> AsyncIterator[Forked]:
    """One dossier at the police, where it is late, and at the insurer; one that the insurer is done with."""
    assert servers.kafka
    both, one_left = a_forked_one(1), a_forked_one(2)
    both.say(DeadlinePassed(scope=Scope.STAGE, run=2, generation=1, unit=POLICE, due=both.now))
    one_left.ends_branch(3, left=(2,), giver=INSURER)
    units = [
        a_unit(COMMUNE),
        a_unit(TOWN, "UBND thị xã Hoàng Mai", "town"),
        a_unit(POLICE, "Công an thị xã Hoàng Mai", "town"),
        a_unit(INSURER, "Bảo hiểm xã hội thị xã Hoàng Mai", "town"),
    ]
    said: list[Heard] = [a_calendar(), a_procedure("Liên thông khai sinh, thường trú, thẻ BHYT"), *units]
    async with showing(layout, [*said, *both.said, *one_left.said]) as (url, _):
        yield Forked(url, both, one_left)


@pytest.mark.parametrize("width", [DESK, NARROWEST])
async def test_a_dossier_in_two_places_shows_both_and_which_of_them_is_late(
    page_at: PageAt, forked: Forked, width: int
) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{forked.url}/reporting/dossiers/{forked.both.subject}")
    await save(page, f"forked-dossier-{width}")

    assert await fits(page)
    places = page.locator(".several li")
    await expect(places).to_have_count(2)
    await expect(places.nth(0)).to_contain_text("Công an thị xã Hoàng Mai")
    await expect(places.nth(0)).to_contain_text("Quá hạn")
    await expect(places.nth(1)).to_contain_text("Bảo hiểm xã hội")
    await expect(places.nth(1)).to_contain_text("Trong hạn")
    await expect(page.locator(".steps")).to_contain_text("làm song song")
    await expect(page.locator(".steps")).to_contain_text("Quá hạn của bước xử lý (Công an thị xã Hoàng Mai)")


async def test_who_is_done_first_is_waited_for_at_the_desk_that_joins(page_at: PageAt, forked: Forked) -> None:
    page = await page_at(NARROWEST, scripts=False)
    await page.goto(f"{forked.url}/reporting/dossiers/{forked.one_left.subject}")
    await save(page, "forked-one-left-320")

    assert await fits(page)
    await expect(page.locator(".several")).to_have_count(0)
    await expect(page.locator(".steps")).to_contain_text("chờ 1 bước song song")
    await expect(page.locator(".facts")).to_contain_text("Công an thị xã Hoàng Mai")


@pytest.mark.parametrize("width", [DESK, NARROWEST])
async def test_the_citizen_sees_every_office_that_works_on_it(page_at: PageAt, forked: Forked, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{forked.url}/reporting/lookup?code={CODE}")
    await save(page, f"forked-lookup-{width}")

    assert await fits(page)
    await expect(page.locator(".several li")).to_have_count(2)
    await expect(page.locator(".found")).to_contain_text("Nhiều nơi cùng xử lý")


@pytest.mark.parametrize("width", [DESK, NARROWEST])
async def test_lists_and_the_river_count_it_at_each_place(page_at: PageAt, forked: Forked, width: int) -> None:
    page = await page_at(width, scripts=False)
    await page.goto(f"{forked.url}/reporting/?still=true")
    await save(page, f"forked-now-{width}")
    assert await fits(page)
    await expect(page.locator(".totals .figure")).to_have_text(["2", "1", "0", "1", "0", "0"])

    await page.goto(f"{forked.url}/reporting/dossiers/page?unit={INSURER}&standing=open")
    await save(page, f"forked-list-{width}")
    assert await fits(page)
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("tbody .several li")).to_have_count(2)
    await page.goto(f"{forked.url}/reporting/river?still=true")
    await save(page, f"forked-river-{width}")
    assert await fits(page)


async def test_the_api_tells_each_place_and_counts_the_dossier_once(forked: Forked) -> None:
    async with httpx.AsyncClient(base_url=forked.url, headers=INSPECTOR) as client:
        now = (await client.get("/reporting/now")).json()
        recount = (await client.get("/reporting/recount")).json()
        told = (await client.get(f"/reporting/dossiers/{forked.both.subject}/timeline")).json()
        late = (await client.get(f"/reporting/dossiers?unit={INSURER}&standing=late")).json()

    units = {one["unit"]: (one["open"], one["late"]) for one in now["units"]}
    assert (now["totals"]["open"], now["totals"]["late"]) == (2, 1)
    assert units == {POLICE: (2, 1), INSURER: (1, 0)}
    assert recount["agrees"]
    assert [(one["run"], one["standing"]) for one in told["dossier"]["runs"]] == [(2, "late"), (3, "on_time")]
    assert late["total"] == 0
