"""The operators' pages in a real browser, before a real intake, a real receiver and the real front door."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer
from playwright.async_api import expect

from deploy.launcher import topics
from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers
from services.intake import handlers
from shared.bus import hear_batch
from shared.bus.tally.wire import Asked, Said, record_of
from shared.envelope import Envelope, Record, headers_of
from shared.seal import make_keys
from shared.store import Database
from shared.topics import CONTROL, ROUTING, TOPICS, Service
from tests.builders import at
from tests.pages.conftest import DESK, NARROWEST, PHONE, PageAt, fits, is_accessible, save
from tests.processes import free_port, running, until
from tests.stores import databases, store
from tests.telemetry.conftest import TheReceiver, a_receiver, a_request, a_span

TABLET = 768
WIDTHS = (DESK, TABLET, PHONE)
AWAY = ("ROUTING", "NOTIFICATION", "REPORTING")


@dataclass(slots=True)
class Watched:
    """The front door's address, the receiver behind it, and intake's store to make dead letters in."""

    url: str
    receiver: TheReceiver
    database: Database
    offset: int = 0

    async def bury(self, body: bytes = b"\x1b[2J{ no <b>json</b>") -> tuple[int, str]:
        """A dead letter of intake: its id and its stream."""
        self.offset += 1
        subject = str(uuid.uuid4())
        when = at("2026-11-23 08:00")
        envelope = Envelope(
            str(uuid.uuid4()), Service.ROUTING, subject, 1, "ResultReady", when, when, None, None, None, None
        )
        record = Record(ROUTING.name, 0, self.offset, subject.encode(), tuple(headers_of(envelope)), body)
        async with self.database.transaction() as tx:
            await hear_batch(tx, handlers.hearer(), [record])
            ident = await tx.fetchval("SELECT max(id) FROM dead_letter")
        return int(ident), subject


@pytest.fixture(scope="module")
async def watched(servers: Servers, layout: Layout, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Watched]:
    assert servers.kafka
    folder = tmp_path_factory.mktemp("watched")
    make_keys(folder / "keys")
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(databases(layout, "_watched"))
        receiver = await stack.enter_async_context(a_receiver(folder / "telemetry"))
        intake, pages, door = free_port(), free_port(), free_port()
        environment = {
            "DATABASE_URL_INTAKE": made.login["intake"],
            "KAFKA_BOOTSTRAP_SERVERS": f"127.0.0.1:{free_port()}",
            "HTTP_PORT": str(intake),
            "SEAL_KEYS": str(folder / "keys"),
            "ERASURE_REGISTER": str(folder / "erasures" / "register.jsonl"),
            "DEV_ACTOR": "true",
        }
        await stack.enter_async_context(running("services.intake", environment, intake))
        behind = {
            "UPSTREAM_INTAKE": f"http://127.0.0.1:{intake}",
            "UPSTREAM_RECEIVER": receiver.url,
            **{f"UPSTREAM_{name}": f"http://127.0.0.1:{free_port()}" for name in AWAY},
        }
        asked = {"OPERATIONS_PORT": str(pages), "DEV_ACTOR": "true", "LIENTHONG_OPERATOR": "op-9", **behind}
        await stack.enter_async_context(running("deploy.operations", asked, pages))
        before = {"DOOR_PORT": str(door), "UPSTREAM_OPERATIONS": f"http://127.0.0.1:{pages}", **behind}
        await stack.enter_async_context(running("deploy.door", before, door))
        database = await stack.enter_async_context(store(made, "intake"))
        yield Watched(f"http://127.0.0.1:{door}", receiver, database)


@pytest.fixture
async def losing(servers: Servers, layout: Layout, tmp_path: Path) -> AsyncIterator[str]:
    """The operators' pages before an intake on a broker that has lost something of routing's, and knows it."""
    assert servers.kafka
    make_keys(tmp_path / "keys")
    async with AsyncExitStack() as stack:
        made = await stack.enter_async_context(databases(layout, "_losing"))
        intake, pages = free_port(), free_port()
        environment = {
            "DATABASE_URL_INTAKE": made.login["intake"],
            "KAFKA_BOOTSTRAP_SERVERS": servers.kafka,
            "HTTP_PORT": str(intake),
            "SEAL_KEYS": str(tmp_path / "keys"),
            "ERASURE_REGISTER": str(tmp_path / "erasures" / "register.jsonl"),
            "DEV_ACTOR": "true",
        }
        await stack.enter_async_context(running("services.intake", environment, intake))
        behind = {
            "UPSTREAM_RECEIVER": f"http://127.0.0.1:{free_port()}",
            "UPSTREAM_INTAKE": f"http://127.0.0.1:{intake}",
        }
        behind |= {f"UPSTREAM_{name}": f"http://127.0.0.1:{free_port()}" for name in AWAY}
        asked = {"OPERATIONS_PORT": str(pages), "DEV_ACTOR": "true", **behind}
        await stack.enter_async_context(running("deploy.operations", asked, pages))
        client = await stack.enter_async_context(httpx.AsyncClient())
        producer: Any = AIOKafkaProducer(bootstrap_servers=servers.kafka)
        await producer.start()
        stack.push_async_callback(producer.stop)

        async def has_found() -> bool:
            """Routing's word for what is on no topic, and reporting's of what intake never said; said until heard."""
            for message in (
                Said(Service.ROUTING, (("lost", 3),)),
                Asked(Service.REPORTING, Service.INTAKE, heard=(("never-said", 5),)),
            ):
                key, body, headers = record_of(message, datetime.now(UTC))
                await producer.send_and_wait(CONTROL.name, body, key=key, headers=headers, partition=0)
            told = (await client.get(f"http://127.0.0.1:{intake}/intake/operations/status")).json()["tally"]
            return bool(told["lacking"] and told["ahead"])

        await topics.create(servers.kafka, [*TOPICS, CONTROL])
        await until(has_found, "intake has found that something is lost", seconds=90)
        yield f"http://127.0.0.1:{pages}"


@pytest.mark.parametrize("width", [DESK, NARROWEST])
async def test_what_anti_entropy_found_lost_is_shown(losing: str, page_at: PageAt, width: int) -> None:
    page = await page_at(width)

    await page.goto(f"{losing}/operations/")

    intake = page.locator("table.services tbody tr").first
    await expect(intake).to_contain_text("1 đang được gửi lại")
    await expect(intake).to_contain_text("1 bị vượt trước")
    await save(page, f"operations-lost-{width}")
    assert await fits(page)
    await is_accessible(page)


async def a_command(receiver: TheReceiver) -> tuple[str, str]:
    """A reception's trace with a hop that waits; its stream and its trace."""
    stream, now = str(uuid.uuid4()), time.time_ns() - 10**9
    root = a_span(stream, name="POST /intake/dossiers", start_time_unix_nano=now, end_time_unix_nano=now + 10**8)

    def effect(parent: Any, began_ms: int, ended_ms: int, **changed: Any) -> Any:
        return a_span(
            stream,
            trace_id=root.trace_id,
            parent_span_id=parent.span_id,
            start_time_unix_nano=now + began_ms * 10**6,
            end_time_unix_nano=now + ended_ms * 10**6,
            **changed,
        )

    decide = effect(root, 20, 90)
    send = effect(decide, 130, 150, name="send intake.dossier", kind=4)
    process = effect(send, 300, 420, name="process intake.dossier", kind=5)
    await receiver.take(a_request(root, decide, send).SerializeToString())
    await receiver.take(a_request(process, service="routing").SerializeToString())
    return stream, root.trace_id.hex()


