"""The pool and its transactions. READ COMMITTED throughout: order comes from row locks, one statement per step."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Transaction: TypeAlias = asyncpg.Connection[asyncpg.Record] | PoolConnectionProxy[asyncpg.Record]
    Pool: TypeAlias = asyncpg.Pool[asyncpg.Record]
else:
    Transaction = asyncpg.Connection
    Pool = asyncpg.Pool

log = logging.getLogger(__name__)

# Both lie below the consumer's session timeout (10 s), so that a holder that Kafka has given up does not keep a
# subject's row from its successor.
LOCK_TIMEOUT = "4s"
IDLE_IN_TRANSACTION_TIMEOUT = "5s"

# A connection whose other end is gone without a word answers nothing for ever: whoever waits on it gives it up. Ten
# times what the longest statement of a service takes on a busy machine.
_LONGEST_STATEMENT = 20.0

_TRANSIENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.IdleSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    asyncpg.InsufficientResourcesError,
    asyncpg.QueryCanceledError,
    # "another operation is in progress": a connection that was ended while nobody looked at it.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
    asyncio.IncompleteReadError,
)


def is_transient(error: BaseException) -> bool:
    """True for deadlock, lock timeout, a lost or refused connection, no space: the same work may be tried again."""
    if isinstance(error, asyncpg.InterfaceError):
        # asyncpg says InterfaceError for a connection that was closed under it, but also for a value that fits no
        # column (it is a ValueError too): that one would fail for ever.
        return not isinstance(error, ValueError) and ("clos" in str(error) or "released back" in str(error))
    return isinstance(error, _TRANSIENT)


async def connect(url: str, *, name: str, longest: float | None = None) -> asyncpg.Connection[asyncpg.Record]:
    """One direct connection, outside any pool (a relay's lock, a migration). Times out after 10 s.

    ``longest``: seconds for one statement, then TimeoutError; None: however long it takes (a migration).
    """
    return await asyncpg.connect(url, timeout=10, command_timeout=longest, server_settings={"application_name": name})


async def open_pool(url: str, *, name: str, smallest: int = 2, largest: int = 16) -> Pool:
    """A pool whose connections carry the time limits above; ``smallest`` of them are opened at once.

    While the server is away (or is just starting) there are none yet: that is logged once, and whoever wants one fails
    as when it goes away later. PostgresError when it is there and does not let us in.
    """
    pool = await asyncpg.create_pool(
        url,
        min_size=0,
        max_size=largest,
        timeout=10,
        command_timeout=_LONGEST_STATEMENT,
        init=_know_instants,
        reset=_leave_as_it_is,
        server_settings={
            "application_name": name,
            "lock_timeout": LOCK_TIMEOUT,
            "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
            # Compiling a set-based statement over unnest(...) costs more than running it.
            "jit": "off",
            # A plan that was made while a table was empty reads all of it, again and again, once it is full.
            "plan_cache_mode": "force_custom_plan",
        },
    )
    try:
        async with AsyncExitStack() as opened:
            for _ in range(smallest):
                await opened.enter_async_context(pool.acquire())
    except Exception as error:
        if not is_transient(error):
            await pool.close()
            raise
        log.warning("database_away", extra={"error": type(error).__name__})
    return pool


# PostgreSQL counts microseconds from here.
_EPOCH: Final = datetime(2000, 1, 1, tzinfo=UTC)


async def _know_instants(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Write instants by a codec of our own, at 0.25 µs each. The driver's takes 0.57: it asks of every one twice
    whether it is infinity, and comparing an instant with a time that has no offset is more work than sending it."""
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", format="tuple", encoder=_microseconds, decoder=_instant
    )


def _microseconds(instant: datetime) -> tuple[int]:
    """TypeError for an instant without an offset, which the driver would have taken for the machine's own time."""
    since = instant - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def _instant(microseconds: tuple[int]) -> datetime:
    return _EPOCH + timedelta(0, 0, microseconds[0])


async def _leave_as_it_is(_: asyncpg.Connection[asyncpg.Record]) -> None:
    """Nobody changes a session here, and the driver rolls back what was left open: its own reset (RESET ALL, and more)
    would be one more statement in every transaction, and a costly one."""


@dataclass(frozen=True, slots=True)
class Database:
    """A service's own database: its pool, and the signals that something was committed.

    ``committed`` wakes the relay; whoever else waits for commits has a signal of his own by `told_of_commits`.
    """

    pool: Pool
    committed: asyncio.Event = field(default_factory=asyncio.Event)
    _others: list[asyncio.Event] = field(default_factory=list, init=False, repr=False, compare=False)

    def told_of_commits(self) -> asyncio.Event:
        """One more signal that something was committed here. Clear it before looking, and look without telling."""
        signal = asyncio.Event()
        self._others.append(signal)
        return signal

    @asynccontextmanager
    async def connection(self, *, within: float | None = None) -> AsyncIterator[Transaction]:
        """A connection, each statement by itself; for whoever only reads.

        ``within``: seconds for one to be found, and for the block; then TimeoutError. A connection that answered
        nothing is closed: taking leave of it in good order would take as long again.
        """
        async with self.pool.acquire(timeout=within) as connection:
            try:
                async with asyncio.timeout(within) as limit:
                    yield connection
            except TimeoutError:
                connection.terminate()
                if not limit.expired():
                    await self.renew()
                raise

    @asynccontextmanager
    async def transaction(self, *, tells: bool = True) -> AsyncIterator[Transaction]:
        """A connection in a READ COMMITTED transaction: committed at the block's end, rolled back on an exception.

        One that answered nothing is closed instead: to roll back on it would take as long again. ``tells`` False:
        nobody is told of the commit, because what it writes gives nobody anything to do.
        """
        async with (
            self.pool.acquire() as connection,
            self._given_up_when_silent(connection),  # at BEGIN or COMMIT
            connection.transaction(),
            self._given_up_when_silent(connection),  # in between, before it is rolled back
        ):
            yield connection
        if tells:
            for signal in (self.committed, *self._others):
                signal.set()

    @asynccontextmanager
    async def _given_up_when_silent(self, connection: Transaction) -> AsyncIterator[None]:
        try:
            yield
        except TimeoutError:
            with suppress(asyncpg.InterfaceError):  # it was given up before
                connection.terminate()
            await self.renew()
            raise

    async def renew(self) -> None:
        """Trust no connection of the pool any more: each is replaced when it is wanted next.

        Where one leads nowhere, so do its neighbours as a rule; each of them would be found out by somebody who waits.
        """
        await self.pool.expire_connections()
