"""Services that are started before their servers are there wait for them, and say so once."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from deploy.launcher import process
from deploy.launcher.process import Running
from tests.flow.river import River
from tests.processes import until


@pytest.mark.parametrize(
    ("server", "service", "says"),
    [
        ("postgres", "intake", "database_away"),
        ("postgres", "routing", "database_away"),
        ("kafka", "notification", "broker_away"),
    ],
)
async def test_a_service_started_before_its_server_waits_and_says_so_once(
    river: River, server: str, service: str, says: str
) -> None:
    await river.settled()
    await river.running[service].stop()
    await river.servers.kill(server)
    try:
        river.running[service] = running = process.start(river.programs[service], river.layout)

        async def is_not_ready() -> bool:
            return says in await _reasons(river, service)

        await until(is_not_ready, f"{service} says why it is not ready", seconds=60)
        # Whoever is asked again and again does not say it again and again.
        for _ in range(3):
            assert says in await _reasons(river, service)
    finally:
        await river.servers.start(server)

    await process.wait_ready(river.programs[service], running)
    await river.receive(email="early@example.vn")
    await river.settled(seconds=120)

    assert running.is_alive()
    assert [one["level"] for one in _logged(running) if one["event"] == says] == ["WARNING"]
    ours = [one for one in _logged(running) if not one["logger"].startswith("aiokafka")]
    assert not [one for one in ours if one["level"] in {"ERROR", "CRITICAL"}]


async def _reasons(river: River, service: str) -> list[str]:
    try:
        answer = await river.client.get(river.url(service, "/health/ready"))
    except httpx.TransportError:
        return []
    reasons: list[str] = answer.json()["reasons"]
    return reasons


def _logged(running: Running) -> list[dict[str, Any]]:
    """What it has logged since its start; a line that is no JSON (a traceback) fails."""
    return [json.loads(line) for line in running.log.read_bytes()[running.log_from :].splitlines()]
