"""A fresh river to strike at: seeded, with witnesses in its stores and an empty history."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

from deploy.launcher.layout import REPOSITORY, SERVICES, Layout
from tests.alone import alone
from tests.faults.ground.ends import Ends
from tests.faults.ground.left import Left, forget, leave, taken_up
from tests.faults.ground.standing import Ground
from tests.faults.ground.tally import MAILS_IN_FLIGHT, Tally
from tests.faults.history import History
from tests.faults.needs import Needs, disks_of, put_under_a_clock, with_a_receiver
from tests.flow.river import River, flowing

KEPT: Final = REPOSITORY / "var" / "faults" / "history"
"""Where histories lie; that of a run that failed is kept under its seed."""

_SENDER: Final = {"SMTP_TIMEOUT": "4", "SMTP_CONNECTIONS": str(MAILS_IN_FLIGHT // 2)}
"""A killed sender's claim runs out after half as many seconds again; nobody wants to wait half a minute for that."""

_WITNESS: Final = """
CREATE TABLE ever_parked (LIKE parked);
CREATE FUNCTION remember_parked() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_parked SELECT new.*;
    RETURN new;
END $$;
CREATE TRIGGER remember_parked AFTER INSERT ON parked FOR EACH ROW EXECUTE FUNCTION remember_parked();
CREATE TABLE ever_dead (LIKE dead_letter);
CREATE FUNCTION remember_dead() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_dead SELECT new.*;
    RETURN new;
END $$;
CREATE TRIGGER remember_dead AFTER INSERT ON dead_letter FOR EACH ROW
    WHEN (new.subject IS NULL OR NOT starts_with(new.subject, 'forged-')) EXECUTE FUNCTION remember_dead();
CREATE TABLE ever_pointed (topic text, subject text, version int);
CREATE FUNCTION remember_pointed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_pointed VALUES (new.topic, new.aggregateid, new.version);
    RETURN new;
END $$;
CREATE TRIGGER remember_pointed AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION remember_pointed();
"""
"""What was parked is deleted when it is heard: without a witness, parking would hide a relay's faults, and nobody could
look into what lay there. A dead letter is remembered as it was first written; what was forged stays where it is, and is
too much to be written twice. Pointers are deleted when they are sent: without a witness, nobody could tell what was
published again."""

_WITNESS_OF_KEYS: Final = """
CREATE TABLE ever_sealed (dossier text, wrapped_key text);
CREATE FUNCTION remember_sealed() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    INSERT INTO ever_sealed VALUES (new.dossier, new.wrapped_key);
    RETURN new;
END $$;
CREATE TRIGGER remember_sealed AFTER INSERT ON citizen FOR EACH ROW EXECUTE FUNCTION remember_sealed();
"""
"""An erasure deletes the key, and a topic that is lost has none either: without a witness (as any backup is one) nobody
could try whether it still opens something."""

_TALLIED: Final = {"TALLY_SECONDS": "1", "TALLY_ROTATION_SECONDS": "10"}
"""A lost last event is to be found while somebody watches."""

_SERVER_READY_WITHIN: Final = 300.0
"""Seconds. One broker of three that was killed catches up among all that goes on, on a machine that is busy."""

_NOTHING_MORE: Final = Needs()


@asynccontextmanager
async def ground(
    layout: Layout,
    seed: int,
    *,
    name: str = "history",
    needs: Needs = _NOTHING_MORE,
    goes_on: bool = False,
    leaves: bool = False,
) -> AsyncIterator[Ground]:
    """A fresh river, seeded with calendar, units and procedures, witnesses in its stores, and an empty history.

    ``needs``: what the strikes that it is for need besides. ``goes_on``: on the data that an earlier campaign left,
    instead, and to be judged together with it (NothingLeftError); ``leaves``: the same for a later one. LaunchError
    where another harness stands here already: it holds the ground with its logs, its disks and its data.
    """
    with alone(layout, "ground"):
        async with _held(layout, seed, name, needs, goes_on=goes_on, leaves=leaves) as ours:
            yield ours


@asynccontextmanager
async def _held(
    layout: Layout, seed: int, name: str, needs: Needs, *, goes_on: bool, leaves: bool
) -> AsyncIterator[Ground]:
    left = taken_up(layout) if goes_on else None
    history = History(KEPT / f"{name}-{seed}.jsonl") if left is None else History(left.history, left.last)
    history.open(anew=left is None)
    forget(layout)
    try:
        _put_aside(layout.var / "log")
        with disks_of(layout, needs) as disks:
            async with _prepared(needs.laid_out(layout), seed, history, needs, left) as ours:
                ours.disks = disks
                yield ours
                if leaves and not ours.failed:
                    leave(ours)
                elif not ours.failed:
                    history.path.unlink()
    finally:
        history.close()


def _put_aside(logs: Path) -> None:
    """What an earlier run wrote is kept beside; the checker reads what this one does."""
    before = logs.with_name("log.before")
    shutil.rmtree(before, ignore_errors=True)
    if logs.exists():
        logs.rename(before)
    logs.mkdir(parents=True)


@asynccontextmanager
async def _prepared(
    layout: Layout, seed: int, history: History, needs: Needs, left: Left | None
) -> AsyncIterator[Ground]:
    async with flowing(layout, anew=left is None) as river:
        ends = Ends(Tally() if left is None else left.tally)
        ends.watch(river)
        for name, server in river.servers.programs.items():
            river.servers.programs[name] = replace(server, patience=_SERVER_READY_WITHIN)
        for service in SERVICES:
            whole = river.programs[service]
            more = _SENDER if service == "notification" else {}
            river.programs[service] = replace(whole, environment={**whole.environment, **_TALLIED, **more})
            await river.running[service].stop()
        await asyncio.gather(*(river.start(service) for service in SERVICES))
        clock = None if needs.clock is None else await put_under_a_clock(river, needs.clock)
        if left is None:
            await _witnessed(river)
        async with with_a_receiver(river, needs):
            if left is None:
                await river.seed()
                yield Ground(river, history, Random(seed), seed, ends, clock=clock)
            else:
                chance = Random(seed + left.last)  # under the same seed clients would give the same ids once more
                yield Ground(river, history, chance, seed, ends, left.town, before=left.came, clock=clock)


async def _witnessed(river: River) -> None:
    for service in SERVICES:
        async with river.store(service) as store:
            await store.execute(_WITNESS)
    async with river.store("intake") as store:
        await store.execute(_WITNESS_OF_KEYS)
