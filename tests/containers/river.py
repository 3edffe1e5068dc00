"""The whole river in containers, as docs/containers.md starts it for trying, seen by the flow tests as any other."""

from __future__ import annotations

import asyncio
import dataclasses
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from testcontainers.compose import DockerCompose

from deploy.containers import make_secrets
from deploy.launcher.layout import PORTS_IN_RANGE, REPOSITORY, SERVICES
from deploy.launcher.postgres import Databases
from deploy.launcher.servers import Servers
from tests.containers.tunnel import tunnels
from tests.flow.river import River
from tests.flow.spans import Spans
from tests.layouts import CONTAINERS
from tests.processes import until

PROJECT: Final = "lienthong-test"
FILES: Final = ("docker-compose.yml", "deploy/containers/demo.yml", "tests/containers/ways.yml")
DOOR: Final = CONTAINERS.port + PORTS_IN_RANGE
JAEGER: Final = DOOR + 1
MAILPIT: Final = DOOR + 2


@dataclasses.dataclass(slots=True)
class RiverInContainers(River):
    """The same river: a process is killed in its container, and the engine, not the test, starts it again."""

    compose: DockerCompose = dataclasses.field(kw_only=True)

    def container(self, name: str) -> str:
        """The name of a service's container."""
        return f"{PROJECT}-{name}-1"

    def started(self, name: str) -> str:
        """When the engine last started a container."""
        return docker("inspect", "--format", "{{.State.StartedAt}}", self.container(name)).strip()

    async def kill(self, name: str) -> None:
        """SIGKILL to the process within; returns when the engine has started another."""
        before = await asyncio.to_thread(self.started, name)
        kill = "kill -9 $(cat /proc/1/task/1/children)"  # 1 is the container's init
        await asyncio.to_thread(docker, "exec", self.container(name), "sh", "-c", kill)

        async def again() -> bool:
            return await asyncio.to_thread(self.started, name) != before

        await until(again, f"{name} is started again", seconds=60)

    async def start(self, name: str) -> None:
        """Wait until it is ready."""
        await until(partial(self.is_ready, name), f"{name} is ready", seconds=90)

    async def healthy(self, name: str) -> None:
        """Wait until the engine finds a container healthy."""

        async def is_healthy() -> bool:
            told = await asyncio.to_thread(
                docker, "inspect", "--format", "{{.State.Health.Status}}", self.container(name)
            )
            return told.strip() == "healthy"

        await until(is_healthy, f"{name} is healthy", seconds=120)

    async def is_ready(self, name: str) -> bool:
        """Whether a service says that it is."""
        try:
            return (await self.client.get(self.url(name, "/health/ready"))).is_success
        except httpx.TransportError:
            return False

    async def mails_to(self, address: str) -> list[dict[str, Any]]:
        """What Mailpit holds for an address."""
        url = f"http://127.0.0.1:{MAILPIT}/api/v1/search"
        answer = await self.client.get(url, params={"query": f'to:"{address}"', "limit": 500})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found


def missing() -> str | None:
    """Why there can be no containers here, or None."""
    for command, what in (
        (("docker", "info"), "no container engine answers"),
        (("docker", "compose", "version"), "the compose plugin is absent"),
    ):
        try:
            subprocess.run(command, capture_output=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            return f"{what} (`{' '.join(command)}`)"
    return None


def docker(*arguments: str) -> str:
    """Output of a command of the engine; CalledProcessError when it fails."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=True).stdout


@asynccontextmanager
async def flowing() -> AsyncIterator[RiverInContainers]:
    """A fresh river in containers of its own project; containers and volumes are removed at the end."""
    folder = CONTAINERS.var
    secrets = folder / "secrets"
    folder.mkdir(parents=True, exist_ok=True)
    make_secrets.make(secrets)
    settings = {
        "COMPOSE_PROJECT_NAME": PROJECT,
        "LIENTHONG_PORT": str(DOOR),
        "LIENTHONG_SECRETS": str(secrets),
        "JAEGER_PORT": str(JAEGER),
        "MAILPIT_PORT": str(MAILPIT),
    }
    environment = folder / "environment"
    environment.write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    compose = DockerCompose(REPOSITORY, list(FILES), build=True, env_file=str(environment))
    with pytest.MonkeyPatch.context() as shell:
        for name in (*settings, "COMPOSE_FILE", "COMPOSE_PROFILES"):
            shell.delenv(name, raising=False)  # what the shell says would outweigh the file
        await asyncio.to_thread(compose.stop)
        try:
            await asyncio.to_thread(compose.start)
            # A way whose far end was killed closes a little later: no connection is used twice.
            limits = httpx.Limits(max_connections=16, max_keepalive_connections=0)
            async with (
                _entered(secrets) as databases,
                httpx.AsyncClient(timeout=30, trust_env=False, limits=limits) as client,
            ):
                servers = Servers(CONTAINERS, databases, {})
                yield RiverInContainers(CONTAINERS, servers, {}, client, Spans(""), compose=compose)
        finally:
            (folder / "log").mkdir(exist_ok=True)
            (folder / "log" / "containers.log").write_text("".join(await asyncio.to_thread(compose.get_logs)))
            await asyncio.to_thread(compose.stop)


@asynccontextmanager
async def _entered(secrets: Path) -> AsyncIterator[Databases]:
    """Ways to every address that the flow tests know, at the ports of their layout."""
    ports = CONTAINERS.ports
    within = {name: ("127.0.0.1", 8080 + offset) for offset, name in enumerate(("door", *SERVICES))}
    targets = {ports[name]: target for name, target in within.items()} | {ports["postgres"]: ("postgres", 5432)}

    def address(name: str) -> str:
        return (secrets / name).read_text().replace("@postgres:5432/", f"@127.0.0.1:{ports['postgres']}/")

    async with tunnels(f"{PROJECT}-ways-1", targets):
        yield Databases(
            login={each: address(f"database_url_{each}") for each in SERVICES},
            owner={each: address(f"database_owner_url_{each}") for each in SERVICES},
            superuser=address("database_superuser_url"),
        )
