"""The store's walls and manners: who may open what, migrations, named queries, what deserves another try."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from deploy.launcher.layout import SERVICES, Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from shared.store import Database, Migrations, Queries, connect, end_standing_still, is_transient, migrate, open_pool
from shared.store.migrations import MigrationChangedError
from shared.store.queries import parse
from tests.faults.wire import Wire, through, wire_to
from tests.listening import emptied, listening
from tests.processes import until

_TABLES = """
SELECT tablename::text AS name, has_table_privilege(tablename, 'SELECT') AS may_read,
       has_table_privilege(tablename, 'INSERT') AND has_table_privilege(tablename, 'UPDATE') AS may_write
  FROM pg_tables WHERE schemaname = 'public'
"""


_FEEDING = "SELECT wait_event = 'ClientRead' AND state = 'active' FROM pg_stat_activity WHERE pid = $1"


@pytest.fixture(scope="module")
async def made(servers: Servers, layout: Layout) -> AsyncIterator[Databases]:
    async with listening(layout, "_store") as ours:
        yield ours


@pytest.fixture
async def database(made: Databases) -> AsyncIterator[Database]:
    async with emptied(made, "intake") as ours:
        yield ours


# --- walls -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["login", "owner"])
@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_opens_its_own_database_and_no_other(made: Databases, service: str, kind: str) -> None:
    own = getattr(made, kind)[service]
    base = own.rsplit("/", 1)[0]
    neighbours = [f"{other}_store" for other in SERVICES if other != service]

    for other in (*neighbours, *(other for other in SERVICES if other != service), "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(f"{base}/{other}")
    await (await asyncpg.connect(own)).close()


@pytest.mark.parametrize(
    "ddl",
    [
        "CREATE TABLE mine (a int)",
        "CREATE TEMPORARY TABLE mine (a int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE journal ADD COLUMN mine int",
        "ALTER TABLE journal DISABLE TRIGGER ALL",
        "ALTER TABLE heard SET (fillfactor = 10)",
        "DROP TABLE outbox",
        "TRUNCATE journal",
        "CREATE INDEX ON journal (type)",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION unaccent",
        "SET ROLE intake_owner",
        "COPY journal TO PROGRAM 'cat'",
        "SELECT pg_read_file('postgresql.conf')",
    ],
)
async def test_a_login_cannot_change_the_shape_of_its_store(database: Database, ddl: str) -> None:
    async with database.pool.acquire() as connection:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(ddl)


async def test_a_login_reads_and_writes_every_table_but_only_reads_the_list_of_migrations(database: Database) -> None:
    async with database.pool.acquire() as connection:
        rows = await connection.fetch(_TABLES)

    assert {row["name"] for row in rows if not row["may_write"]} <= {"migration"}
    assert all(row["may_read"] for row in rows if row["name"] != "migration")


# --- migrations ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def owner(made: Databases) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    connection = await connect(made.owner["intake"], name="tests")
    try:
        yield connection
    finally:
        await connection.execute("DROP TABLE IF EXISTS one, two")
        await connection.execute("DELETE FROM migration WHERE origin = 'mine'")
        await connection.close()


def a_folder(path: Path, *files: tuple[str, str]) -> Migrations:
    for name, sql in files:
        (path / name).write_text(sql, encoding="utf-8")
    return Migrations("mine", path)


async def test_migrations_are_applied_once_in_order(owner: asyncpg.Connection[asyncpg.Record], tmp_path: Path) -> None:
    mine = a_folder(
        tmp_path, ("0002_two.sql", "ALTER TABLE one ADD b int"), ("0001_one.sql", "CREATE TABLE one (a int)")
    )

    assert await migrate(owner, [mine]) == 2
    assert await migrate(owner, [mine]) == 0


async def test_a_migration_that_was_edited_after_it_was_applied_is_refused(
    owner: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    await migrate(owner, [a_folder(tmp_path, ("0001_one.sql", "CREATE TABLE one (a int)"))])

    edited = a_folder(
        tmp_path, ("0001_one.sql", "CREATE TABLE one (a bigint)"), ("0002_two.sql", "CREATE TABLE two ()")
    )
    with pytest.raises(MigrationChangedError, match="mine/0001_one was edited"):
        await migrate(owner, [edited])

    assert await owner.fetchval("SELECT to_regclass('two')") is None


async def test_a_migration_that_fails_leaves_nothing_and_keeps_nobody_out(
    owner: asyncpg.Connection[asyncpg.Record], tmp_path: Path
) -> None:
    bad = a_folder(tmp_path, ("0001_one.sql", "CREATE TABLE one (a int); SELECT 1/0"))

    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrate(owner, [bad])
    (tmp_path / "0001_one.sql").write_text("CREATE TABLE one (a int)", encoding="utf-8")

    assert await migrate(owner, [bad]) == 1


async def test_two_who_migrate_at_once_apply_each_migration_once(made: Databases, tmp_path: Path) -> None:
    mine = a_folder(
        tmp_path, ("0001_one.sql", "CREATE TABLE one (a int)"), ("0002_two.sql", "CREATE TABLE two (a int)")
    )
    owners = [await connect(made.owner["routing"], name="tests") for _ in range(4)]
    try:
        applied = await asyncio.gather(*(migrate(owner, [mine]) for owner in owners))
    finally:
        await owners[0].execute("DROP TABLE IF EXISTS one, two")
        await owners[0].execute("DELETE FROM migration WHERE origin = 'mine'")
        for owner in owners:
            await owner.close()

    assert sorted(applied) == [0, 0, 0, 2]


@pytest.mark.parametrize(
    "names", [["0002_two.sql"], ["0001_one.sql", "0001_two.sql"], ["0001_one.sql", "0003_three.sql"]]
)
def test_numbers_of_migrations_have_no_gaps_and_no_doubles(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not numbered 1\.\.n"):
        a_folder(tmp_path, *((name, "SELECT 1") for name in names)).files()


# --- named queries ---------------------------------------------------------------------------------------------------


def test_a_query_is_what_stands_below_its_name_without_comments() -> None:
    text = "-- a file\n-- name: one\n-- What it does.   $1 a\nSELECT 1\n -- indented\n;\n\n-- name: two\nSELECT 2;\n"

    assert parse(text) == {"one": "SELECT 1\n -- indented\n;", "two": "SELECT 2;"}


def test_a_name_is_said_once_in_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="two queries are named one"):
        parse("-- name: one\nSELECT 1;\n-- name: one\nSELECT 2;")
    for file in ("a.sql", "b.sql"):
        (tmp_path / file).write_text("-- name: one\nSELECT 1;", encoding="utf-8")
    with pytest.raises(ValueError, match=r"two queries are named one, one of them in b\.sql"):
        Queries(tmp_path)["one"]


def test_queries_of_sub_folders_are_not_this_folder_s(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("-- name: one\nSELECT 1;", encoding="utf-8")
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_a.sql").write_text("-- name: two\nSELECT 2;", encoding="utf-8")

    assert dict(Queries(tmp_path)) == {"one": "SELECT 1;"}


# --- transactions and what deserves another try ----------------------------------------------------------------------


async def test_a_transaction_keeps_what_was_done_or_nothing(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO stream (subject) VALUES ('a')")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    async with database.transaction() as tx:
        assert await tx.fetchval("SELECT count(*) FROM stream") == 0
        assert await tx.fetchval("SHOW transaction_isolation") == "read committed"


@pytest.mark.parametrize(
    "instant",
    [
        datetime(2026, 7, 1, 8, 30, 0, 123456, tzinfo=timezone(timedelta(hours=7))),
        datetime(1999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(1900, 1, 1, tzinfo=UTC),
        datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
    ],
)
async def test_an_instant_comes_back_to_the_microsecond_and_in_utc(database: Database, instant: datetime) -> None:
    async with database.connection() as connection:
        alone = await connection.fetchval("SELECT $1::timestamptz", instant)
        among = await connection.fetchval("SELECT $1::timestamptz[]", [instant, None])
        as_text = await connection.fetchval("SELECT ($1::timestamptz AT TIME ZONE 'UTC')::text", instant)

    assert among == [instant, None]
    assert (alone, alone.tzinfo) == (instant, UTC)
    assert datetime.fromisoformat(as_text).replace(tzinfo=UTC) == instant


async def test_an_instant_without_an_offset_is_refused(database: Database) -> None:
    async with database.connection() as connection:
        with pytest.raises(asyncpg.DataError):
            await connection.fetchval("SELECT $1::timestamptz", datetime(2026, 7, 1, 8, 30))  # noqa: DTZ001


async def test_time_limits_lie_below_the_session_timeout_of_a_consumer(database: Database) -> None:
    async with database.pool.acquire() as connection:
        assert await connection.fetchval("SHOW lock_timeout") == "4s"
        assert await connection.fetchval("SHOW idle_in_transaction_session_timeout") == "5s"


@asynccontextmanager
async def far_away(made: Databases) -> AsyncIterator[tuple[Wire, Database]]:
    """Intake's store by a single connection, over a wire that may be halved."""
    there = urlsplit(made.login["intake"])
    assert there.port is not None
    async with wire_to(there.port) as wire:
        pool = await open_pool(through(made.login["intake"], wire.port), name="tests wire", smallest=1, largest=1)
        yield wire, Database(pool)
        pool.terminate()


