"""Each service is killed in the middle of two thousand dossiers: nothing is lost, nothing is doubled."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import Final

import httpx
import pytest

from deploy.launcher.layout import SERVICES
from tests.flow.river import WARD_DESK, WARD_PROCEDURE, River, a_submission

_DOSSIERS: Final = 2000
_AT_ONCE: Final = 16
_MAIL: Final = "killed@example.vn"


@dataclass(slots=True)
class _Desk:
    """Hands dossiers in, each under its own command id, again and again until it has an answer."""

    river: River
    answers: dict[str, str] = field(default_factory=dict)
    progress: asyncio.Event = field(default_factory=asyncio.Event)

    async def hand_in(self, keys: asyncio.Queue[str]) -> None:
        while not keys.empty():
            key = keys.get_nowait()
            while key not in self.answers:
                answer = await self._try(key)
                if answer is None:
                    await asyncio.sleep(0)
                    continue
                self.answers[key] = answer
                self.progress.set()

    async def _try(self, key: str) -> str | None:
        try:
            answer = await self.river.client.post(
                self.river.url("intake", "/intake/dossiers"),
                json=a_submission(WARD_PROCEDURE, email=_MAIL),
                headers={**WARD_DESK, "Idempotency-Key": key},
            )
        except httpx.TransportError:
            return None
        if answer.status_code == 503:
            return None
        answer.raise_for_status()
        return str(answer.json()["id"])

    async def reached(self, count: int) -> None:
        while len(self.answers) < count:
            self.progress.clear()
            await self.progress.wait()


@pytest.mark.timeout(600)
async def test_each_service_killed_among_two_thousand_dossiers_loses_and_doubles_nothing(river: River) -> None:
    desk = _Desk(river)
    keys: asyncio.Queue[str] = asyncio.Queue()
    for _ in range(_DOSSIERS):
        keys.put_nowait(str(uuid.uuid4()))

    handing = [asyncio.create_task(desk.hand_in(keys)) for _ in range(_AT_ONCE)]
    for turn, service in enumerate(SERVICES, start=1):
        await desk.reached(_DOSSIERS * turn // 5)
        await river.kill(service)
        await river.start(service)
    await asyncio.gather(*handing)
    await river.settled(seconds=150)

    mine = set(desk.answers.values())
    assert len(mine) == _DOSSIERS, "two commands were given one dossier"
    await _stores_agree(river, mine)
    await _mails_agree(river, mine)


async def _stores_agree(river: River, mine: set[str]) -> None:
    held = {
        "intake": "SELECT id FROM dossier WHERE procedure = $1",
        "routing": "SELECT dossier FROM journey WHERE procedure = $1",
        "reporting": "SELECT dossier FROM dossier_now WHERE procedure = $1",
    }
    for service, query in held.items():
        async with river.store(service) as store:
            found = Counter(row[0] for row in await store.fetch(query, WARD_PROCEDURE))
        assert mine <= set(found), f"{service} lost {len(mine - set(found))}"
        assert max(found.values()) == 1
    async with river.store("routing") as store:
        started = Counter(row[0] for row in await store.fetch("SELECT dossier FROM ledger WHERE kind = 'started'"))
        said = Counter(
            row[0] for row in await store.fetch("SELECT aggregateid FROM journal WHERE type = 'StageStarted'")
        )
    assert {dossier: started[dossier] for dossier in mine} == dict.fromkeys(mine, 1)
    assert {dossier: said[dossier] for dossier in mine} == dict.fromkeys(mine, 1)
    async with river.store("intake") as store:
        codes = [row[0] for row in await store.fetch("SELECT code FROM dossier ORDER BY code")]
        ordinals = sorted(int(code.rsplit("-", 1)[1]) for code in codes)
    assert len(set(codes)) == len(codes)
    days = Counter(code.rsplit("-", 1)[0] for code in codes)
    assert ordinals == sorted(number for count in days.values() for number in range(1, count + 1)), (
        "an ordinal is missing"
    )
    for service in SERVICES:
        async with river.store(service) as store:
            assert await store.fetchval("SELECT count(*) FROM dead_letter") == 0
            assert await store.fetchval("SELECT count(*) FROM parked") == 0
            assert await store.fetchval("SELECT count(*) FROM outbox") == 0


async def _mails_agree(river: River, mine: set[str]) -> None:
    async with river.store("notification") as store:
        rows = await store.fetch("SELECT id, dossier, state FROM notice WHERE dossier = ANY($1::text[])", sorted(mine))
    assert Counter(row["dossier"] for row in rows) == Counter(mine), "one notice for each reception"
    assert {row["state"] for row in rows} == {"sent"}
    letters = [
        message_from_bytes(path.read_bytes(), policy=policy.default) for path in river.layout.mail.rglob("*.eml")
    ]
    mailed = [letter for letter in letters if letter["To"] == _MAIL]
    arrived = Counter(letter["Message-ID"] for letter in mailed)
    assert len(arrived) == _DOSSIERS
    flagged = Counter(letter["Message-ID"] for letter in mailed if letter["X-Lienthong-Maybe-Repeated"])
    for ident, times in arrived.items():
        assert times - 1 <= flagged[ident], "a mail arrived twice and its repeat was not flagged"
