"""Timers fire once per generation and never early, whatever happens to the process that fires them."""

from __future__ import annotations

import asyncio
from collections import Counter

from tests.flow.river import River
from tests.processes import until

_DOSSIERS = 40

_STAGGER = """
UPDATE timer SET dossier_at = clock_timestamp() + place * interval '100 milliseconds'
  FROM (SELECT dossier, row_number() OVER (ORDER BY dossier) AS place
          FROM timer WHERE dossier = ANY($1::text[]) AND dossier_at IS NOT NULL) AS placed
 WHERE timer.dossier = placed.dossier
RETURNING timer.dossier, timer.dossier_rung, timer.dossier_generation, timer.dossier_at AS fires_at
"""
_SAID = """
SELECT aggregateid AS dossier, type, payload::json ->> 'generation' AS generation, recorded FROM journal
 WHERE aggregateid = ANY($1::text[]) AND type LIKE 'Deadline%' AND payload::json ->> 'scope' = 'dossier'
"""


async def test_timers_fire_once_and_never_early_across_a_kill(river: River) -> None:
    dossiers = [receipt["id"] for receipt in await asyncio.gather(*(river.receive() for _ in range(_DOSSIERS)))]
    await river.settled()
    async with river.store("routing") as store:
        due = {row["dossier"]: row for row in await store.fetch(_STAGGER, dossiers)}

        async def said() -> int:
            return len(await store.fetch(_SAID, dossiers))

        async def some() -> bool:
            return await said() > 0

        async def all_of_them() -> bool:
            return await said() >= _DOSSIERS

        await until(some, "the first deadlines are said")
        await river.kill("routing")
        await river.start("routing")
        await until(all_of_them, "every deadline is said", seconds=60)
        await river.settled()
        events = await store.fetch(_SAID, dossiers)

    assert Counter(row["dossier"] for row in events) == dict.fromkeys(dossiers, 1)
    assert {row["type"] for row in events} == {"DeadlineNear"}
    await until(lambda: river.spans.hold(b"fire timer"), "a timer begins a trace of its own")
    assert all(row["recorded"] >= due[row["dossier"]]["fires_at"] for row in events), "one was said too early"
