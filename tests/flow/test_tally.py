"""Anti-entropy on the whole river: what Kafka lost under running hearers comes back without a person."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Final

import pytest

from deploy.launcher.layout import SERVICES
from shared.bus.tally.rules import BUCKETS
from shared.journal import shard_of
from shared.topics import CONTACT, INTAKE, ROUTING
from tests.flow.river import River, flowing
from tests.flow.rough import cut, figure, make_anew
from tests.layouts import TWICE
from tests.processes import until

_HEARERS: Final = {
    "intake": ("routing", "notification", "reporting"),
    "routing": ("intake", "notification", "reporting"),
    "notification": ("intake", "reporting"),
}


@pytest.fixture(scope="module")
async def river() -> AsyncIterator[River]:
    """A river of our own, whose speakers tally twice a second."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALLY_SECONDS", "0.5")
        patch.setenv("TALLY_ROTATION_SECONDS", "2")
        async with flowing(TWICE) as running:
            await running.seed()
            yield running


async def said_by(river: River, service: str) -> dict[str, int]:
    """How much a service said, by subject."""
    async with river.store(service) as connection:
        rows = await connection.fetch("SELECT subject, version FROM stream WHERE version > 0")
    return {row["subject"]: row["version"] for row in rows}


async def heard_by(river: River, service: str, source: str) -> dict[str, int]:
    """How much a service heard of a source, by subject."""
    async with river.store(service) as connection:
        rows = await connection.fetch("SELECT subject, version FROM heard WHERE source = $1", source)
    return {row["subject"]: row["version"] for row in rows}


async def lacking(river: River) -> list[tuple[str, str, str]]:
    """(speaker, hearer, subject) where less was heard than was said."""
    found = []
    for speaker, hearers in _HEARERS.items():
        said = await said_by(river, speaker)
        for hearer in hearers:
            heard = await heard_by(river, hearer, speaker)
            found += [(speaker, hearer, one) for one, version in said.items() if heard.get(one, 0) < version]
    return found + await contacts_lacking(river)


async def contacts_lacking(river: River) -> list[tuple[str, str, str]]:
    """Contacts that intake has sealed and notification does not have."""
    async with river.store("intake") as connection:
        said = await connection.fetch("SELECT aggregateid AS dossier, version FROM snapshot")
    async with river.store("notification") as connection:
        kept = {
            row["dossier"]: row["version"] for row in await connection.fetch("SELECT dossier, version FROM contact")
        }
    return [("intake", "notification", row["dossier"]) for row in said if kept.get(row["dossier"], 0) < row["version"]]


async def is_complete(river: River, *, seconds: float = 90) -> None:
    """Wait until everybody has heard all that was said."""
    loop = asyncio.get_running_loop()
    began = loop.time()

    async def nothing_lacks() -> bool:
        return not await lacking(river)

    await until(nothing_lacks, "everything that was said is heard everywhere", seconds=seconds)
    figure(f"complete after {loop.time() - began:.1f} s")


async def all_sent(river: River) -> None:
    """Wait until intake and routing have nothing left to send; the others may stand still."""

    async def nothing_waits() -> bool:
        return not sum([(await river.status(service))["unsent"] for service in ("intake", "routing")])

    await until(nothing_waits, "everything is sent")


async def total(river: River, figure_name: str) -> int:
    """A figure of anti-entropy, of all services together."""
    return sum([(await river.status(service))["tally"][figure_name] for service in SERVICES])


@asynccontextmanager
async def standing_still(river: River, *services: str) -> AsyncIterator[None]:
    """Hearers that lag: stopped here, and going on afterwards, none the wiser."""
    pids = [river.running[service].pid for service in services]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            os.kill(pid, signal.SIGCONT)


