"""Losses: Kafka forgets what hearers have not heard yet, while they lag; also only the last event of one dossier.

What somebody may have lost is declared in the tally, so that whatever comes again without that is found. Nobody mends
anything afterwards: it is anti-entropy that has to find it.
"""

from __future__ import annotations

import shutil
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Any, Final
from uuid import UUID

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.client import AIOKafkaClient

from shared.bus.incarnations import topic_ids
from shared.journal import shard_of
from shared.topics import CONTACT, CONTROL, TOPIC_OF, Service, Topic
from tests.faults.ground import HEARERS, Ground
from tests.faults.history import Asked, Outcome
from tests.faults.load import Doors, submission
from tests.faults.strikes import Strike
from tests.flow.river import TOWN_PROCEDURE
from tests.flow.rough import cut, ends, everything, make_anew
from tests.processes import until

_LOST: Final = 20
"""Versions that a hearer must be behind by before anything is wiped: otherwise nothing would be lost."""

_IN_BETWEEN: Final = 3
"""Records that may come onto a partition between a look at where it ends and its loss: of one moment."""

_LAGGARDS: Final = (("reporting",), ("notification", "reporting"), ("routing",))
"""Never intake: while it stands still no dossier comes in, and soon nobody says anything that it could lack."""


async def wipe(ground: Ground, times: int) -> None:
    """Records deleted, topics made anew, a broker's older copy: in turn, under hearers that lag."""
    ways = (_records_deleted, _made_anew, _cut_short)
    for turn in range(times):
        hearers = ground.chance.choice(_LAGGARDS)
        sources = [source for source, all_of_them in HEARERS.items() if set(hearers) <= set(all_of_them)]
        lost = [TOPIC_OF[Service(source)] for source in sources] + [CONTACT] * ("notification" in hearers)
        before = await ways[turn % len(ways)](ground, hearers, lost)
        await ground.waits.healed()
        await _declare_skipped(ground, before)


async def _records_deleted(ground: Ground, hearers: Sequence[str], lost: Sequence[Topic]) -> _Before:
    """Whatever lies there goes; from a compacted topic no records can be deleted: that one is made anew."""
    async with _lagging(ground, hearers, lost):
        compacted = [topic for topic in lost if topic.compacted]
        async with _forgotten(ground, lost) as before:
            await cut(ground.river.servers.kafka, [topic for topic in lost if not topic.compacted])
            await _anew(ground, compacted)
        ground.tally.done["topics emptied"] += 1
    # Where records were deleted offsets go on: nobody stands beyond the end.
    names = {topic.name for topic in compacted}
    return replace(before, ends={where: end for where, end in before.ends.items() if where[0] in names})


async def _made_anew(ground: Ground, hearers: Sequence[str], lost: Sequence[Topic]) -> _Before:
    async with _lagging(ground, hearers, lost):
        async with _forgotten(ground, lost) as before:
            await _anew(ground, lost)
        ground.tally.done["topics made anew"] += 1
    return before


async def _cut_short(ground: Ground, hearers: Sequence[str], lost: Sequence[Topic]) -> _Before:
    """A broker's older copy: every topic ends earlier than it did, and so do the offsets that groups committed."""
    servers, data = ground.river.servers, ground.river.layout.kafka / "data"
    copy = data.with_name("data.older")
    await servers.kill("kafka")
    ground.tally.done["kafka ended"] += 1
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(data, copy)
    await servers.start("kafka")
    async with _lagging(ground, hearers, lost), _forgotten(ground, [*TOPIC_OF.values(), CONTACT]) as before:
        await servers.kill("kafka")
        ground.tally.done["kafka ended"] += 1
        shutil.rmtree(data)
        copy.rename(data)
        await servers.start("kafka")
        ground.tally.done["topics cut short"] += 1
    return before