@pytest.mark.parametrize("width", WIDTHS)
async def test_how_the_system_is_with_a_dead_letter_and_services_that_are_away(
    watched: Watched, page_at: PageAt, width: int
) -> None:
    await watched.bury()
    page = await page_at(width)

    await page.goto(f"{watched.url}/operations/")

    services = page.locator("table.services tbody tr")
    await expect(services).to_have_count(4)
    await expect(services.locator("th")).to_contain_text(["intake", "routing", "notification", "reporting"])
    await expect(services.nth(1)).to_contain_text("không trả lời")
    await expect(page.get_by_role("link", name="xem và quyết định").first).to_be_visible()
    await expect(page.get_by_role("button", name="Ngừng tự cập nhật")).to_be_visible()
    assert await fits(page)
    await is_accessible(page)
    await save(page, f"operations-{width}")


async def test_a_dead_letter_is_looked_at_and_voided_with_a_reason_without_javascript(
    watched: Watched, page_at: PageAt
) -> None:
    ident, subject = await watched.bury()
    page = await page_at(PHONE, scripts=False, may_complain=True)

    await page.goto(f"{watched.url}/operations/dead-letters/intake/{ident}")
    await expect(page.locator("main")).to_contain_text(subject)
    await expect(page.locator("pre.raw")).to_contain_text("no <b>json</b>")
    assert await fits(page)
    await save(page, "operations-letter-360")
    await page.get_by_label("Lý do").fill("đã làm lại bằng tay")
    await page.get_by_role("button", name="Bỏ qua").click()

    await expect(page.locator(".notice.good")).to_contain_text("đã bỏ qua")
    await expect(page.locator(".notice.good")).to_contain_text("op-9")
    await expect(page.locator(".notice.good")).to_contain_text("đã làm lại bằng tay")
    await expect(page.get_by_role("button", name="Bỏ qua")).to_have_count(0)


