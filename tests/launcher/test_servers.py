import asyncpg
import pytest

from deploy.launcher import kafka, topics
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES
from deploy.launcher.postgres import Databases, databases, make_databases
from deploy.launcher.servers import Servers, start_servers
from shared.topics import TOPICS, Topic
from tests.launcher.conftest import SUFFIX


@pytest.mark.parametrize("service", SERVICES)
async def test_a_login_reads_and_writes_rows_and_nothing_else(databases: Databases, service: str) -> None:
    owner = await asyncpg.connect(databases.owner[service])
    await owner.execute("CREATE TABLE it (id bigint GENERATED ALWAYS AS IDENTITY, word text)")
    await owner.execute("CREATE EXTENSION IF NOT EXISTS unaccent; CREATE EXTENSION IF NOT EXISTS pg_trgm")
    await owner.close()

    login = await asyncpg.connect(databases.login[service])
    await login.execute("INSERT INTO it (word) VALUES ('một')")
    assert await login.fetchval("SELECT word FROM it") == "một"
    for forbidden in (
        "CREATE TABLE mine (id int)",
        "CREATE TEMPORARY TABLE mine (id int)",
        "CREATE SCHEMA mine",
        "ALTER TABLE it ADD mine int",
        "DROP TABLE it",
        "TRUNCATE it",
        "CREATE DATABASE mine",
        "CREATE ROLE mine",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await login.execute(forbidden)
    await login.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_no_login_opens_a_neighbour_s_database_or_the_server_s_own(databases: Databases, service: str) -> None:
    neighbours = [f"{each}{SUFFIX}" for each in SERVICES if each != service]
    for mine in (databases.login[service], databases.owner[service]):
        for other in (*neighbours, "postgres", "template1"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
                await asyncpg.connect(mine.rpartition("/")[0] + f"/{other}")


async def test_making_the_databases_again_changes_nothing(servers: Servers, databases: Databases) -> None:
    owner = await asyncpg.connect(databases.owner["intake"])
    await owner.execute("CREATE TABLE kept (id int)")
    await owner.close()

    assert await make_databases(servers.layout, SUFFIX) == databases

    login = await asyncpg.connect(databases.login["intake"])
    assert await login.fetch("SELECT * FROM kept") == []
    await login.close()


async def test_the_server_knows_vietnamese_letters(databases: Databases) -> None:
    owner = await asyncpg.connect(databases.owner["intake"])
    await owner.execute("CREATE EXTENSION IF NOT EXISTS unaccent; CREATE EXTENSION IF NOT EXISTS pg_trgm")

    assert await owner.fetchval("SELECT lower('ĐĂNG KÝ')") == "đăng ký"
    assert await owner.fetchval("SELECT unaccent('Đăng ký')") == "Dang ky"
    assert await owner.fetchval("SELECT similarity('đăng', 'ng')") < 0.5
    assert await owner.fetchval("SELECT cardinality(show_trgm('đăng'))") == 5
    await owner.close()


async def test_the_server_listens_on_loopback_only_and_keeps_what_it_acknowledged(servers: Servers) -> None:
    connection = await asyncpg.connect(servers.databases.superuser)

    shown = {
        name: await connection.fetchval(f"SHOW {name}") for name in ("listen_addresses", "fsync", "data_checksums")
    }

    assert shown == {"listen_addresses": "127.0.0.1", "fsync": "on", "data_checksums": "on"}
    await connection.close()


async def test_a_wrong_password_is_refused(servers: Servers) -> None:
    url = servers.databases.login["intake"].replace(":", ":x", 2).replace(":x//", "://", 1)

    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(url)


async def test_secrets_are_readable_by_their_owner_alone(servers: Servers) -> None:
    folder = servers.layout.postgres

    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "secrets.json").stat().st_mode & 0o777 == 0o600


async def test_topics_are_created_once(servers: Servers) -> None:
    await topics.create(servers.kafka, TOPICS)
    await topics.create(servers.kafka, TOPICS)


async def test_a_topic_with_another_number_of_partitions_is_refused(servers: Servers) -> None:
    await topics.create(servers.kafka, [Topic("launcher.partitions", 2)])

    with pytest.raises(LaunchError, match="has 2 partitions and should have 3: delete it"):
        await topics.create(servers.kafka, [Topic("launcher.partitions", 3)])


async def test_a_broker_of_another_cluster_is_not_taken_for_ours(servers: Servers) -> None:
    assert await kafka.answers(servers.kafka, kafka.cluster_id(servers.layout.kafka / "data"))
    assert not await kafka.answers(servers.kafka, "L-somebody-elses-broker")
    assert not await kafka.answers("127.0.0.1:1")


async def test_servers_that_run_are_used_again(servers: Servers) -> None:
    again = await start_servers(servers.layout)

    assert {name: each.pid for name, each in again.running.items()} == {
        name: each.pid for name, each in servers.running.items()
    }
    assert again.databases == databases(servers.layout)
