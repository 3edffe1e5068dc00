"""A real mail catcher in its own process, and a client that speaks real SMTP to it."""

import asyncio
import smtplib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import httpx
import pytest

from tests.processes import free_port, running


@dataclass(frozen=True)
class TheCatcher:
    """A mail catcher's addresses, folder and process."""

    smtp_port: int
    web_port: int
    folder: Path
    process: asyncio.subprocess.Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.web_port}"

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=self.url, trust_env=False, timeout=20)

    async def send(self, *messages: EmailMessage) -> None:
        """Over SMTP, one after the other; returns when all are acknowledged."""
        await asyncio.to_thread(self._send, messages)

    def _send(self, messages: tuple[EmailMessage, ...]) -> None:
        with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20) as smtp:
            for message in messages:
                smtp.send_message(message)

    async def send_bytes(self, data: bytes, to: str = "hanh@example.vn") -> None:
        """A message byte by byte as it is."""

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", self.smtp_port, timeout=20) as smtp:
                smtp.sendmail("mot-cua@example.vn", [to], data, mail_options=["SMTPUTF8", "BODY=8BITMIME"])

        await asyncio.to_thread(send)

    def files(self) -> list[Path]:
        """What lies in the folder, by arrival."""
        return sorted(self.folder.glob("*.eml"))

    def half_written(self) -> list[Path]:
        """What lies in the folder and is no message yet."""
        return list(self.folder.glob("*.arriving"))


@asynccontextmanager
async def a_catcher(folder: Path, *, before: tuple[str, ...] = (), **environment: str) -> AsyncIterator[TheCatcher]:
    """A mail catcher on a folder."""
    smtp, web = free_port(), free_port()
    settings = {"MAIL_SMTP_PORT": str(smtp), "MAIL_WEB_PORT": str(web), "MAIL_FOLDER": str(folder)}
    async with running("deploy.mail", settings | environment, smtp, web, before=before) as process:
        yield TheCatcher(smtp, web, folder, process)


@pytest.fixture
async def catcher(tmp_path: Path) -> AsyncIterator[TheCatcher]:
    """A mail catcher with an empty folder."""
    async with a_catcher(tmp_path / "mail") as one:
        yield one


def a_letter(
    *,
    subject: str = "Hồ sơ đã được tiếp nhận",
    to: str = "hanh@example.vn",
    message_id: str = "",
    text: str = "Kính gửi",
) -> EmailMessage:
    """A valid message."""
    message = EmailMessage()
    message["From"] = "Một cửa <mot-cua@example.vn>"
    message["To"] = to
    message["Subject"] = subject
    if message_id:
        message["Message-ID"] = message_id
    message.set_content(text)
    return message
