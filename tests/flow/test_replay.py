"""A real event log goes through the front door, is broken off in the middle, and comes out of every store as it was."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import signal
import sys
import uuid
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from asyncpg import Record

from deploy.launcher.layout import REPOSITORY
from deploy.replay.plan import ORIGIN, PROCEDURE, UNIT
from deploy.replay.xes import Log, RecordedCase, read_log
from tests.flow.river import River, a_submission, command_id
from tests.logs import RECEIPT_LOG, needs_the_receipt_log
from tests.processes import free_port, until

pytestmark = pytest.mark.timeout(900)

Step: TypeAlias = tuple[str, str, str, datetime]
"""Stage, unit, officer, instant."""

HISTORY = {"X-Dev-Actor": "id=test-replay; roles=history"}
LONG = 300

DOSSIERS = "SELECT id, attributes->>'case' AS case, received FROM dossier WHERE origin = $1"
STARTED = """
SELECT ledger.dossier, ledger.stage, ledger.unit, ledger.officer, ledger.at
  FROM ledger JOIN journey ON journey.dossier = ledger.dossier
 WHERE ledger.kind = 'started' AND journey.origin = $1 ORDER BY ledger.dossier, ledger.number
"""
TIMELINE = """
SELECT dossier, stage, unit, officer, time AS at FROM timeline
 WHERE type = 'StageStarted' AND origin = $1 ORDER BY dossier, version
"""


@dataclass(frozen=True, slots=True)
class Told:
    """What a replay said, and how it ended."""

    code: int
    text: str


@asynccontextmanager
async def replaying(url: str, path: Path, *options: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """`lienthong replay`, running; killed when it still runs at the end."""
    command = ("-m", "deploy.cli", "replay", str(path), "--url", url, *options)
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=REPOSITORY, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def replayed(url: str, path: Path, *options: str) -> Told:
    """The same, to its end."""
    async with replaying(url, path, *options) as process:
        text, _ = await process.communicate()
        assert process.returncode is not None
        return Told(process.returncode, text.decode())


async def rows(river: River, service: str, query: str, *arguments: Any) -> list[Record]:
    """What a query finds in a service's store."""
    async with river.store(service) as store:
        return list(await store.fetch(query, *arguments))


async def number(river: River, service: str, query: str, *arguments: Any) -> int:
    """The number that a query gives."""
    found: int = (await rows(river, service, query, *arguments))[0][0]
    return found


async def counted(river: River) -> tuple[int, int]:
    """Replayed dossiers at intake, and recorded steps at routing."""
    dossiers = await number(river, "intake", "SELECT count(*) FROM dossier WHERE origin = $1", ORIGIN)
    steps = await number(
        river,
        "routing",
        "SELECT coalesce(sum(run), 0)::int FROM journey WHERE origin = $1",
        ORIGIN,
    )
    return dossiers, steps


async def steps_are_more_than(river: River, least: int) -> bool:
    return (await counted(river))[1] > least


def recorded(case: RecordedCase) -> list[Step]:
    """A case's steps as they should be."""
    return [
        (event.activity, UNIT if event.group in {None, "EMPTY"} else str(event.group), str(event.resource), event.at)
        for event in case.events
    ]


def by_case(found: Sequence[Record], cases: Mapping[str, str]) -> dict[str, list[Step]]:
    """Steps of a store by the name of their case; ``cases``: dossier -> case."""
    steps: dict[str, list[Step]] = {}
    for row in found:
        steps.setdefault(cases[row["dossier"]], []).append((row["stage"], row["unit"], row["officer"], row["at"]))
    return steps


def durations(steps: Mapping[str, Sequence[Step]]) -> list[float]:
    """Seconds from the first step of a case to its last, ascending."""
    return sorted((each[-1][3] - each[0][3]).total_seconds() for each in steps.values())


