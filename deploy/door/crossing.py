"""One request's way through the door and its answer's way back, both as streams."""

import asyncio
import contextlib
import logging
from typing import Final

from starlette.types import Message, Receive, Scope, Send

from deploy.door.connection import (
    ClientGoneError,
    Connection,
    UpstreamBrokenError,
    UpstreamError,
    UpstreamLateError,
)
from deploy.door.fields import request_fields, response_fields
from deploy.door.upstream import Upstream

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 0.2
"""After so long without the whole answer, the door begins to watch whether the client is still there. Most answers are
there sooner, and a task for each request costs half as much again (114 against 72 microseconds)."""

CONTINUE_SECONDS: Final = 1.0
"""How long a client that asked for 100 (Continue) is kept waiting for it (RFC 9110 10.1.1: not for ever)."""

LINGER_BYTES: Final = 64 * 1024 * 1024
LINGER_SECONDS: Final = 10.0
"""How much of a refused body is still read, so that the client sees the refusal. To close at once would be to send a
TCP reset, which may overtake the answer (RFC 9112 9.6)."""

REPEATABLE: Final = frozenset({"GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"})
"""Idempotent methods (RFC 9110 9.2.2)."""

BODILESS: Final = frozenset({204, 304})
"""These answers have no body, whatever length the answer to a GET would have had (RFC 9110 8.6)."""


class Crossing:
    """Carries one request to an upstream, and the answer back. Used once."""

    def __init__(self, upstream: Upstream, scope: Scope, receive: Receive, send: Send) -> None:
        self._upstream = upstream
        self._scope = scope
        self._receive = receive
        self._send = send
        names = dict(scope["headers"])
        self._chunked = b"transfer-encoding" in names
        self._expects = names.get(b"expect", b"").lower() == b"100-continue"
        self._repeatable = scope["method"] in REPEATABLE or b"idempotency-key" in names
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._read_whole = False
        self.refused_unread = self._expects
        """The client waits to be asked for its body, and was not: its connection can carry no other request."""

    async def run(self) -> None:
        """Answer the request, or return because the client is gone.

        Raises UpstreamError when nothing has been answered yet; an answer that breaks off in its middle breaks off for
        the client too.
        """
        first: Message = {"type": "http.request", "body": b"", "more_body": True}
        if not self._expects:
            first = await self._receive()
            if first["type"] == "http.disconnect":
                return
        self._read_whole = not first.get("more_body", False)
        request = self._request_head() + self._framed(first.get("body", b""), last=self._read_whole)
        try:
            if not await self._attempt(request, fresh=False):
                await self._attempt(request, fresh=True)
        except ClientGoneError:
            return
        except UpstreamError as error:
            if isinstance(error, UpstreamLateError):
                log.warning("upstream_late", extra={"upstream": self._upstream.name})
            elif isinstance(error, UpstreamBrokenError):
                log.warning("upstream_broke_off", extra={"upstream": self._upstream.name, "answer": "none"})
            await self._read_out()
            raise

    async def _attempt(self, request: bytes, *, fresh: bool) -> bool:
        """Whether it is done with; if not, it may be tried once more, on a fresh connection."""
        connection = await self._upstream.connection(fresh=fresh)
        try:
            connection.begin(self._scope["method"])
            connection.write(request)
            await self._attend(connection)
            try:
                status = await connection.head()
            except UpstreamBrokenError:
                # It may have closed an idle connection while our request was on its way (RFC 9112 9.3.1). Whether it
                # read anything cannot be known, so only what may be repeated is sent once more.
                if connection.reused and self._read_whole and self._repeatable:
                    return False
                raise
            await self._answer(connection, status)
            return True
        finally:
            await self._stop_attending()
            self._upstream.give_back(connection)

    def _request_head(self) -> bytes:
        scope = self._scope
        peer = scope["client"][0] if scope.get("client") else None
        fields = request_fields(scope["headers"], peer=peer, scheme=scope["scheme"])
        query: bytes = scope["query_string"]
        target = scope["raw_path"] + (b"?" + query if query else b"")
        lines = [b"%b %b HTTP/1.1\r\n" % (scope["method"].encode("ascii"), target)]
        lines += [b"%b: %b\r\n" % field for field in fields]
        if self._chunked:
            lines.append(b"transfer-encoding: chunked\r\n")
        if not any(name == b"host" for name, _ in fields):
            lines.append(b"host: %b\r\n" % self._upstream.authority)
        lines.append(b"\r\n")
        return b"".join(lines)

    def _framed(self, body: bytes, *, last: bool) -> bytes:
        """A part of the request's body as it goes on the wire (RFC 9112 7.1)."""
        if not self._chunked:
            return body
        chunk = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return chunk + b"0\r\n\r\n" if last else chunk

    async def _attend(self, connection: Connection) -> None:
        """See to the rest of the request, to a client that leaves and to an upstream that keeps silent."""
        if self._read_whole:
            connection.sent = True
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(PATIENCE_SECONDS, self._begin, connection)
            return
        if self._expects:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CONTINUE_SECONDS):
                    await connection.continued_or_answered()
            if connection.status is not None:
                return
        self.refused_unread = False
        self._begin(connection)

    def _begin(self, connection: Connection) -> None:
        work = self._watch(connection) if self._read_whole else self._upload(connection)
        self._task = asyncio.get_running_loop().create_task(work)

    async def _upload(self, connection: Connection) -> None:
        while not self._read_whole:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                connection.fail(ClientGoneError())
                return
            self._read_whole = not message.get("more_body", False)
            if not connection.listens:
                return
            connection.write(self._framed(message.get("body", b""), last=self._read_whole))
            connection.sent = self._read_whole
            try:
                async with asyncio.timeout(self._upstream.limits.answer_seconds):
                    await connection.drained()
            except TimeoutError:
                connection.fail(UpstreamLateError(self._upstream.name))
        await self._watch(connection)

    async def _watch(self, connection: Connection) -> None:
        try:
            async with asyncio.timeout(self._upstream.limits.answer_seconds):
                await self._receive()
        except TimeoutError:
            if connection.status is None:
                connection.fail(UpstreamLateError(self._upstream.name))
                return
            await self._receive()
        if not connection.complete:
            connection.fail(ClientGoneError())

    async def _answer(self, connection: Connection, status: int) -> None:
        fields = response_fields(connection.fields)
        if status in BODILESS:
            fields = [field for field in fields if field[0] != b"content-length"]
        if self.refused_unread:
            fields.append((b"connection", b"close"))
        await self._send({"type": "http.response.start", "status": status, "headers": fields})
        last = False
        while not last:
            try:
                data, last = await connection.part()
            except UpstreamError:
                # The client must not take the half for the whole. Returning here makes the server close its connection.
                log.warning("upstream_broke_off", extra={"upstream": self._upstream.name, "answer": "half"})
                return
            if last and not self._read_whole:
                await self._send({"type": "http.response.body", "body": data, "more_body": True})
                data = b""
                await self._stop_attending()
                await self._read_out()
            await self._send({"type": "http.response.body", "body": data, "more_body": not last})

    async def _read_out(self) -> None:
        """Read on for a while what the client still sends, although nobody wants it any more."""
        read = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_SECONDS):
                while not self._read_whole and not self.refused_unread and read < LINGER_BYTES:
                    message = await self._receive()
                    read += len(message.get("body", b""))
                    self._read_whole = message["type"] == "http.disconnect" or not message.get("more_body", False)

    async def _stop_attending(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait({task})