async def test_redriving_what_still_cannot_be_read_says_why_and_leaves_it(watched: Watched, page_at: PageAt) -> None:
    ident, _ = await watched.bury()
    page = await page_at(DESK, may_complain=True)

    await page.goto(f"{watched.url}/operations/dead-letters/intake/{ident}")
    await page.get_by_role("button", name="Nghe lại").click()

    await expect(page.get_by_role("alert")).to_contain_text("void it")
    await expect(page.get_by_role("button", name="Bỏ qua")).to_be_visible()
    await is_accessible(page)


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://elsewhere.example"},
        {},
    ],
)
async def test_a_form_from_elsewhere_does_nothing(watched: Watched, headers: dict[str, str]) -> None:
    ident, _ = await watched.bury()
    address = f"{watched.url}/operations/dead-letters/intake/{ident}"

    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        forged = await client.post(f"{address}/void", data={"reason": "x", "token": "0" * 64}, headers=headers)
        page = await client.get(address)

    assert forged.status_code == 403
    assert "/void" in page.text, "it still waits for a decision"


async def test_the_pages_open_only_on_this_machine(watched: Watched) -> None:
    async with httpx.AsyncClient(trust_env=False, timeout=30) as client:
        for path in ("/operations/", "/traces/"):
            rebound = await client.get(f"{watched.url}{path}", headers={"Host": "elsewhere.example"})
            forwarded = await client.get(f"{watched.url}{path}", headers={"X-Forwarded-For": "203.0.113.9"})
            desk = await client.get(f"{watched.url}{path}", headers={"X-Dev-Actor": "id=desk-1; unit=H41; roles=desk"})

            assert [one.status_code for one in (rebound, forwarded, desk)] == [403, 403, 403], path


@pytest.mark.parametrize("width", WIDTHS)
async def test_a_command_s_waterfall_is_read_by_its_stream(watched: Watched, page_at: PageAt, width: int) -> None:
    stream, trace = await a_command(watched.receiver)
    page = await page_at(width)

    await page.goto(f"{watched.url}/traces/")
    await page.get_by_role("searchbox").fill(stream)
    await page.keyboard.press("Enter")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("Hành trình của hồ sơ")
    rows = page.locator("table.waterfall tbody tr")
    await expect(rows).to_have_count(4)
    await expect(rows.nth(2)).to_contain_text("40,0 ms chờ trong hộp gửi")
    await expect(rows.nth(3)).to_contain_text("150 ms chờ trên kênh Kafka")
    await expect(rows.nth(3).locator("rect.wait")).to_have_count(1)
    assert await fits(page)
    await is_accessible(page)
    await save(page, f"traces-journey-{width}")
    await page.get_by_role("link", name="Trang riêng").click()
    await expect(page.locator("main")).to_contain_text(trace)
    assert await fits(page)
    await is_accessible(page)


@pytest.mark.parametrize("width", WIDTHS)
async def test_an_unknown_code_is_told_in_one_sentence(watched: Watched, page_at: PageAt, width: int) -> None:
    page = await page_at(width, may_complain=True)

    answer = await page.goto(f"{watched.url}/traces/?q=000.00.01.H41-990101-0001")

    assert answer is not None
    assert answer.status == 404
    await expect(page.get_by_role("alert")).to_contain_text("Không có hồ sơ mang mã 000.00.01.H41-990101-0001")
    assert await fits(page)
    await is_accessible(page)
    await save(page, f"traces-unknown-{width}")


async def test_a_stream_without_spans_and_recent_traces(watched: Watched, page_at: PageAt) -> None:
    stream, _ = await a_command(watched.receiver)
    page = await page_at(NARROWEST, scripts=False, may_complain=True)

    await page.goto(f"{watched.url}/traces/?q={uuid.uuid4()}")
    await expect(page.get_by_role("alert")).to_contain_text("Không còn giữ vết nào")
    await page.goto(f"{watched.url}/traces/?hours=1")
    await expect(page.locator("table").first).to_contain_text(stream)
    assert await fits(page)


async def test_a_receiver_that_is_away_is_told_and_the_rest_is_shown(watched: Watched, page_at: PageAt) -> None:
    pages = free_port()
    nowhere = {"UPSTREAM_RECEIVER": f"http://127.0.0.1:{free_port()}", "OPERATIONS_PORT": str(pages)}
    async with running("deploy.operations", {**nowhere, "DEV_ACTOR": "true"}, pages):
        page = await page_at(DESK, may_complain=True)

        answer = await page.goto(f"http://127.0.0.1:{pages}/traces/")
        assert answer is not None
        assert answer.status == 503
        await expect(page.get_by_role("alert")).to_contain_text("receiver")
        await page.goto(f"http://127.0.0.1:{pages}/operations/")
        await expect(page.locator("main")).to_contain_text("vết trong lúc này bị mất")