async def restart(river: River, mutant: str = "") -> None:
    """All four services anew, without the guard that the mutant lacks."""
    for service in SERVICES:
        await river.running[service].stop()
        given = river.programs[service]
        module = ("tests.listening.service", mutant, service) if mutant else (f"services.{service}",)
        river.programs[service] = replace(given, command=(sys.executable, "-m", *module))
    await asyncio.gather(*(river.start(service) for service in SERVICES))


async def test_a_steady_river_asks_for_nothing_and_repeats_nothing(river: River) -> None:
    await river.settled()
    before = {name: await total(river, name) for name in ("asked", "published_again", "compared")}

    async def went_round_often() -> bool:
        await river.receive()
        return await total(river, "compared") - before["compared"] > 8 * 10 * BUCKETS

    await until(went_round_often, "ten rotations are compared", seconds=120)
    await is_complete(river)

    assert await total(river, "published_again") == before["published_again"]
    assert await total(river, "asked") == before["asked"]


@pytest.mark.parametrize("mutant", ["", "no-anti-entropy"], ids=["real", "mutant"])
async def test_what_is_cut_off_under_a_lagging_hearer_is_found_and_published_again(river: River, mutant: str) -> None:
    """The mutant shows what the guard is for: without it, nobody would ever notice."""
    try:
        if mutant:
            await restart(river, mutant)
        await _cut_off_under_hearers(river)
        if mutant:
            marker = (await river.receive())["id"]

            async def hears_on() -> bool:
                return marker in await heard_by(river, "reporting", "intake")

            await until(hears_on, "what came after the cut is heard", seconds=60)
            assert len([one for one in await lacking(river) if one[1] == "reporting"]) > 20
            assert await contacts_lacking(river)
    finally:
        if mutant:
            await restart(river)

    await is_complete(river)
    await river.settled()
    assert await total(river, "unhealed") == 0


async def _cut_off_under_hearers(river: River) -> None:
    async with standing_still(river, "reporting", "notification"):
        for number in range(60):
            await river.receive(email=f"cut-{number}@example.vn")
        await all_sent(river)
        await cut(river.servers.kafka, [INTAKE, ROUTING])
        await make_anew(river.servers.kafka, [CONTACT])  # from a compacted topic no records can be deleted


async def test_the_last_event_of_one_dossier_alone_is_found_and_published_again(river: River) -> None:
    dossier = (await river.receive())["id"]
    await river.settled()
    said = (await said_by(river, "routing"))[dossier]
    async with standing_still(river, "reporting"):
        # What its consumers had asked for already is answered with these.
        for _ in range(48):
            await river.receive()
        await all_sent(river)
        await river.act(dossier, {"kind": "hand_over"})
        await all_sent(river)
        await cut(river.servers.kafka, [ROUTING], lambda partition: partition == shard_of(dossier))

    await is_complete(river)

    assert (await heard_by(river, "reporting", "routing"))[dossier] > said
    await river.settled()


async def test_topics_deleted_and_made_anew_under_a_flowing_river_end_complete(river: River) -> None:
    await river.settled()
    making = asyncio.create_task(make_anew(river.servers.kafka, [INTAKE, ROUTING]))
    while not making.done():
        await river.receive()
    await making

    await is_complete(river, seconds=180)
    await river.settled(seconds=120)


async def test_a_broker_restored_from_an_older_copy_costs_time_and_no_facts(river: River) -> None:
    """Its topics end earlier than where hearers were, and what came in between is nowhere on them."""
    await river.settled()
    data = river.layout.kafka / "data"
    copy = data.with_name("data.copy")
    await river.servers.kill("kafka")
    shutil.copytree(data, copy)
    await river.servers.start("kafka")
    async with standing_still(river, "reporting", "notification"):
        for _ in range(40):
            await river.receive()
        await all_sent(river)
        await river.servers.kill("kafka")
        shutil.rmtree(data)
        copy.rename(data)
        await river.servers.start("kafka")

    await is_complete(river, seconds=180)
    await river.settled(seconds=120)
    figure(f"published again in all: {await total(river, 'published_again')}")