async def lose_the_last(ground: Ground, times: int) -> None:
    """Of a dossier that nobody else touches a hearer misses only the last event: no gap ever tells him."""
    doors = Doors(ground.river, ground.history)
    try:
        for _ in range(times):
            await _lose_one(ground, doors)
            await ground.waits.healed()
    finally:
        await doors.client.aclose()


async def _lose_one(ground: Ground, doors: Doors) -> None:
    chance = Random(ground.chance.getrandbits(64))
    taken = await doors.told(submission(chance, procedure=TOWN_PROCEDURE))
    assert taken.outcome is Outcome.OK, taken
    dossier = taken.answer["id"]
    hearer = ground.chance.choice(("reporting", "notification"))

    async def is_begun() -> bool:
        begun = (await ground.versions.sent_by("routing")).get(dossier, 0)
        heard = [(await ground.versions.heard_by(each, "routing")).get(dossier, 0) for each in HEARERS["routing"]]
        return begun > 0 and all(version == begun for version in heard)

    await until(is_begun, f"{dossier} is begun everywhere", seconds=120)
    await ground.river.running[hearer].stop()
    ground.ended(hearer)
    body = {"seen": 1, "action": {"kind": "request_fee", "amount_vnd": 40_000, "reason": "fee_is_due"}}
    key = str(uuid.UUID(int=chance.getrandbits(128), version=4))
    asked = await doors.told(Asked("request_fee", "routing", key, dossier, body))
    assert asked.outcome is Outcome.OK, asked
    last = asked.answer["version"]

    async def is_heard_by_all_others() -> bool:
        others = [each for each in HEARERS["routing"] if each != hearer]
        return all([(await ground.versions.heard_by(each, "routing")).get(dossier, 0) == last for each in others])

    await until(is_heard_by_all_others, f"version {last} of {dossier} is heard", seconds=120)
    topic = TOPIC_OF[Service.ROUTING]
    async with _forgotten(ground, [topic]):
        await cut(ground.river.servers.kafka, [topic], lambda number: number == shard_of(dossier))
    assert (await ground.versions.heard_by(hearer, "routing"))[dossier] == last - 1
    ground.tally.last_lost.append(("routing", dossier, last))
    ground.tally.done["last event lost"] += 1
    await ground.started(hearer, f"{hearer} ready after SIGTERM")


async def lose_control(ground: Ground, times: int) -> None:
    """The topic of tallies itself is deleted, and nobody makes it again: they have to."""
    kafka = ground.river.servers.kafka
    admin: Any = AIOKafkaAdminClient(bootstrap_servers=kafka)
    client = AIOKafkaClient(bootstrap_servers=kafka)
    await admin.start()
    await client.bootstrap()
    try:
        for _ in range(times):
            before = await topic_ids(client, [CONTROL.name])
            began = time.monotonic()
            await admin.delete_topics([CONTROL.name])
            ground.tally.done["bus.control lost"] += 1
            await until(partial(_is_another, client, before), f"{CONTROL.name} is there again", seconds=180)
            ground.tally.took("bus.control there again", time.monotonic() - began)
            await _records_deleted(ground, ("reporting",), [TOPIC_OF[Service.INTAKE]])
            await ground.waits.healed()
    finally:
        await client.close()
        await admin.close()


async def _is_another(client: AIOKafkaClient, before: dict[str, UUID]) -> bool:
    """Whether the topic of control is there, and not the one that was deleted."""
    there = await topic_ids(client, [CONTROL.name])
    return CONTROL.name in there and there != before


# --- what lags, and what is forgotten --------------------------------------------------------------------------------


