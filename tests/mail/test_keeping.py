"""What was acknowledged is on disk; what is not on disk was not acknowledged."""

import asyncio
import email
import smtplib
from email import policy
from pathlib import Path

import aiosmtplib
import pytest

from deploy.mail.folder import Folder
from tests.mail.conftest import TheCatcher, a_catcher, a_letter
from tests.processes import until

MEGABYTE = 1024 * 1024


async def test_a_message_is_on_disk_when_it_is_acknowledged(tmp_path: Path) -> None:
    async with a_catcher(tmp_path) as catcher:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port)
        await smtp.connect()

        await smtp.send_message(a_letter(message_id="<at-once@test>"))
        catcher.process.kill()

        await catcher.process.wait()
        smtp.close()

    [file] = catcher.files()
    assert email.message_from_bytes(file.read_bytes())["Message-ID"] == "<at-once@test>"


async def test_nothing_acknowledged_is_lost_by_a_kill_under_load(tmp_path: Path) -> None:
    acknowledged: list[str] = []

    async def send_for_ever(catcher: TheCatcher, number: int) -> None:
        smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port)
        await smtp.connect()
        for count in range(100_000):
            message_id = f"<{number}-{count}@test>"
            await smtp.send_message(a_letter(message_id=message_id, text="Kính gửi\n" * 200))
            acknowledged.append(message_id)

    async with a_catcher(tmp_path) as catcher:
        senders = [asyncio.create_task(send_for_ever(catcher, number)) for number in range(6)]
        await until(lambda: len(acknowledged) >= 60, "60 messages are acknowledged")
        catcher.process.kill()
        ended = await asyncio.gather(*senders, return_exceptions=True)

    assert all(isinstance(error, aiosmtplib.SMTPException) for error in ended)
    async with a_catcher(tmp_path) as again, again.client() as client:
        listed = (await client.get("/mail/messages", params={"limit": 1000})).json()["messages"]
    assert set(acknowledged) <= {message["message_id"] for message in listed}
    assert again.half_written() == []
    for file in again.files():
        assert str(email.message_from_bytes(file.read_bytes()).get_payload()).count("\n") == 200


async def test_what_a_crash_left_half_written_is_thrown_away(tmp_path: Path) -> None:
    half = tmp_path / "20261123T214653.123456Z-0f8fad5b-d9cb-469f-a165-70867728950e.arriving"
    half.write_bytes(b"Subject: hal")

    async with a_catcher(tmp_path) as catcher, catcher.client() as client:
        assert (await client.get("/mail/messages")).json() == {"messages": [], "next": None, "total": 0}

    assert not half.exists()


async def test_the_raw_message_is_what_was_sent_below_what_the_envelope_said(catcher: TheCatcher) -> None:
    sent = b"Subject: x\r\nDelivered-To: somebody@else.example\r\n\r\n.dots\r\n..two\r\n\xe1\xba\xa1 \r\n"

    await catcher.send_bytes(sent, to="hanh@example.vn")

    async with catcher.client() as client:
        [message] = (await client.get("/mail/messages")).json()["messages"]
        raw = await client.get(f"/mail/messages/{message['id']}/raw")
    assert message["to"] == ["hanh@example.vn"]
    assert raw.headers["content-type"] == "message/rfc822"
    assert raw.content.endswith(sent)
    assert raw.content.startswith(b"Return-Path: <mot-cua@example.vn>\r\nDelivered-To: hanh@example.vn\r\nReceived: ")
    assert raw.content == catcher.files()[0].read_bytes()


async def test_two_arrivals_of_one_message_id_are_two_files(catcher: TheCatcher) -> None:
    await catcher.send(a_letter(message_id="<twice@test>"), a_letter(message_id="<twice@test>"), a_letter())

    async with catcher.client() as client:
        messages = (await client.get("/mail/messages")).json()["messages"]
        page = (await client.get("/mail/")).text
        letter = (await client.get(f"/mail/messages/{messages[1]['id']}/page")).text
    assert len(catcher.files()) == 3
    assert [message["arrivals"] for message in messages] == [1, 2, 2]
    assert page.count("đến 2 lần") == 2
    assert messages[2]["id"] in letter


