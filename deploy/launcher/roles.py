"""Roles and databases of the four services on any PostgreSQL, made over a superuser's connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import asyncpg

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import SERVICES

if TYPE_CHECKING:
    from deploy.launcher.postgres import Databases


@dataclass(frozen=True, slots=True)
class _Named:
    """What the address of a database says besides the server."""

    role: str
    password: str
    database: str


async def make(databases: Databases) -> None:
    """Roles and databases as their addresses name them; a second call changes nothing but a changed password.

    Each service has a database, owned by its owner's role, and a login that may read and write rows and nothing else.
    Nobody may connect to any other database: CONNECT is revoked from PUBLIC everywhere. Raises LaunchError for
    addresses that do not fit together or a server that sorts otherwise than we do, PostgresError and OSError.
    """
    owners = {service: _named(databases.owner[service], f"the owner's address of {service}") for service in SERVICES}
    logins = {service: _named(databases.login[service], f"the address of {service}") for service in SERVICES}
    for service in SERVICES:
        if owners[service].database != logins[service].database:
            raise LaunchError(f"The addresses of {service} name two databases: let login and owner name the same one.")
    connection = await asyncpg.connect(databases.superuser, timeout=10)
    try:
        await _refuse_other_locale(connection)
        roles = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
        there = {row["datname"] for row in await connection.fetch("SELECT datname FROM pg_database")}
        for service in SERVICES:
            owner, login = owners[service], logins[service]
            for named in (owner, login):
                verb = "ALTER" if named.role in roles else "CREATE"
                await _run(connection, f"{verb} ROLE %I LOGIN NOINHERIT PASSWORD %L", named.role, named.password)
            if owner.database not in there:
                await _run(connection, "CREATE DATABASE %I OWNER %I", owner.database, owner.role)
            await _run(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", owner.database)
            await _run(connection, "GRANT CONNECT ON DATABASE %I TO %I", owner.database, login.role)
        for name in there:
            await _run(connection, "REVOKE ALL ON DATABASE %I FROM PUBLIC", name)
    finally:
        await connection.close()
    for service in SERVICES:
        await _grant(databases.superuser, owners[service], logins[service].role)


async def _grant(superuser: str, owner: _Named, login: str) -> None:
    connection = await asyncpg.connect(superuser, database=owner.database, timeout=10)
    defaults = "ALTER DEFAULT PRIVILEGES FOR ROLE %I GRANT"
    try:
        await connection.execute("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
        await _run(connection, f"{defaults} USAGE ON SCHEMAS TO %I", owner.role, login)
        await _run(connection, f"{defaults} SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I", owner.role, login)
        await _run(connection, f"{defaults} USAGE, SELECT ON SEQUENCES TO %I", owner.role, login)
    finally:
        await connection.close()


async def _run(connection: asyncpg.Connection[asyncpg.Record], template: str, *values: str) -> None:
    """A statement that takes no parameters, its names (%I) and texts (%L) quoted by the server itself."""
    await connection.execute(await connection.fetchval("SELECT format($1, VARIADIC $2::text[])", template, values))


async def _refuse_other_locale(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """New databases are copies of template1: under another locale than builtin C.UTF-8, words fold otherwise."""
    found = await connection.fetchrow(
        "SELECT datlocprovider::text AS provider, datlocale AS locale FROM pg_database WHERE datname = 'template1'"
    )
    if found is None or (found["provider"], found["locale"]) not in {("b", "C.UTF-8"), ("b", "C.UTF8")}:
        raise LaunchError(
            "This PostgreSQL's template1 is not of the locale builtin C.UTF-8, in which the services compare words: "
            "make the cluster with initdb --locale-provider=builtin --builtin-locale=C.UTF-8 --encoding=UTF8."
        )


def _named(url: str, what: str) -> _Named:
    try:
        parts = urlsplit(url)
        role, password = unquote(parts.username or ""), unquote(parts.password or "")
    except ValueError as error:
        raise LaunchError(f"It cannot be read, {what}: write it postgresql://role:password@host:port/name.") from error
    database = unquote(parts.path.lstrip("/"))
    if not (role and password and database):
        raise LaunchError(
            f"It lacks a role, a password or a database, {what}: write it postgresql://role:password@host:port/name."
        )
    return _Named(role, password, database)