@pytest.mark.parametrize("within", [0.2, None])
async def test_a_connection_that_answers_nothing_is_given_up_and_not_waited_for_again(
    made: Databases, monkeypatch: pytest.MonkeyPatch, within: float | None
) -> None:
    """Taking leave of it would take as long as a statement may: for ever here, but for the one that finds it out."""
    monkeypatch.setattr("shared.store.pool._LONGEST_STATEMENT", 3600.0)
    async with far_away(made) as (wire, far):
        wire.halve()

        with pytest.raises(TimeoutError):
            async with far.connection(within=within) as connection:
                await connection.fetchval("SELECT 1", timeout=0.2)
        async with far.connection() as connection:
            answer = await connection.fetchval("SELECT 1")

    assert answer == 1


@pytest.mark.parametrize("where", ["begin", "within", "commit"])
async def test_a_transaction_that_is_answered_nothing_is_given_up_wherever_it_stands(
    made: Databases, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It is not waited for once more, until it was cancelled and rolled back: here that would be for ever."""

    async def never(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr("shared.store.pool._LONGEST_STATEMENT", 0.5)
    async with far_away(made) as (wire, far):
        monkeypatch.setattr(asyncpg.Connection, "_cancel", never)

        async def transact() -> None:
            if where == "begin":
                wire.halve()
            async with far.transaction() as tx:
                if where == "within":
                    wire.halve()
                await tx.fetchval("SELECT 1")
                if where == "commit":
                    wire.halve()

        # The driver rolls back a connection that was closed within, and says so instead.
        async with asyncio.timeout(60):
            with pytest.raises((TimeoutError, asyncpg.InterfaceError)) as silent:
                await transact()
        assert is_transient(silent.value)
        async with far.transaction() as tx:
            answer = await tx.fetchval("SELECT 1")

    assert answer == 1


async def test_deadlocks_lock_timeouts_and_lost_connections_are_tried_again(database: Database) -> None:
    async with database.pool.acquire() as connection:
        async with database.transaction() as tx:
            await tx.execute("INSERT INTO stream (subject) VALUES ('a')")
            await connection.execute("SET lock_timeout = '50ms'")
            with pytest.raises(asyncpg.LockNotAvailableError) as waited:
                await connection.execute("INSERT INTO stream (subject) VALUES ('a')")
        await connection.execute("RESET lock_timeout")
    async with database.pool.acquire() as victim:
        async with database.pool.acquire() as other:
            await other.execute("SELECT pg_terminate_backend($1)", victim.get_server_pid())
        # Which of them it is depends on whether the client has noticed yet.
        with pytest.raises(
            (asyncpg.PostgresError, asyncpg.InternalClientError, asyncpg.InterfaceError, OSError)
        ) as killed:
            await victim.execute("SELECT 1")
    with pytest.raises(asyncpg.InterfaceError) as closed:
        await victim.execute("SELECT 1")

    for one in (waited, killed, closed):
        assert is_transient(one.value)
    for error in (asyncpg.DeadlockDetectedError("x"), ConnectionRefusedError(), TimeoutError(), socket.gaierror()):
        assert is_transient(error)


@pytest.mark.parametrize("locks", ["INSERT INTO stream (subject) VALUES ('a')", "SELECT pg_advisory_xact_lock(7)"])
async def test_a_client_that_stands_still_in_the_middle_of_a_statement_keeps_nobody_waiting(
    database: Database, locks: str
) -> None:
    """The idle time limit does not reach such a session; the same look leaves sessions alone that work or wait."""
    feeding = asyncio.Event()

    async def stands_still() -> AsyncIterator[bytes]:
        feeding.set()
        await asyncio.Event().wait()
        yield b""

    async with database.pool.acquire() as connection, database.pool.acquire() as observer, observer.transaction():
        await observer.execute("INSERT INTO stream (subject) VALUES ('b')")
        await observer.execute("SELECT pg_advisory_xact_lock(8)")
        await connection.execute("BEGIN")
        await connection.execute(locks)
        copying = asyncio.create_task(connection.copy_to_table("stream", source=stands_still(), columns=["subject"]))
        await feeding.wait()
        async with database.pool.acquire() as third:

            async def is_seen() -> bool:
                return bool(await third.fetchval(_FEEDING, connection.get_server_pid()))

            await until(is_seen, "the session waits for its client")
            assert await end_standing_still(third, timedelta(hours=1)) == 0
            assert await end_standing_still(third, timedelta(0)) == 1
            await third.execute(locks)
            await third.execute("INSERT INTO stream (subject) VALUES ('c')")
        assert await observer.fetchval("SELECT count(*) FROM stream WHERE subject IN ('b', 'c')") == 2
        copying.cancel()
        await asyncio.gather(copying, return_exceptions=True)


async def test_what_would_fail_for_ever_is_not_tried_again(database: Database) -> None:
    async with database.pool.acquire() as connection:
        for query, value in (
            ("SELECT $1::int", 2**40),
            ("SELECT $1::text", "a\x00b"),
            ("SELECT $1::text", "\ud800"),
            ("SELECT $1::int[]", ["closed"]),
            ("SELECT 1 / $1::int", 0),
            ("SELECT no_such_function($1)", 1),
        ):
            with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, ValueError)) as failed:
                await connection.execute(query, value)
            assert not is_transient(failed.value), query
    assert not is_transient(KeyError())
