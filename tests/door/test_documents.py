"""The documents behind the front door: there when they have been built, and otherwise a word about it."""

from __future__ import annotations

from pathlib import Path

import httpx
from starlette.applications import Starlette
from starlette.routing import Mount

from deploy.door.addresses import SERVICES, VISITORS
from deploy.door.documents import Documents


def _client(folder: Path) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/docs", Documents(folder))])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://door")


async def test_before_they_are_built_the_door_says_how_to_build_them(tmp_path: Path) -> None:
    async with _client(tmp_path / "site") as client:
        answer = await client.get("/docs/")

    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["type"] == "/problems/documents-not-built"
    assert "make docs" in answer.json()["do"]


def test_the_front_page_leads_to_what_is_there(tmp_path: Path) -> None:
    documents = Documents(tmp_path)
    before = documents.are_there
    (tmp_path / "index.html").write_text("<h1>Bắt đầu</h1>", encoding="utf-8")

    [integrator] = [one for one in VISITORS if one.name == "integrator"]
    operator = next(one for one in VISITORS if one.name == "operator")
    ways = [
        {place.name: place.path for place in integrator.leading_to(SERVICES, has_documents=built).places}
        for built in (before, documents.are_there)
    ]
    in_containers = {place.name for place in operator.leading_to(SERVICES, has_documents=False).places}

    assert [way["documents"] for way in ways] == [None, "/docs/"]
    assert in_containers == {"flow", "ready"}


async def test_once_they_are_built_they_are_served_without_a_restart(tmp_path: Path) -> None:
    async with _client(tmp_path / "site") as client:
        before = await client.get("/docs/")
        (tmp_path / "site" / "run").mkdir(parents=True)
        (tmp_path / "site" / "index.html").write_text("<h1>Bắt đầu</h1>", encoding="utf-8")
        (tmp_path / "site" / "run" / "index.html").write_text("<h1>Run it</h1>", encoding="utf-8")

        landing, page, outside = [await client.get(f"/docs/{path}") for path in ("", "run/", "%2e%2e/secret")]

    assert before.status_code == 404
    assert "Bắt đầu" in landing.text
    assert "Run it" in page.text
    assert outside.status_code == 404