@asynccontextmanager
async def _lagging(ground: Ground, hearers: Sequence[str], topics_: Sequence[Topic]) -> AsyncIterator[None]:
    """Hearers stand still (SIGSTOP) or are stopped, until enough lies on these topics that they have not heard."""
    stopped = {hearer for hearer in hearers if ground.chance.random() < 0.5}
    for hearer in hearers:
        if hearer in stopped:
            await ground.river.running[hearer].stop()
            ground.ended(hearer)
        else:
            ground.river.running[hearer].suspend()
            ground.tally.done[f"{hearer} suspended"] += 1
    sources = [source.value for source, topic in TOPIC_OF.items() if topic in topics_]

    async def is_behind() -> bool:
        missing = await ground.versions.missing()
        return all(sum(missing.get((source, hearer), 0) for source in sources) >= _LOST for hearer in hearers)

    await until(is_behind, f"{', '.join(hearers)} lag", seconds=180)
    yield
    for hearer in hearers:
        if hearer in stopped:
            await ground.started(hearer, f"{hearer} ready after SIGTERM")
        else:
            ground.river.running[hearer].resume()


@dataclass(frozen=True, slots=True)
class _Before:
    """Before topics forget: by (topic, partition) where they ended, by topic what each subject's hearers all had."""

    ends: Mapping[tuple[str, int], int]
    heard: Mapping[str, Mapping[str, int]]


@asynccontextmanager
async def _forgotten(ground: Ground, lost: Sequence[Topic]) -> AsyncIterator[_Before]:
    """Declare what may be lost while the block wipes: what somebody had not heard before, of all that was said after.

    Of a compacted topic only the latest states are sent; any of them may have been lost.
    """
    sources = {source.value: topic for source, topic in TOPIC_OF.items() if topic in lost}
    heard = {topic.name: await _heard_by_all(ground, source) for source, topic in sources.items()}
    yield _Before(await ends(ground.river.servers.kafka, lost), heard)
    for source, topic in sources.items():
        for subject, said in (await ground.versions.said_by(source)).items():
            _declare(ground, topic.name, subject, range(heard[topic.name].get(subject, 0) + 1, said + 1))
    if CONTACT in lost:
        for subject, version in (await ground.versions.contacts_said()).items():
            _declare(ground, CONTACT.name, subject, range(1, version + 1))
    ground.tally.done["topic lost"] += 1


async def _heard_by_all(ground: Ground, source: str) -> dict[str, int]:
    """By subject the version that every hearer of a speaker has heard."""
    each = [await ground.versions.heard_by(hearer, source) for hearer in HEARERS[source]]
    return {subject: min(one.get(subject, 0) for one in each) for subject in set().union(*each)}


async def _declare_skipped(ground: Ground, before: _Before) -> None:
    """Declare what was said after the loss, and may have been skipped by a hearer who stood further on than the topic.

    Where a topic ends earlier than before, and is filled again beyond where he stood before he looks, nothing tells him
    that what lies there is new; where it was made anew, its id does, a few seconds later, and until then he thinks that
    he is through. So what lies there now, below where it ended, may have been skipped, and a few more: they may have
    come in between the look and the loss.
    """
    for topic in {topic for topic, _ in before.ends}:
        heard = before.heard.get(topic, {})
        for one in await everything(ground.river.servers.kafka, topic):
            subject, number = (one.key or b"").decode(errors="replace"), dict(one.headers).get("ce_streamversion", b"")
            is_below = one.offset < before.ends[topic, one.partition] + _IN_BETWEEN
            if is_below and number.isdigit() and int(number) > heard.get(subject, 0):
                _declare(ground, topic, subject, (int(number),))


def _declare(ground: Ground, topic: str, subject: str, versions: Iterable[int]) -> None:
    ground.tally.lost.setdefault(topic, {}).setdefault(subject, set()).update(versions)


async def _anew(ground: Ground, wanted: Sequence[Topic]) -> None:
    if wanted:
        await make_anew(ground.river.servers.kafka, wanted)


STRIKES: Final = (
    Strike("losses", "topics lose what lagging hearers have not heard", wipe),
    Strike("last_lost", "of a dossier only the last event is lost", lose_the_last),
    Strike("control_lost", "the topic of tallies is deleted, and then others lose records", lose_control),
)