def pm4py_durations(path: Path) -> list[float]:
    """The same by pm4py, of the file itself. It is AGPL: of the test group only, and imported only here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        log = import_module("pm4py.read").read_xes(str(path))
        found: list[float] = import_module("pm4py.stats").get_all_case_durations(log)
    return found


@needs_the_receipt_log
async def test_the_receipt_log_broken_off_in_the_middle_comes_out_of_every_store_as_it_was(river: River) -> None:
    log: Log = read_log(RECEIPT_LOG)
    expected = {case.id: recorded(case) for case in log.cases}
    url = river.layout.url("door")
    live_before = (await river.client.get(river.url("reporting", "/reporting/now"))).json()["totals"]
    mails_before = len(list(river.layout.mail.rglob("*.eml")))

    async with replaying(url, RECEIPT_LOG) as process:
        await until(partial(steps_are_more_than, river, 1500), "steps arrive", seconds=LONG)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    dossiers, steps = await counted(river)
    assert 0 < dossiers <= 1434
    assert 1500 < steps < 8577
    told = await replayed(url, RECEIPT_LOG)
    await river.settled(seconds=LONG)

    assert told.code == 0, told.text
    assert "1,434" in told.text
    found = await rows(river, "intake", DOSSIERS, ORIGIN)
    cases = {row["id"]: row["case"] for row in found}
    assert len(found) == len(cases) == 1434
    assert {row["case"]: row["received"] for row in found} == {name: each[0][3] for name, each in expected.items()}
    at_routing = by_case(await rows(river, "routing", STARTED, ORIGIN), cases)
    at_reporting = by_case(await rows(river, "reporting", TIMELINE, ORIGIN), cases)
    assert at_routing == expected
    assert at_reporting == expected
    assert sum(map(len, at_reporting.values())) == 8577
    handed = "SELECT count(*) FROM timeline WHERE type = 'HandedOver' AND origin = $1"
    assert await number(river, "reporting", handed, ORIGIN) == 1208
    assert await number(river, "reporting", "SELECT count(*) FROM dossier_now WHERE origin = $1", ORIGIN) == 1434

    pm4pys = pm4py_durations(RECEIPT_LOG)
    assert durations(at_routing) == durations(at_reporting) == pytest.approx(pm4pys, abs=1e-6)
    assert sum(pm4pys) / len(pm4pys) == pytest.approx(467_263.9, abs=0.05)
    assert durations(at_reporting).count(0) == 116

    of_replayed = "SELECT count(*) FROM notice WHERE dossier = ANY($1::text[])"
    assert await number(river, "notification", of_replayed, list(cases)) == 0
    assert (
        await number(river, "routing", "SELECT count(*) FROM timer WHERE dossier = ANY($1::text[])", list(cases)) == 0
    )
    alarms = "SELECT count(*) FROM timeline WHERE origin = $1 AND type LIKE 'Deadline%'"
    assert await number(river, "reporting", alarms, ORIGIN) == 0
    assert len(list(river.layout.mail.rglob("*.eml"))) == mails_before
    assert (await river.client.get(river.url("reporting", "/reporting/now"))).json()["totals"] == live_before


CASE = """<trace>
<string key="concept:name" value="{case}"/><string key="channel" value="Desk"/>
<event><string key="concept:name" value="A"/><date key="time:timestamp" value="2011-01-03T10:00:00.001+01:00"/></event>
<event><string key="concept:name" value="B"/><date key="time:timestamp" value="2011-01-03T10:00:00.002+01:00"/></event>
</trace>"""


def a_small_log(folder: Path, *cases: str) -> Path:
    """A log of cases with two steps each; its name is that of the first case."""
    path = folder / f"{cases[0]}.xes.gz"
    traces = "".join(CASE.format(case=case) for case in cases)
    path.write_bytes(gzip.compress(f'<log xmlns="http://www.xes-standard.org/">{traces}</log>'.encode()))
    return path


async def said(river: River) -> list[int]:
    """How much each speaker has said."""
    return [await number(river, service, "SELECT count(*) FROM journal") for service in ("intake", "routing")]


async def test_a_replay_that_is_sent_again_changes_nothing(river: River, tmp_path: Path) -> None:
    path = a_small_log(tmp_path, "again")
    first = await replayed(river.layout.url("door"), path)
    await river.settled()
    before = await said(river)

    second = await replayed(river.layout.url("door"), path)

    assert (first.code, second.code) == (0, 0), first.text + second.text
    assert "1 there before" in second.text
    assert await said(river) == before


async def test_of_a_file_that_is_cut_off_nothing_is_sent(river: River, tmp_path: Path) -> None:
    path = a_small_log(tmp_path, "cut")
    path.write_bytes(path.read_bytes()[:-20])
    before = await said(river)

    told = await replayed(river.layout.url("door"), path)

    assert told.code == 1
    assert "The file is cut off" in told.text
    assert await said(river) == before


async def test_where_nobody_answers_a_replay_says_what_to_do(tmp_path: Path) -> None:
    told = await replayed(f"http://127.0.0.1:{free_port()}", a_small_log(tmp_path, "nobody"))

    assert told.code == 1
    assert "Nothing answers" in told.text


async def test_an_interrupted_replay_says_how_to_go_on_and_goes_on_from_there(river: River, tmp_path: Path) -> None:
    path = a_small_log(tmp_path, *(f"interrupted-{nth}" for nth in range(800)))
    url = river.layout.url("door")
    of_these = "SELECT count(*) FROM dossier WHERE attributes->>'case' LIKE 'interrupted-%'"

    # One connection for every look: a new one takes longer than many cases do.
    async with replaying(url, path) as process, river.store("intake") as intake:

        async def some_are_there() -> bool:
            return bool(await intake.fetchval(of_these))

        await until(some_are_there, "cases arrive", seconds=60)
        process.send_signal(signal.SIGINT)
        text, _ = await process.communicate()
    again = await replayed(url, path)

    assert process.returncode == 130
    assert "The same command goes on from here" in text.decode()
    assert again.code == 0, again.text
    assert await number(river, "intake", of_these) == 800


async def test_a_replay_unit_takes_records_only(river: River, tmp_path: Path) -> None:
    await replayed(river.layout.url("door"), a_small_log(tmp_path, "records"))

    answer = await river.client.post(
        river.url("intake", "/intake/dossiers"),
        json={**a_submission(), "unit": UNIT},
        headers={"X-Dev-Actor": f"id=desk-1; unit={UNIT}; roles=desk", **command_id()},
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/replay-unit")
    assert answer.json()["field"] == "/unit"


async def test_what_has_not_happened_yet_is_no_record(river: River, tmp_path: Path) -> None:
    await replayed(river.layout.url("door"), a_small_log(tmp_path, "future"))
    body = {**a_submission(), "unit": UNIT, "procedure": PROCEDURE}
    record = {"origin": ORIGIN, "received": "2099-01-03T10:00:00+01:00", "promise": "2099-02-03T10:00:00+01:00"}

    answer = await river.client.post(
        river.url("intake", "/intake/dossiers"), json={**body, "record": record}, headers={**HISTORY, **command_id()}
    )

    found = await rows(river, "intake", "SELECT id FROM dossier WHERE attributes->>'case' = 'future'")
    action = {"kind": "record_step", "stage": "C", "unit": UNIT, "at": record["received"]}
    command = {"id": "too-early", "dossier": found[0]["id"], "action": action}
    outcomes = await river.client.post(
        river.url("routing", "/routing/commands"), json={"commands": [command]}, headers=HISTORY
    )

    assert (answer.status_code, answer.json()["type"]) == (422, "/problems/not-yet")
    assert outcomes.json()["outcomes"][0]["problem"]["reason"] == "not_yet"


@pytest.mark.parametrize(("field", "longest"), [("stage", 120), ("unit", 32), ("officer", 64)])
async def test_a_recorded_word_that_fits_no_event_is_refused_at_the_door(
    river: River, field: str, longest: int
) -> None:
    action = {"kind": "record_step", "stage": "A", "unit": "B", "at": "2011-01-03T10:00:00+01:00"}
    command = {"id": "1", "dossier": str(uuid.uuid4()), "action": {**action, field: "x" * (longest + 1)}}

    answer = await river.client.post(
        river.url("routing", "/routing/commands"), json={"commands": [command]}, headers=HISTORY
    )

    assert answer.status_code == 422
    assert answer.json()["field"].endswith(f"/{field}")
