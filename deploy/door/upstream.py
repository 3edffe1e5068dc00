"""One upstream: its address, and its connections, kept while they are of use."""

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from typing import Final

from deploy.door.connection import Connection, UpstreamAwayError, UpstreamBusyError, UpstreamLateError

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 4.0
"""An unused connection is not trusted for longer: uvicorn closes it after 5 s, and a request would meet the closing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At most `connections` at once; a request waits `queue_seconds` for one, and `connect_seconds` for its opening."""

    connections: int
    connect_seconds: float
    queue_seconds: float
    answer_seconds: float


class Upstream:
    """One upstream's address, and its connections, kept while they are of use."""

    def __init__(self, name: str, host: str, port: int, limits: Limits) -> None:
        self.name = name
        self.limits = limits
        self.authority = (f"[{host}]:{port}" if ":" in host else f"{host}:{port}").encode("ascii")
        self._host = host
        self._port = port
        self._places = asyncio.Semaphore(limits.connections)
        self._idle: deque[tuple[Connection, float]] = deque()
        self._away = False

    async def connection(self, *, fresh: bool = False) -> Connection:
        """A connection to be given back; an idle one unless it must be fresh.

        Raises UpstreamAwayError, UpstreamBusyError, UpstreamLateError.
        """
        await self._take_place()
        try:
            if not fresh:
                found = self._take_idle()
                if found is not None:
                    return found
            return await self._open()
        except BaseException:
            self._places.release()
            raise

    def give_back(self, connection: Connection) -> None:
        """The exchange is over."""
        self._places.release()
        if connection.reusable:
            self._idle.append((connection, asyncio.get_running_loop().time()))
        else:
            connection.abort()

    async def ask(self, path: str) -> tuple[int, bytes]:
        """GET `path`; status and body. Raises UpstreamError."""
        connection = await self.connection(fresh=True)
        try:
            connection.begin("GET")
            connection.write(b"GET %b HTTP/1.1\r\nhost: %b\r\n\r\n" % (path.encode("ascii"), self.authority))
            connection.sent = True
            status = await connection.head()
            body, last = await connection.part()
            while not last:
                more, last = await connection.part()
                body += more
            return status, body
        finally:
            self.give_back(connection)

    def close(self) -> None:
        """Close what is idle."""
        while self._idle:
            self._idle.pop()[0].abort()

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(self.limits.queue_seconds):
                await self._places.acquire()
        except TimeoutError:
            log.warning("upstream_busy", extra={"upstream": self.name, "connections": self.limits.connections})
            raise UpstreamBusyError(self.name) from None

    def _take_idle(self) -> Connection | None:
        # The last given back is the freshest: when it is too old, all are.
        trusted_since = asyncio.get_running_loop().time() - IDLE_SECONDS
        while self._idle:
            connection, since = self._idle.pop()
            if since < trusted_since:
                connection.abort()
            elif not connection.closed:
                return connection
        return None

    async def _open(self) -> Connection:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self.limits.connect_seconds):
                _, connection = await loop.create_connection(Connection, self._host, self._port)
        except TimeoutError:
            self._is_away()
            raise UpstreamLateError(self.name) from None
        except OSError:
            self._is_away()
            raise UpstreamAwayError(self.name) from None
        if self._away:
            self._away = False
            log.info("upstream_back", extra={"upstream": self.name})
        return connection

    def _is_away(self) -> None:
        # Said once, not for each request: a service that is away for a minute is asked for thousands of times.
        if not self._away:
            self._away = True
            log.warning("upstream_away", extra={"upstream": self.name})
