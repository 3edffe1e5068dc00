"""The mail catcher as people see it."""

from collections.abc import AsyncIterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from playwright.async_api import expect

from tests.mail.conftest import TheCatcher, a_catcher, a_letter
from tests.pages.conftest import DESK, NARROWEST, PHONE, PageAt, fits, save

TEXT = """Kính gửi bà Nguyễn Thị Hồng Hạnh,

Bộ phận Tiếp nhận và Trả kết quả xã Nam Đàn đã nhận hồ sơ của bà.
Mã hồ sơ: 000.00.12.H41-261123-0001
Thủ tục: Đăng ký kết hôn lưu động
Ngày hẹn trả kết quả: 16 giờ 30 phút, thứ Hai, ngày 30/11/2026

Tra cứu: https://mot-cua.example.vn/ho-so/000.00.12.H41-261123-0001?khong-ngat-dong=mot-dia-chi-rat-dai-khong-co-cho-nao-de-ngat

Trân trọng.
"""
HTML = """<h1 style="color:#0b4f9c">Giấy tiếp nhận hồ sơ</h1><p>Kính gửi bà <b>Nguyễn Thị Hồng Hạnh</b>,</p>
<p>Ngày hẹn trả kết quả: <b>30/11/2026</b></p><script>document.body.textContent = 'CHẠY RỒI'</script>
<img src="https://elsewhere.example/track.gif" alt="(ảnh không được tải)">"""


def the_notice() -> EmailMessage:
    """A notice as the notification service writes it, with everything that a message may have."""
    message = a_letter(
        subject="Hồ sơ 000.00.12.H41-261123-0001 đã được tiếp nhận, hẹn trả ngày 30/11/2026",
        to="nguyen-thi-hong-hanh@mot-ten-mien-kha-dai.example.vn",
        message_id="<0199b2c4-5f3a-7c11-9d7e-3a1f6b2c9e10.received@notification.lienthong>",
        text=TEXT,
    )
    message.add_alternative(HTML, subtype="html")
    message.add_attachment(b"%PDF-1.7", maintype="application", subtype="pdf", filename="Giấy tiếp nhận và hẹn trả.pdf")
    return message


@pytest.fixture(scope="module")
async def letters(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[TheCatcher]:
    """A catcher with some sixty letters, the newest of which arrived twice."""
    folder: Path = tmp_path_factory.mktemp("mail")
    subjects = ("Hồ sơ đã được tiếp nhận", "Đề nghị bổ sung hồ sơ", "Đã có kết quả", "Xin lỗi vì trễ hẹn")
    async with a_catcher(folder) as catcher:
        await catcher.send(
            *(
                a_letter(
                    subject=subjects[number % 4],
                    to=f"cong-dan-{number}@example.vn",
                    message_id=f"<{number}@notification>",
                )
                for number in range(60)
            )
        )
        await catcher.send(the_notice(), the_notice())
        yield catcher


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_the_list_is_readable(letters: TheCatcher, page_at: PageAt, width: int) -> None:
    page = await page_at(width)
    await page.goto(f"{letters.url}/mail/")
    await save(page, f"mail-list-{width}")

    assert await fits(page)
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Thư đã gửi")
    await expect(page.get_by_role("row")).to_have_count(51)
    await expect(page.get_by_text("đến 2 lần")).to_have_count(2)


@pytest.mark.parametrize("width", [DESK, PHONE, NARROWEST])
async def test_a_message_is_readable_and_does_nothing(letters: TheCatcher, page_at: PageAt, width: int) -> None:
    page = await page_at(width, may_complain=True)
    answered: list[str] = []
    page.on("response", lambda response: answered.append(response.url))

    await page.goto(f"{letters.url}/mail/")
    await page.get_by_role("link", name="000.00.12.H41-261123-0001").first.click()
    inside = page.frame_locator("iframe.letter")
    await expect(inside.get_by_role("heading", name="Giấy tiếp nhận hồ sơ")).to_be_visible()
    await page.locator("iframe.letter").scroll_into_view_if_needed()
    await save(page, f"mail-message-{width}")

    assert await fits(page)
    await expect(page.locator("pre.letter")).to_contain_text("Ngày hẹn trả kết quả: 16 giờ 30 phút")
    await expect(page.get_by_role("link", name="Giấy tiếp nhận và hẹn trả.pdf")).to_be_visible()
    await expect(inside.locator("body")).not_to_contain_text("CHẠY RỒI")
    assert all(url.startswith((letters.url, "data:")) for url in answered)
    await page.get_by_text("Tất cả trường đầu thư").click()
    await expect(page.get_by_text("Return-Path")).to_be_visible()
    assert await fits(page)


async def test_everything_works_without_javascript(letters: TheCatcher, page_at: PageAt) -> None:
    page = await page_at(PHONE, scripts=False)
    await page.goto(f"{letters.url}/mail/")
    await page.get_by_label("Tiêu đề").fill("bổ sung")
    await page.get_by_role("button", name="Tìm").click()
    await expect(page.get_by_role("link", name="Đề nghị bổ sung hồ sơ")).to_have_count(15)

    await page.goto(f"{letters.url}/mail/")
    await page.get_by_role("link", name="Cũ hơn").click()
    await expect(page.get_by_role("link", name="Mới nhất")).to_be_visible()
    await expect(page.get_by_role("link", name="Cũ hơn")).to_have_count(0)
    await page.get_by_role("link", name="Hồ sơ đã được tiếp nhận").last.click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Hồ sơ đã được tiếp nhận")


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_an_empty_catcher_says_so(tmp_path: Path, page_at: PageAt, width: int) -> None:
    async with a_catcher(tmp_path) as catcher:
        page = await page_at(width)
        await page.goto(f"{catcher.url}/mail/")
        await save(page, f"mail-empty-{width}")

        await expect(page.get_by_text("Chưa có thư nào")).to_be_visible()
        assert await fits(page)


@pytest.mark.parametrize("width", [DESK, PHONE])
async def test_a_message_that_is_not_there_is_said_to_people(letters: TheCatcher, page_at: PageAt, width: int) -> None:
    page = await page_at(width, may_complain=True)
    await page.goto(f"{letters.url}/mail/messages/nothing/page")
    await save(page, f"mail-missing-{width}")

    await expect(page.get_by_role("heading", level=1)).to_contain_text("Không tìm thấy")
    assert await fits(page)
