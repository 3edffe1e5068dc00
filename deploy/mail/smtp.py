"""SMTP in: every recipient is accepted, and a message is on disk before it is acknowledged."""

import asyncio
import errno
import logging
from datetime import UTC, datetime
from typing import Final

from aiosmtpd.smtp import SMTP, Envelope, Session

from deploy.mail.folder import Folder, MessageId
from deploy.mail.index import Index
from deploy.mail.letters import summary_of, with_envelope

log = logging.getLogger(__name__)

LARGEST_MESSAGE: Final = 10 * 1024 * 1024
"""Bytes; announced as SIZE (RFC 1870) and refused with 552."""

_TAKEN: Final = "250 2.0.0 OK: on disk"
_FULL: Final = "452 4.3.1 No room on the disk of the mail catcher; free some and try again"
_FAILED: Final = "451 4.3.0 The mail catcher could not keep the message; try again"
_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class Taking:
    """aiosmtpd's handler: takes messages into the folder and the index."""

    def __init__(self, folder: Folder, index: Index, *, keep_free_bytes: int) -> None:
        self._folder = folder
        self._index = index
        self._keep_free_bytes = keep_free_bytes
        self._under_way: set[asyncio.Task[str]] = set()

    def protocol(self) -> asyncio.Protocol:
        """A conversation with one client: the factory for `loop.create_server`."""
        return SMTP(
            self,
            data_size_limit=LARGEST_MESSAGE,
            enable_SMTPUTF8=True,
            hostname="mail-catcher.localhost",
            ident="Lienthong mail catcher",
        )

    async def handle_DATA(self, _server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """The answer to a message: 250 when it is on disk, 452 without room, 451 when something else went wrong."""
        # aiosmtpd cancels this when the client hangs up; a message that is half kept is kept to the end.
        task = asyncio.create_task(self._take(session, envelope))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)
        return await asyncio.shield(task)

    async def handle_exception(self, error: Exception) -> str:
        """What aiosmtpd did not foresee. Its message may quote an address, so only its kind is logged."""
        log.error("mail_conversation_failed", extra={"error": type(error).__name__})
        return _FAILED

    async def finish(self) -> None:
        """Wait for the messages that are being kept."""
        if self._under_way:
            await asyncio.wait(self._under_way)

    async def _take(self, session: Session, envelope: Envelope) -> str:
        content = envelope.original_content or b""
        arrived = datetime.now(UTC)
        data = with_envelope(
            content,
            sender=envelope.mail_from or "",
            recipients=tuple(envelope.rcpt_tos),
            peer=str(session.peer[0]) if session.peer else "",
            arrived=arrived,
        )
        try:
            name = await asyncio.to_thread(self._kept, data, arrived)
        except OSError as error:
            reason = errno.errorcode.get(error.errno or 0, "unknown")
            log.warning("mail_refused", extra={"reason": reason})
            return _FULL if error.errno in _NO_ROOM else _FAILED
        if name is None:
            log.warning("mail_refused", extra={"reason": "disk_full"})
            return _FULL
        self._index.add(summary_of(name, data, len(data)))
        log.info("mail_taken", extra={"mail": name, "bytes": len(data), "recipients": len(envelope.rcpt_tos)})
        return _TAKEN

    def _kept(self, data: bytes, arrived: datetime) -> MessageId | None:
        """None: there is no room. Waits for the disk."""
        if self._folder.free_bytes() < self._keep_free_bytes + len(data):
            return None
        return self._folder.keep(data, arrived)
