"""The product's own processes: what each is called, what it is given, how it is known to be ready."""

from __future__ import annotations

import asyncio
import os
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, SERVICES
from deploy.launcher.postgres import Databases
from deploy.launcher.process import Program
from deploy.sample.says import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from deploy.launcher.layout import Layout

# What a process must not inherit from the shell that started us: its neighbours' databases above all.
_PRIVATE = ("DATABASE_URL_", "DATABASE_OWNER_URL_", "KAFKA_BOOTSTRAP_SERVERS", "PYTHONPATH", "VIRTUAL_ENV")
_HTTP_SECONDS = 2


def wants_sample(environ: Mapping[str, str]) -> bool:
    """Whether the sample town goes in here: unless LIENTHONG_SAMPLE says no."""
    return environ.get("LIENTHONG_SAMPLE", "").casefold() not in {"no", "0", "false"}


def digits_of(environ: Mapping[str, str]) -> dict[str, str]:
    """The two digits of the town in the sample's unit codes (LIENTHONG_UNIT_DIGITS), by the name of the argument."""
    digits = environ.get("LIENTHONG_UNIT_DIGITS", "")
    if digits and not (len(digits) == 2 and digits.isascii() and digits.isdigit()):
        raise LaunchError(f"LIENTHONG_UNIT_DIGITS is {digits!r}: it is the two digits of the town in its unit codes.")
    return {"digits": digits} if digits else {}


@dataclass(frozen=True, slots=True)
class External:
    """Servers that somebody else runs: Kafka's address and the four databases', None where ours are used."""

    kafka: str | None = None
    databases: Databases | None = None

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> External:
        """What KAFKA_BOOTSTRAP_SERVERS, DATABASE_URL_* and DATABASE_OWNER_URL_* name.

        An owner that is not named is the login (then migrations run with it). Raises LaunchError when some of the four
        databases are named and others are not.
        """
        login = {each: environ.get(f"DATABASE_URL_{each.upper()}", "") for each in SERVICES}
        missing = [f"DATABASE_URL_{each.upper()}" for each, url in login.items() if not url]
        if 0 < len(missing) < len(SERVICES):
            raise LaunchError(f"Name all four databases or none: {', '.join(missing)} is missing.")
        databases = None
        if not missing:
            owner = {each: environ.get(f"DATABASE_OWNER_URL_{each.upper()}") or url for each, url in login.items()}
            databases = Databases(login=login, owner=owner)
        return cls(environ.get("KAFKA_BOOTSTRAP_SERVERS") or None, databases)

    @property
    def names(self) -> tuple[str, ...]:
        """Which of our own servers are not needed."""
        return (*(["postgres"] if self.databases else []), *(["kafka"] if self.kafka else []))


def mail(layout: Layout) -> Program:
    """The mail catcher: takes mail over SMTP, shows it in the browser."""
    given = {
        "MAIL_FOLDER": str(layout.mail),
        "MAIL_WEB_PORT": str(layout.ports["mail"]),
        "MAIL_SMTP_PORT": str(layout.ports["smtp"]),
    }
    return _python("mail", "deploy.mail", layout, given)


def receiver(layout: Layout) -> Program:
    """The receiver of traces, metrics and logs: takes OTLP, keeps it bounded."""
    given = {"RECEIVER_FOLDER": str(layout.telemetry), "RECEIVER_PORT": str(layout.ports["receiver"])}
    return _python("receiver", "deploy.receiver", layout, given, {"DEV_ACTOR": "true"})


def operations(layout: Layout) -> Program:
    """The operators' pages: they ask the services and the receiver over HTTP."""
    asked = {f"UPSTREAM_{each.upper()}": layout.url(each) for each in (*SERVICES, "receiver")}
    given = {"OPERATIONS_PORT": str(layout.ports["operations"]), **asked}
    return _python("operations", "deploy.operations", layout, given, {"DEV_ACTOR": "true"})


def service(name: str, layout: Layout, kafka: str, databases: Databases) -> Program:
    """One of the four: it gets its own database and no other, and no owner's password."""
    given = {
        "KAFKA_BOOTSTRAP_SERVERS": kafka,
        f"DATABASE_URL_{name.upper()}": databases.login[name],
        "HTTP_HOST": HOST,
        "HTTP_PORT": str(layout.ports[name]),
        "SEAL_KEYS": str(layout.keys),
        "ERASURE_REGISTER": str(layout.erasures),
    }
    chosen = {
        "SMTP_HOST": HOST,
        "SMTP_PORT": str(layout.ports["smtp"]),
        "SLOT": "0",
        "DEV_ACTOR": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": layout.url("receiver"),
    }
    return _python(name, f"services.{name}", layout, given, chosen)


def door(layout: Layout) -> Program:
    """The front door: one port before everything that speaks HTTP."""
    upstreams = {f"UPSTREAM_{each.upper()}": layout.url(each) for each in (*SERVICES, "mail", "receiver", "operations")}
    given = {"DOOR_PORT": str(layout.ports["door"]), "DOOR_STARTED_BY": "launcher", **upstreams}
    return _python("door", "deploy.door", layout, given, {"DOOR_HOST": HOST})


async def is_healthy(port: int, path: str = "/health/ready") -> bool:
    """Whether GET answers 200 within two seconds. By hand: a client library costs more than the answer, 20 times a
    second for six processes."""
    try:
        async with asyncio.timeout(_HTTP_SECONDS):
            reader, writer = await asyncio.open_connection(HOST, port)
            try:
                writer.write(f"GET {path} HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n".encode())
                line = await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False
    return line.split()[1:2] == [b"200"]


def _python(
    name: str,
    module: str,
    layout: Layout,
    given: Mapping[str, str],
    chosen: Mapping[str, str] | None = None,
) -> Program:
    """A Python process. `given` holds whatever the shell says, `chosen` only where the shell says nothing."""
    said = SETTINGS if wants_sample(os.environ) else {}
    inherited = {key: value for key, value in os.environ.items() if not key.startswith(_PRIVATE)}

    async def is_ready() -> bool:
        return await is_healthy(layout.ports[name])

    return Program(
        name=name,
        command=(sys.executable, "-m", module),
        environment={"PYTHONUNBUFFERED": "1", **said, **(chosen or {}), **inherited, **given},
        is_ready=is_ready,
        port=layout.ports[name],
    )
