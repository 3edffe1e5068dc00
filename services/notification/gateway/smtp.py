"""The SMTP provider: a few connections, kept and used again; what it answers becomes an `Outcome`.

Replies are judged by where they come (RFC 5321, 3.3 and 4.2). Before a recipient was named, a refusal concerns us or
the provider, whomever the letter is for: the provider is *away*. At RCPT and DATA it concerns this letter: 4xx is for
now, 5xx for good, unless it is about who may send (RFC 3463, X.7: security or policy): many a provider keeps such a
refusal back until RCPT, and it is mended without the citizen. A connection lost once the text may have gone out leaves
the outcome *unknown* (RFC 1047: the provider may have taken it). Texts of replies are never kept: they may quote the
address.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator
from typing import Final, Literal, TypeAlias

from aiosmtplib import SMTP, SMTPException, SMTPResponseException

from services.notification.values import Accepted, Away, Outcome, Postponed, Refused, Unknown, Unsendable

_FOR_GOOD: Final = 500
_POLICY: Final = re.compile(r"5\.7\.\d")
"""How the text of a reply begins that is about who may send what (RFC 2034)."""
_NOT_AUTHENTICATED: Final = frozenset({530, 534, 535, 538})
"""Replies that say so without an enhanced code (RFC 4954)."""

_Step: TypeAlias = Literal["greeting", "recipient", "text"]


class Mail:
    """Sends letters. ``timeout``: seconds that one sending may take in all, connecting included."""

    def __init__(self, host: str, port: int, sender: str, timeout: float) -> None:
        self._host = host
        self._port = port
        self._sender = sender
        self._timeout = timeout
        self._idle: list[SMTP] = []

    async def send(self, address: str, letter: bytes) -> Outcome:
        """Hand a letter to the provider for this address. Raises nothing that the network can cause."""
        step: list[_Step] = ["greeting"]
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(address, letter, step)
        except TimeoutError:
            return _timed_out(step[0])

    async def probe(self) -> Away | None:
        """Whether the provider takes letters from us now: None when it does."""
        try:
            async with asyncio.timeout(self._timeout):
                greeted = await self._greeted(utf8=False)
                if not isinstance(greeted, SMTP):
                    return greeted if isinstance(greeted, Away) else None
                async with _closed_unless_kept(greeted, self._idle):
                    await greeted.rset()
        except (SMTPException, OSError) as error:  # TimeoutError is an OSError
            return _away(error)
        return None

    async def close(self) -> None:
        """Take leave of the provider."""
        while self._idle:
            connection = self._idle.pop()
            with contextlib.suppress(SMTPException, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await connection.quit()
            connection.close()

    async def _send(self, address: str, letter: bytes, step: list[_Step]) -> Outcome:
        utf8 = not address.isascii()
        connection = await self._greeted(utf8=utf8)
        if not isinstance(connection, SMTP):
            return connection
        try:
            async with _closed_unless_kept(connection, self._idle):
                step[0] = "recipient"
                await connection.rcpt(address, encoding="utf-8" if utf8 else "ascii")
                step[0] = "text"
                reply = await connection.data(letter)
        except SMTPResponseException as refused:
            by_policy = _is_policy(refused)
            if refused.code >= _FOR_GOOD and not by_policy:
                return Refused(refused.code)
            return Postponed(refused.code, by_policy=by_policy)
        except TimeoutError:
            return _timed_out(step[0])
        except (SMTPException, OSError):
            return Postponed(None) if step[0] == "recipient" else Unknown("connection_lost")
        return Accepted(reply.code)

    async def _greeted(self, *, utf8: bool) -> SMTP | Away | Unsendable:
        """A connection on which MAIL was accepted. One that was kept and is gone meanwhile is replaced by a new one."""
        while self._idle:
            connection = self._idle.pop()
            try:
                return await self._mail(connection, utf8=utf8)
            except (SMTPException, OSError):
                continue  # it idled too long for the provider's taste
        connection = SMTP(
            hostname=self._host,
            port=self._port,
            timeout=self._timeout,
            local_hostname=self._sender.rpartition("@")[2],  # asking for our own name would ask a name server
        )
        try:
            await connection.connect()
            return await self._mail(connection, utf8=utf8)
        except (SMTPException, OSError) as error:
            return _away(error)

    async def _mail(self, connection: SMTP, *, utf8: bool) -> SMTP | Unsendable:
        try:
            if utf8 and not connection.supports_extension("smtputf8"):
                self._idle.append(connection)
                return Unsendable("address_needs_smtputf8")
            await connection.mail(self._sender, options=["SMTPUTF8"] if utf8 else [])
        except BaseException:
            connection.close()
            raise
        return connection


@contextlib.asynccontextmanager
async def _closed_unless_kept(connection: SMTP, idle: list[SMTP]) -> AsyncIterator[None]:
    """Keeps a connection on which everything went well; any other is closed, because where it stands is not sure."""
    try:
        yield
    except BaseException:
        connection.close()
        raise
    idle.append(connection)


def _is_policy(refused: SMTPResponseException) -> bool:
    return refused.code in _NOT_AUTHENTICATED or _POLICY.match(refused.message) is not None


def _timed_out(step: _Step) -> Outcome:
    match step:
        case "greeting":
            return Away("timed_out")
        case "recipient":
            return Postponed(None)
        case "text":
            return Unknown("timed_out")


def _away(error: SMTPException | OSError) -> Away:
    if isinstance(error, SMTPResponseException):
        return Away("refuses_us", error.code)
    if isinstance(error, TimeoutError):
        return Away("timed_out")
    return Away("no_connection")
