"""An SMTP provider in this process, which answers as a test tells it to; and the letters that it took."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from aiosmtpd.smtp import SMTP, Envelope, Session

HANG_UP = "hang up"
OK = "250 OK"


@dataclass(slots=True)
class Provider:
    """``replies`` are given to the next letters, one each, then 250; `HANG_UP` takes the letter and says nothing."""

    letters: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    replies: deque[str] = field(default_factory=deque)
    mail_reply: str = OK
    rcpt_reply: str = OK
    hold: asyncio.Event | None = None
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    port: int = 0
    _server: asyncio.Server | None = None
    _open: set[asyncio.Transport] = field(default_factory=set)

    async def open(self) -> None:
        """Listen (again, on the same port)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Go away, connections that are open too."""
        if self._server is not None:
            self._server.close()
            for transport in self._open:
                transport.abort()
            self._open.clear()
            await self._server.wait_closed()
            self._server = None

    async def handle_MAIL(  # noqa: N802
        self, server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        self._open.add(_transport(server))
        if self.mail_reply == OK:
            envelope.mail_from = address
        return self.mail_reply

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.rcpt_reply == OK:
            envelope.rcpt_tos.append(address)
        return self.rcpt_reply

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        reply = self.replies.popleft() if self.replies else OK
        if reply in {OK, HANG_UP}:
            letter = message_from_bytes(envelope.original_content or b"", _class=EmailMessage, policy=default)
            assert isinstance(letter, EmailMessage)
            self.letters.append(letter)
            self.recipients.extend(envelope.rcpt_tos)
        if reply == HANG_UP:
            _transport(server).abort()
        return OK if reply == HANG_UP else reply

    def _protocol(self) -> SMTP:
        return SMTP(self, hostname="provider.example", enable_SMTPUTF8=True, loop=asyncio.get_running_loop())


def _transport(server: SMTP) -> asyncio.Transport:
    assert isinstance(server.transport, asyncio.Transport)
    return server.transport


@asynccontextmanager
async def a_provider() -> AsyncIterator[Provider]:
    """A provider that listens."""
    provider = Provider()
    await provider.open()
    try:
        yield provider
    finally:
        await provider.close()
