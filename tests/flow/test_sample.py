"""The sample town and the catalogue's file go in by the front door, and a second time changes nothing."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

from deploy.launcher.layout import REPOSITORY, SERVICES
from deploy.sample.feeding import feed
from tests.catalogues import PROCEDURES, needs_the_procedures
from tests.flow.river import River


async def test_the_sample_is_fed_once_however_often_it_is_fed(river: River) -> None:
    await feed(river.layout.url("door"))
    await river.settled()
    before = await _everything(river)

    new = await feed(river.layout.url("door"))
    await river.settled()

    assert new == 0
    assert await _everything(river) == before
    assert {5, 6, 7, 9, 10} <= {row[1] for row in before["intake"]}


@needs_the_procedures
async def test_the_real_catalogue_is_taken_once_and_found_without_tone_marks(river: River) -> None:
    first = await _import(river)
    again = await _import(river)

    assert _figures(first) == {"taken": 387, "changed": 387, "unchanged": 0, "refused": 201}
    assert _figures(again) == {"taken": 387, "changed": 0, "unchanged": 387, "refused": 201}
    assert "Thủ tục đăng ký kết hôn lưu động" in await _found(river, "luu dong")
    assert any("Đăng ký" in name for name in await _found(river, "dang ky"))
    assert await _found(river, "LƯU ĐỘNG") == await _found(river, "luu dong")


async def _everything(river: River) -> dict[str, list[Any]]:
    queries = {
        "intake": "SELECT id, status FROM dossier ORDER BY id",
        "routing": "SELECT dossier, number, kind FROM ledger ORDER BY dossier, number",
        "notification": "SELECT id, state FROM notice ORDER BY id",
        "reporting": "SELECT dossier, source, version FROM timeline ORDER BY dossier, source, version",
    }
    held: dict[str, list[Any]] = {}
    for service in SERVICES:
        async with river.store(service) as store:
            held[service] = [tuple(row) for row in await store.fetch(queries[service])]
    return held


async def _found(river: River, words: str) -> list[str]:
    answer = await river.client.get(river.url("intake", "/intake/procedures"), params={"q": words, "count": 200})
    answer.raise_for_status()
    return [one["name"] for one in answer.json()["procedures"]]


async def _import(river: River) -> str:
    """What the command prints; it must succeed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.cli", "catalogue", "import", str(PROCEDURES), "--url", river.layout.url("door")),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    said, _ = await process.communicate()
    assert process.returncode == 0, said.decode()
    return said.decode()


def _figures(said: str) -> dict[str, int]:
    found = re.findall(r"^\s*(taken|changed|unchanged|refused)\s+(\d+)\s*$", said, re.MULTILINE)
    return {name: int(count) for name, count in found}
