"""What must be there before a service starts: roles, databases, topics, schemas, keys."""

from __future__ import annotations

import asyncio
from importlib import import_module
from typing import TYPE_CHECKING

import asyncpg

from deploy.launcher import kafka, postgres, roles, topics
from deploy.launcher.errors import LaunchError
from shared.seal import KeysError, make_keys
from shared.store.migrations import MigrationChangedError
from shared.topics import CONTROL, TOPICS

if TYPE_CHECKING:
    from pathlib import Path

    from deploy.launcher.postgres import Databases
    from deploy.launcher.progress import Progress


async def prepare(servers: str, databases: Databases, keys: Path, progress: Progress) -> None:
    """Make what is missing on Kafka at `servers`, on PostgreSQL, among the keys; a second call changes nothing.

    Roles and databases are made only where a superuser's address is known; otherwise they must be there. Raises
    LaunchError when a server does not answer, refuses, or holds something that is not ours.
    """
    with progress.step("topics"):
        if not await kafka.answers(servers):
            raise LaunchError(f"No Kafka answers at {servers} (KAFKA_BOOTSTRAP_SERVERS): start it, or set that right.")
        await topics.create(servers, (*TOPICS, CONTROL))
    if databases.superuser:
        with progress.step("roles and databases"):
            await _roles(databases)
    for name, url in databases.login.items():
        if not await postgres.answers(url):
            raise LaunchError(f"DATABASE_URL_{name.upper()} does not let us in: start that server, or set it right.")
    with progress.step("schemas"):
        try:
            # The services are imported only now: whoever waits for a server need not wait for that too.
            await import_module("deploy.migrate").migrate_all(databases.owner)
        except (MigrationChangedError, asyncpg.PostgresError) as error:
            raise LaunchError(f"The schemas cannot be brought up to date: {error}") from error
        except (OSError, asyncpg.InterfaceError) as error:
            raise LaunchError("A database does not answer to its owner: set DATABASE_OWNER_URL_* right.") from error
    with progress.step("keys"):
        try:
            make_keys(keys)
        except KeysError as error:
            raise LaunchError(str(error)) from error
        except OSError as error:
            raise LaunchError(
                f"Keys cannot be written to {error.filename or keys} ({error.strerror}): give the folder of SEAL_KEYS "
                "to the user that the services run as, on a disk that may be written."
            ) from error


async def _roles(databases: Databases) -> None:
    try:
        async with asyncio.timeout(60):
            await roles.make(databases)
    except asyncpg.InvalidPasswordError as error:
        raise LaunchError(
            "PostgreSQL does not take the superuser's password (DATABASE_SUPERUSER_URL): it keeps the one that its "
            "cluster was made with, so give that, or change it there."
        ) from error
    except asyncpg.PostgresError as error:
        raise LaunchError(f"Roles and databases cannot be made: {type(error).__name__}: {error}.") from error
    except (OSError, TimeoutError, asyncpg.InterfaceError) as error:
        raise LaunchError(
            "PostgreSQL does not answer the superuser (DATABASE_SUPERUSER_URL): start it, or set that right."
        ) from error