async def test_a_message_of_over_ten_megabytes_is_refused_and_the_next_is_taken(catcher: TheCatcher) -> None:
    line = b"x" * 98 + b"\r\n"
    smtp = aiosmtplib.SMTP(hostname="127.0.0.1", port=catcher.smtp_port)
    await smtp.connect()

    too_large = b"Subject: x\r\n\r\n" + line * (10 * MEGABYTE // 100 + 1)
    await smtp.ehlo()
    with pytest.raises(aiosmtplib.SMTPSenderRefused) as announced:
        await smtp.mail("a@example.vn", options=[f"SIZE={len(too_large)}"])
    await smtp.rset()
    await smtp.mail("a@example.vn")
    await smtp.rcpt("b@example.vn")
    with pytest.raises(aiosmtplib.SMTPDataError) as sent:
        await smtp.data(too_large)
    await smtp.send_message(a_letter())
    await smtp.quit()

    assert (announced.value.code, sent.value.code) == (552, 552)
    assert len(catcher.files()) == 1


async def test_a_full_disk_refuses_for_the_time_being(tmp_path: Path) -> None:
    async with a_catcher(tmp_path, MAIL_KEEP_FREE_BYTES=str(2**62)) as catcher:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await catcher.send(a_letter())

    assert refused.value.smtp_code == 452
    assert catcher.files() == []


async def test_a_disk_that_ends_in_the_middle_of_a_message_refuses_it_and_leaves_nothing(tmp_path: Path) -> None:
    # The kernel fails a write beyond the limit of 64 KB just as it fails one on a full disk.
    limited = ("sh", "-c", 'ulimit -f "$((65536 / 512))" && exec "$0" "$@"')
    async with a_catcher(tmp_path, before=limited) as catcher:
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await catcher.send(a_letter(text="Kính gửi\n" * 20_000))
        await catcher.send(a_letter(subject="nhỏ"))

    assert refused.value.smtp_code == 452
    assert len(catcher.files()) == 1
    assert catcher.half_written() == []


async def test_a_folder_that_is_gone_refuses_for_the_time_being(tmp_path: Path) -> None:
    folder = tmp_path / "mail"
    async with a_catcher(folder) as catcher:
        folder.rename(tmp_path / "elsewhere")
        with pytest.raises(smtplib.SMTPDataError) as refused:
            await catcher.send(a_letter())
        (tmp_path / "elsewhere").rename(folder)
        await catcher.send(a_letter())

    assert refused.value.smtp_code == 451
    assert len(catcher.files()) == 1


async def test_a_second_catcher_does_not_take_the_folder_of_the_first(catcher: TheCatcher) -> None:
    with pytest.raises(AssertionError, match="ended with status 1"):
        async with a_catcher(catcher.folder):
            pass


async def test_a_busy_port_is_said_and_ends_the_start(
    catcher: TheCatcher, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(AssertionError, match="ended with status 1"):
        async with a_catcher(tmp_path / "other", MAIL_SMTP_PORT=str(catcher.web_port)):
            pass

    assert f"cannot listen on 127.0.0.1:{catcher.web_port}" in capfd.readouterr().out


async def test_no_address_is_logged(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    async with a_catcher(tmp_path) as catcher:
        await catcher.send(a_letter(to="canary@example.vn", subject="Canary"))
        with smtplib.SMTP("127.0.0.1", catcher.smtp_port, timeout=20) as smtp:
            smtp.ehlo()
            assert smtp.docmd("CANARY", "canary@example.vn")[0] == 500
            smtp.mail("canary@example.vn")
            assert smtp.docmd("RCPT", "TO:<canary@@example.vn")[0] == 553
        async with catcher.client() as client:
            await client.get("/mail/", params={"to": "canary"})

    logged = capfd.readouterr()
    assert "mail_taken" in logged.out
    assert "canary" not in (logged.out + logged.err).lower()


async def test_the_folder_is_for_nobody_else(catcher: TheCatcher) -> None:
    assert catcher.folder.stat().st_mode & 0o077 == 0


def test_names_sort_by_arrival_and_others_are_no_messages(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    folder.open()
    (tmp_path / "notes.eml").write_bytes(b"Subject: mine\r\n\r\n")

    with pytest.raises(FileNotFoundError):
        folder.read("../../etc/passwd")

    assert list(folder.heads()) == []
    folder.close()


async def test_letters_with_very_long_headers_are_listed_after_a_restart(tmp_path: Path) -> None:
    head = b"X-Long: " + b"x" * 900 + b"\r\n"
    async with a_catcher(tmp_path) as catcher:
        await catcher.send_bytes(head * 100 + b"Subject: last\r\n\r\ntext\r\n")

    async with a_catcher(tmp_path) as again, again.client() as client:
        [message] = (await client.get("/mail/messages")).json()["messages"]
    assert message["subject"] == "last"


async def test_an_international_address_is_taken(catcher: TheCatcher) -> None:
    message = a_letter(to="hạnh@ví-dụ.vn")

    await catcher.send_bytes(message.as_bytes(policy=policy.SMTPUTF8), to="hạnh@ví-dụ.vn")

    async with catcher.client() as client:
        found = (await client.get("/mail/messages", params={"to": "HẠNH@"})).json()["messages"]
    assert [message["to"] for message in found] == [["hạnh@ví-dụ.vn"]]
