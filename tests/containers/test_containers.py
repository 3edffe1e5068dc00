"""What only containers have: restarts by the engine, volumes, walls between networks, the Collector."""

from __future__ import annotations

import asyncio
import json
import subprocess
from typing import Any

import asyncpg
import httpx
import pytest

from deploy.launcher.layout import SERVICES
from tests.containers.river import DOOR, JAEGER, PROJECT, RiverInContainers, docker
from tests.flow.river import WARD_DESK, a_submission, command_id
from tests.processes import until

pytestmark = [pytest.mark.containers, pytest.mark.timeout(900)]

_OURS = ("within", "door", "prepare", *SERVICES)
_EVERY = (*_OURS, "kafka", "postgres", "collector", "jaeger", "mailpit")


async def test_the_development_header_counts_within_and_not_at_the_published_port(river: RiverInContainers) -> None:
    body, headers = a_submission(), {**WARD_DESK, **command_id()}

    outside = await river.client.post(f"http://127.0.0.1:{DOOR}/intake/dossiers", json=body, headers=headers)
    within = await river.client.post(river.url("door", "/intake/dossiers"), json=body, headers=headers)

    assert (outside.status_code, outside.json()["type"]) == (401, "/problems/nobody")
    assert within.is_success


@pytest.mark.parametrize("service", SERVICES)
async def test_a_killed_service_comes_back_and_hears_what_it_missed(river: RiverInContainers, service: str) -> None:
    await river.kill(service)
    await river.start(service)

    receipt = await river.receive()
    await river.settled()

    assert (await river.look_up(receipt["code"]))["status"] == 4


async def test_kafka_and_postgresql_are_killed_and_nothing_is_lost(river: RiverInContainers) -> None:
    receipt = await river.receive()
    for server in ("kafka", "postgres"):
        await asyncio.to_thread(docker, "kill", river.container(server))
        await asyncio.to_thread(docker, "start", river.container(server))
        await river.healthy(server)
    for service in SERVICES:
        await river.start(service)

    await river.settled(seconds=120)

    assert (await river.look_up(receipt["code"]))["status"] == 4


async def test_down_and_up_keeps_dossiers_keys_and_what_was_said(river: RiverInContainers) -> None:
    receipt = await river.receive(email="giu.lai@example.vn")
    await river.settled()
    before = await _held(river)

    await asyncio.to_thread(_compose, river, "down")
    await asyncio.to_thread(_compose, river, "up", "--wait")
    await river.settled()

    assert await _held(river) == before
    assert (await river.look_up(receipt["code"]))["applicant"]["name"] == "Nguyễn Thị Bình"


async def test_a_dossier_s_trace_arrives_at_jaeger_whole(river: RiverInContainers) -> None:
    receipt = await river.receive(email="vet@example.vn")
    await river.settled()

    spans: list[dict[str, Any]] = []

    async def whole() -> bool:
        nonlocal spans
        spans = await _spans_of(river.client, receipt["id"])
        return {span["service"] for span in spans} == set(SERVICES)

    await until(whole, "spans of all four services are at Jaeger", seconds=60)
    ids = {span["spanID"] for span in spans}
    orphans = [span["operationName"] for span in spans if span["parent"] and span["parent"] not in ids]
    assert orphans == [], "a span's parent is in the same trace"
    assert sum(span["parent"] is None for span in spans) == 1, "one request is the root of it all"
    assert receipt["code"] not in json.dumps(spans), "a trace carries the stream id, not the printed code"


@pytest.mark.parametrize("name", _EVERY)
def test_a_container_is_confined(river: RiverInContainers, name: str) -> None:
    [told] = json.loads(docker("inspect", river.container(name)))

    host = told["HostConfig"]
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["PidsLimit"] > 0
    assert not host["Privileged"]
    published = {each["HostIp"] for each in (host["PortBindings"] or {}).values() for each in each}
    assert published <= {"127.0.0.1"}
    assert "postgresql://" not in json.dumps(told["Config"]["Env"]), "passwords are in files, not in the environment"


@pytest.mark.parametrize("name", ["door", *SERVICES, "kafka", "postgres"])
def test_a_process_is_not_root(river: RiverInContainers, name: str) -> None:
    pid = docker("inspect", "--format", "{{.State.Pid}}", river.container(name)).strip()
    owners = docker("top", river.container(name), "-eo", "pid,uid").split()[2:]

    assert dict(zip(owners[::2], owners[1::2], strict=True))[pid] != "0"


@pytest.mark.parametrize("network", ["data", "telemetry"])
def test_what_needs_no_way_out_has_none(river: RiverInContainers, network: str) -> None:
    assert docker("network", "inspect", "--format", "{{.Internal}}", f"{PROJECT}_{network}").strip() == "true"


@pytest.mark.parametrize("service", SERVICES)
async def test_a_login_changes_no_tables_and_opens_no_neighbour(river: RiverInContainers, service: str) -> None:
    url = river.servers.databases.login[service]
    login = await asyncpg.connect(url)
    try:
        locale = await login.fetchrow(
            "SELECT datlocprovider::text, datlocale FROM pg_database WHERE datname = current_database()"
        )
        assert tuple(locale or ()) == ("b", "C.UTF-8")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await login.execute("CREATE TABLE mine (id int)")
    finally:
        await login.close()
    for other in (*(each for each in SERVICES if each != service), "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for database"):
            await asyncpg.connect(url, database=other)


def _compose(river: RiverInContainers, *arguments: str) -> None:
    command = [*river.compose.docker_compose_command(), *arguments]
    subprocess.run(command, cwd=river.compose.context, check=True, capture_output=True)


async def _held(river: RiverInContainers) -> dict[str, int]:
    """How much was said, by service; reporting, which says nothing, counts what it heard."""
    held = {}
    for service in SERVICES:
        query = "SELECT count(*) FROM timeline" if service == "reporting" else "SELECT count(*) FROM journal"
        async with river.store(service) as store:
            held[service] = int(await store.fetchval(query))
    return held


async def _spans_of(client: httpx.AsyncClient, dossier: str) -> list[dict[str, Any]]:
    """Spans of the trace in which a dossier was received."""
    base = f"http://127.0.0.1:{JAEGER}/api/traces"
    asked: dict[str, str | int] = {"service": "intake", "limit": 200, "lookback": "1h"}
    found = (await client.get(base, params=asked)).json()["data"]
    for trace in found:
        if dossier in json.dumps(trace):
            return [
                {
                    "spanID": span["spanID"],
                    "operationName": span["operationName"],
                    "service": trace["processes"][span["processID"]]["serviceName"],
                    "parent": next((ref["spanID"] for ref in span["references"] if ref["refType"] == "CHILD_OF"), None),
                    "tags": span["tags"],
                }
                for span in trace["spans"]
            ]
    return []
