"""The messages over HTTP: for people, and for programs."""

from email import policy
from email.message import EmailMessage

from tests.mail.conftest import TheCatcher, a_letter

SCRIPT = "<script>alert(1)</script>"


async def test_all_messages_are_listed_newest_first_and_page_by_page(catcher: TheCatcher) -> None:
    await catcher.send(*(a_letter(subject=f"Thư số {number}") for number in range(7)))

    found = []
    following: str | None = "/mail/messages?limit=3"
    async with catcher.client() as client:
        while following is not None:
            page = (await client.get(following)).json()
            found.append([message["subject"] for message in page["messages"]])
            following = page["next"]

    assert found == [["Thư số 6", "Thư số 5", "Thư số 4"], ["Thư số 3", "Thư số 2", "Thư số 1"], ["Thư số 0"]]
    assert page["total"] == 7


async def test_messages_are_found_by_recipient_and_by_subject(catcher: TheCatcher) -> None:
    await catcher.send(
        a_letter(to="hanh@example.vn", subject="Đăng ký khai sinh"),
        a_letter(to="minh@example.vn", subject="Đăng ký kết hôn"),
        a_letter(to="minh@example.vn", subject="Xin lỗi vì trễ hẹn"),
    )

    async with catcher.client() as client:

        async def subjects(**question: str) -> list[str]:
            messages = (await client.get("/mail/messages", params=question)).json()["messages"]
            return [message["subject"] for message in messages]

        assert await subjects(to="MINH@") == ["Xin lỗi vì trễ hẹn", "Đăng ký kết hôn"]
        assert await subjects(subject="đăng KÝ") == ["Đăng ký kết hôn", "Đăng ký khai sinh"]
        assert await subjects(to="minh", subject="đăng ký") == ["Đăng ký kết hôn"]
        assert await subjects(to="nobody") == []
        page = (await client.get("/mail/", params={"to": "minh", "subject": "kết hôn"})).text
        assert "Đăng ký kết hôn" in page
        assert "Xin lỗi" not in page


async def test_the_list_goes_on_with_the_same_question(catcher: TheCatcher) -> None:
    await catcher.send(*(a_letter(subject=f"Thư {number}") for number in range(51)), a_letter(subject="khác"))

    async with catcher.client() as client:
        first = (await client.get("/mail/", params={"subject": "thư"})).text
        [older] = [line for line in first.split('"') if "before=" in line]
        second = (await client.get(older.replace("&amp;", "&"))).text

    assert first.count("<tr>") == 51
    assert "Thư 0</a>" not in first
    assert "Thư 0</a>" in second
    assert "khác" not in second


async def test_a_message_is_shown_with_its_text_html_and_files(catcher: TheCatcher) -> None:
    message = a_letter(text="Ngày hẹn trả: 30/11/2026", subject="Giấy tiếp nhận")
    message.add_alternative("<p>Ngày hẹn trả: <b>30/11/2026</b></p>", subtype="html")
    message.add_attachment(b"%PDF-1.7 x", maintype="application", subtype="pdf", filename="giấy hẹn.pdf")
    await catcher.send(message)

    async with catcher.client() as client:
        [row] = (await client.get("/mail/messages")).json()["messages"]
        whole = (await client.get(f"/mail/messages/{row['id']}")).json()
        page = (await client.get(f"/mail/messages/{row['id']}/page")).text
        html = await client.get(f"/mail/messages/{row['id']}/html/1")
        file = await client.get(f"/mail/messages/{row['id']}/parts/2")

    assert [(part["content_type"], part["name"]) for part in whole["parts"]] == [
        ("text/plain", ""),
        ("text/html", ""),
        ("application/pdf", "giấy hẹn.pdf"),
    ]
    assert ["Subject", "Giấy tiếp nhận"] in whole["headers"]
    assert whole["parts"][0]["text"].strip() == "Ngày hẹn trả: 30/11/2026"
    assert "Ngày hẹn trả: 30/11/2026" in page
    assert f'<iframe class="letter" sandbox title="HTML" src="/mail/messages/{row["id"]}/html/1">' in page
    assert html.text.strip() == "<p>Ngày hẹn trả: <b>30/11/2026</b></p>"
    assert file.content == b"%PDF-1.7 x"
    assert file.headers["content-disposition"] == "attachment; filename*=utf-8''gi%E1%BA%A5y%20h%E1%BA%B9n.pdf"


async def test_nothing_in_a_message_runs_in_the_readers_browser(catcher: TheCatcher) -> None:
    message = EmailMessage()
    message["From"] = f'"{SCRIPT}" <a@example.vn>'
    message["To"] = "hanh@example.vn"
    message["Subject"] = SCRIPT
    message["X-Header"] = SCRIPT
    message.set_content(SCRIPT)
    message.add_alternative(SCRIPT + '<img src="https://elsewhere.example/track">', subtype="html")
    message.add_attachment(SCRIPT.encode(), maintype="text", subtype="html", filename=SCRIPT + ".html")
    await catcher.send_bytes(f"Message-ID: <{SCRIPT}@test>\r\n".encode() + message.as_bytes(policy=policy.SMTP))

    async with catcher.client() as client:
        [row] = (await client.get("/mail/messages")).json()["messages"]
        inbox = await client.get("/mail/", params={"to": "hanh", "subject": SCRIPT})
        page = await client.get(f"/mail/messages/{row['id']}/page")
        html = await client.get(f"/mail/messages/{row['id']}/html/1")
        file = await client.get(f"/mail/messages/{row['id']}/parts/2")

    assert row["subject"] == SCRIPT
    for shown in (inbox, page):
        assert SCRIPT not in shown.text
        assert "&lt;script&gt;" in shown.text
        assert shown.headers["content-security-policy"].startswith("default-src 'none'")
        assert "unsafe" not in shown.headers["content-security-policy"]
    assert html.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert file.headers["content-type"] == "application/octet-stream"
    assert file.headers["content-disposition"].startswith("attachment")
    assert file.headers["x-content-type-options"] == "nosniff"


async def test_what_is_not_there_is_said_and_messages_cannot_be_deleted(catcher: TheCatcher) -> None:
    await catcher.send(a_letter())

    async with catcher.client() as client:
        [row] = (await client.get("/mail/messages")).json()["messages"]
        for address in (
            "/mail/messages/nothing",
            f"/mail/messages/{row['id']}/html/0",
            f"/mail/messages/{row['id']}/parts/9",
        ):
            answer = await client.get(address)
            assert answer.status_code == 404
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["type"] == "/problems/no-such-message"
        assert (await client.get("/mail/messages/..%2F..%2Fetc%2Fpasswd/raw")).status_code == 404
        assert (await client.get("/mail/messages", params={"limit": 0})).status_code == 422
        assert (await client.delete(f"/mail/messages/{row['id']}")).status_code == 405
        page = await client.get("/mail/messages/nothing/page", headers={"accept": "text/html"})
        assert page.status_code == 404
        assert page.headers["content-type"].startswith("text/html")


async def test_a_message_whose_file_was_removed_is_not_there_any_more(catcher: TheCatcher) -> None:
    await catcher.send(a_letter())
    catcher.files()[0].unlink()

    async with catcher.client() as client:
        [row] = (await client.get("/mail/messages")).json()["messages"]
        assert (await client.get(f"/mail/messages/{row['id']}")).status_code == 404


async def test_it_says_that_it_lives_and_is_ready(catcher: TheCatcher) -> None:
    async with catcher.client() as client:
        for address in ("/health/live", "/health/ready", "/mail/health/live", "/mail/health/ready"):
            assert (await client.get(address)).status_code == 200
