"""What the bench makes of what it took: medians, verdicts, rows, records; and that it is alone and leaves nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from deploy.launcher import state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import Layout
from deploy.launcher.process import SIGNATURE
from deploy.launcher.servers import Servers
from tests.alone import end_leftovers
from tests.bench import accepting, growing, hearing
from tests.bench.__main__ import FIGURES, path_for
from tests.bench.alone import SERVERS, by_itself
from tests.bench.counting import rows_each, told, whole
from tests.bench.figure import Aim, Figure, Run, Side, Sides, aims_of, besides_of, columns_of, rows_of
from tests.bench.raw_doors import pieces
from tests.bench.sink import length_of
from tests.processes import REPOSITORY, free_port

DAY = date(2026, 11, 29)


def side(*rates: float, **more: float) -> Side:
    return Side.of([Run(rate, more=more) for rate in rates])


def of_rates(**rates: float) -> dict[str, Side]:
    return {name: side(rate) for name, rate in rates.items()}


async def never(_: Servers, name: str) -> Run:
    raise AssertionError(f"{name} is not run here")


def figure(*aims: Aim) -> Figure:
    return Figure("some", "Some", "things", {"one": "the one"}, never, aims)


def test_a_side_keeps_its_middle_how_often_it_ran_and_between_what_it_lay() -> None:
    taken = Side.of([Run(rate, more={"p99": rate / 10}) for rate in (30, 10, 80)])

    assert (taken.rate, taken.runs, taken.least, taken.most) == (30, 3, 10, 80)
    assert taken.spread == {"p99": (1, 8)}


def test_a_record_tells_runs_and_spread_of_each_side() -> None:
    sides: Sides = {"one": Side.of([Run(rate, more={"p99": rate / 10}) for rate in (30, 10, 80)])}

    (row,) = rows_of(figure(), sides)
    assert dict(zip(columns_of(figure()), row, strict=True))["least–most"] == "10–80"
    assert dict(zip(columns_of(figure()), row, strict=True))["runs"] == "3"
    assert besides_of(figure(), sides) == ["the one: p99 3.00 (1.00–8.00)"]


def test_what_is_no_aim_stands_beside_the_aims_without_a_verdict() -> None:
    beside = Aim("beside", None, lambda sides: sides["one"].rate)
    missed = Aim("missed", 31, lambda sides: sides["one"].rate)

    assert aims_of(figure(beside, missed), of_rates(one=30)) == [
        ["beside", "", "30.00", ""],
        ["missed", "≥ 31", "30.00", "missed"],
    ]


def test_one_statement_each_stands_beside_several() -> None:
    whats = [one.what for one in accepting.FIGURE.aims]

    assert whats.index("intake, × one statement") == whats.index("intake, × several statements") + 1


def grown(micros: Mapping[int, float], mebibytes: Mapping[int, float]) -> dict[str, Side]:
    marks = {f"µs at {mark:,}": each for mark, each in micros.items()}
    return {"growing": side(1, **marks, **{f"MiB at {mark:,}": each for mark, each in mebibytes.items()})}


@pytest.mark.parametrize(
    ("micros", "mebibytes", "verdicts"),
    [
        ((80, 79, 81), (158, 164, 176), ["reached", "reached", "reached"]),
        ((120, 60, 82), (158, 164, 176), ["missed", "reached", "reached"]),  # a slow first mark hides no growth
        ((80, 79, 81), (150, 160, 180), ["reached", "reached", "missed"]),
        ((80, 79, 81), (198, 200, 201), ["reached", "missed", "reached"]),
    ],
)
def test_neither_time_nor_memory_may_grow(
    monkeypatch: pytest.MonkeyPatch, micros: tuple[float, ...], mebibytes: tuple[float, ...], verdicts: list[str]
) -> None:
    marks = (10_000, 100_000, 1_000_000)
    monkeypatch.setattr(growing, "_MARKS", marks)
    sides = grown(dict(zip(marks, micros, strict=True)), dict(zip(marks, mebibytes, strict=True)))

    assert [verdict for *_, verdict in aims_of(growing.FIGURE, sides)] == verdicts


def test_rows_are_not_rounded_to_what_they_should_be() -> None:
    each = rows_each({"dossier": 128, "counter": 20}, {"dossier": 728, "counter": 20, "outbox": 1201}, 600)

    assert told(each) == "dossier 1, outbox 2.002"
    assert whole(each) == {"dossier": 1, "outbox": 2}


def test_a_side_that_leaves_a_row_out_or_writes_one_twice_is_not_routing() -> None:
    once = dict.fromkeys(hearing.ROUTING_TABLES, 1.0)

    assert hearing.are_routing_s(once)
    assert not hearing.are_routing_s({**once, "outbox": 0.999})
    assert not hearing.are_routing_s({table: 1.0 for table in once if table != "timer"})
    assert not hearing.are_routing_s({**once, "bench_limit": 1.0})


def test_what_shares_a_transaction_is_everything_once() -> None:
    assert list(pieces(range(128, 200), 32)) == [range(128, 160), range(160, 192), range(192, 200)]


def test_a_record_of_some_figures_says_of_which_and_takes_no_others_place(tmp_path: Path) -> None:
    whole_one = path_for(tmp_path, DAY, "abc", FIGURES)
    assert whole_one.name == "bench-2026-11-29-abc.md"
    whole_one.touch()

    assert path_for(tmp_path, DAY, "abc", FIGURES).name == "bench-2026-11-29-abc-2.md"
    assert path_for(tmp_path, DAY, "abc", ["hearing", "river"]).name == "bench-2026-11-29-abc-hearing-river.md"


def test_the_sink_knows_where_a_body_ends() -> None:
    assert length_of(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 812\r\nAccept: */*") == 812
    assert length_of(b"POST /v1/traces HTTP/1.1\r\nAccept: */*") == 0


async def test_a_second_bench_is_refused(tmp_path: Path) -> None:
    layout = Layout(tmp_path, free_port())

    async with by_itself(layout):
        with pytest.raises(LaunchError, match="in use by pid"):
            async with by_itself(layout):
                raise AssertionError("both would run")


async def test_what_a_killed_bench_left_is_ended_and_its_servers_are_not(tmp_path: Path) -> None:
    def left(name: str) -> subprocess.Popen[bytes]:
        environment = {**os.environ, SIGNATURE: f"{tmp_path}:{name}"}
        return subprocess.Popen([sys.executable, "-c", "input()"], env=environment, stdin=subprocess.PIPE)

    layout, service, server = Layout(tmp_path, free_port()), left("intake"), left("postgres")
    try:
        service.send_signal(signal.SIGSTOP)  # as a stage is while another is measured

        assert await end_leftovers(layout, spared=SERVERS) == ["intake"]
        assert state.birth(service.pid) is None
        assert server.poll() is None
    finally:
        for each in (service, server):
            each.kill()
            each.communicate()


_ENDED = """
import asyncio, signal
from tests.bench.alone import run
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may have it ignored
async def main():
    try:
        print("begun", flush=True)
        await asyncio.Event().wait()
    finally:
        await asyncio.sleep(0)
        print("put away", flush=True)
run(main)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_whoever_ends_a_bench_lets_it_put_everything_away(number: signal.Signals) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", _ENDED),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert await process.stdout.readline() == b"begun\n"
    process.send_signal(number)
    said, complained = await process.communicate()

    assert (said, complained, process.returncode) == (b"put away\n", "✗ Ended before all was measured.\n".encode(), 1)
