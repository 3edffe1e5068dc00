"""An erasure stays one when databases are restored from before it: real services, real databases, the real command."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from typing import Any

import asyncpg

from deploy.launcher import roles
from deploy.launcher.layout import REPOSITORY
from shared.envelope import stored_headers
from shared.seal import DataKey, KeyErased, Keyring, Register
from shared.topics import CONTACT
from tests.canary import find
from tests.flow.river import ADMINISTRATOR, River
from tests.flow.rough import everything
from tests.flow.test_canary import ALL, MAIL, a_canary_s_dossier, erased, withdrawn

BOTH = ("intake", "notification")


async def test_after_both_databases_were_restored_nothing_erased_opens_is_sent_or_stays(river: River) -> None:
    receipt = await a_canary_s_dossier(river)
    await withdrawn(river, receipt)
    figures = await _figures(river)
    await _stopped(river, lambda: _swap(river, keep=True))
    first = await erased(river, receipt)
    await river.settled()
    assert await _wrapped_here(river, receipt["id"]) == []
    mails = len(await river.mails_to(MAIL))

    await _stopped(river, lambda: _swap(river, keep=False))

    # Intake did its own again when it started. Notification's store is the old one until it is told.
    assert (await river.look_up(receipt["code"]))["applicant"] is None
    keyrings = [Keyring.load(river.layout.keys, each, Register(river.layout.erasures)) for each in BOTH]
    on_topic = await _wrapped_on_the_topic(river, receipt["id"])
    back = [*await _wrapped_here(river, receipt["id"]), *on_topic]
    assert back, "the restored backup, or the topic, did have it"
    assert {ring.unwrap(receipt["id"], one) for ring in keyrings for one in back} == {KeyErased()}
    bare = [Keyring.load(river.layout.keys, each) for each in BOTH]
    assert any(isinstance(ring.unwrap(receipt["id"], one), DataKey) for ring in bare for one in back), (
        "with keys and an old copy alone it opens: what decision 0072 says is not closed"
    )

    code, told = await _lienthong(river, "erasures", "replay", "--json")
    await river.settled()

    assert code == 0, told
    assert json.loads(told)["unknown"] == []
    assert await _wrapped_here(river, receipt["id"]) == []
    shown = await river.look_up(receipt["code"])
    assert (shown["applicant"], shown["erased"]["reason"], shown["version"]) == (
        None,
        "asked_by_citizen",
        first["version"],
    )
    assert len(await river.mails_to(MAIL)) == mails, "nobody was written to again"
    assert await _figures(river) == figures
    for service in ("intake", "routing", "notification", "reporting"):
        async with river.store(service) as store:
            forks = await store.fetchval(
                "SELECT count(*) FROM dead_letter WHERE subject = $1 AND reason LIKE 'fork%'", receipt["id"]
            )
        assert forks == 0, service
    code, listed = await _lienthong(river, "erasures", "list")
    assert (code, receipt["id"] in listed) == (0, True), listed


async def test_a_citizen_who_looks_an_erased_dossier_up_is_told_so(river: River) -> None:
    receipt = await a_canary_s_dossier(river)
    await withdrawn(river, receipt)
    await erased(river, receipt)
    await river.settled()

    page = await river.client.get(river.url("reporting", "/reporting/lookup"), params={"code": receipt["code"]})

    assert page.status_code == 200
    assert "đã được xóa" in page.text
    assert find(ALL, page.content) == []


async def _stopped(river: River, meanwhile: Any) -> None:
    """Do something while intake and notification are down, and nobody is in their databases."""
    for each in BOTH:
        await river.running[each].stop()
    await meanwhile()
    for each in BOTH:
        await river.start(each)


async def _swap(river: River, *, keep: bool) -> None:
    """Keep a copy of both databases, or put the copies in their place."""
    superuser = await asyncpg.connect(river.servers.databases.superuser)
    try:
        for each in BOTH:
            statements = (
                [f"CREATE DATABASE {each}_backup TEMPLATE {each} OWNER {each}_owner"]
                if keep
                else [f"DROP DATABASE {each} WITH (FORCE)", f"ALTER DATABASE {each}_backup RENAME TO {each}"]
            )
            for statement in statements:
                await superuser.execute(statement)
    finally:
        await superuser.close()
    await roles.make(river.servers.databases)


async def _figures(river: River) -> list[dict[str, Any]]:
    """What is counted: through the door, and in the report (save the instant at which it was asked)."""
    asked = [
        river.url("intake", "/intake/counts"),
        river.url("reporting", "/reporting/counts?from=2013-01-01&to=2099-12-31"),
    ]
    answers = [await river.client.get(each, headers=ADMINISTRATOR) for each in asked]
    told = [each.raise_for_status().json() for each in answers]
    return [{name: value for name, value in one.items() if name != "as_known_on"} for one in told]


async def _wrapped_here(river: River, dossier: str) -> Sequence[str]:
    """Every wrapped key of a dossier in the two stores that have any."""
    found: list[str] = []
    for service, query in (
        ("intake", "SELECT wrapped_key FROM citizen WHERE dossier = $1"),
        ("intake", "SELECT payload::json->>'wrapped_key' FROM snapshot WHERE aggregateid = $1 AND payload IS NOT NULL"),
        ("notification", "SELECT wrapped_key FROM contact WHERE dossier = $1 AND wrapped_key IS NOT NULL"),
    ):
        async with river.store(service) as store:
            found += [row[0] for row in await store.fetch(query, dossier)]
    return found


async def _wrapped_on_the_topic(river: River, dossier: str) -> list[str]:
    records = [one for one in await everything(river.servers.kafka, CONTACT.name) if one.key == dossier.encode()]
    assert records[-1].value is None, stored_headers(tuple(records[-1].headers))
    return [json.loads(one.value)["wrapped_key"] for one in records if one.value]


async def _lienthong(river: River, *words: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "deploy.cli",
        *words,
        "--url",
        river.layout.url("door"),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    told, _ = await process.communicate()
    return process.returncode, told.decode()
