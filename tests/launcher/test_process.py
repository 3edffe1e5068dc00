import os
import signal
from collections.abc import Callable

import psutil
import pytest

from deploy.launcher import process, state
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import Layout
from deploy.launcher.process import Program
from tests.processes import until

Build = Callable[..., Program]
WAITS = "mark.touch(); time.sleep(600)"


async def test_a_program_runs_until_it_is_stopped(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    program = a_program("patient", WAITS)

    running = process.start(program, place)
    await process.wait_ready(program, running)
    assert running.is_alive()
    await running.stop()

    assert not running.is_alive()
    assert running.exit_code() == -signal.SIGTERM


async def test_a_program_that_dies_at_start_is_told_with_its_last_lines(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    program = a_program("hasty", "sys.exit('the folder is not mine')")

    with pytest.raises(LaunchError, match=r"hasty stopped before it was ready(.|\n)*the folder is not mine"):
        await process.wait_ready(program, process.start(program, place))


async def test_a_program_that_is_never_ready_is_told(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    program = a_program("slow", "time.sleep(600)", patience=0)
    running = process.start(program, place)

    with pytest.raises(LaunchError, match="slow is not ready after 0 s"):
        await process.wait_ready(program, running)

    await running.stop()


def test_a_program_that_is_not_there_is_told(place: Layout, a_program: Build) -> None:
    absent = Program("absent", (str(place.var / "absent"),), {}, a_program("unused", "").is_ready)

    with pytest.raises(LaunchError, match="absent cannot be started: No such file"):
        process.start(absent, place)


async def test_a_stubborn_program_is_killed_when_its_patience_ends(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    stubborn = "signal.signal(signal.SIGTERM, signal.SIG_IGN); mark.touch(); time.sleep(600)"
    program = a_program("stubborn", stubborn, stop_patience=0)
    running = process.start(program, place)
    await process.wait_ready(program, running)

    await running.stop()

    assert running.exit_code() == -signal.SIGKILL


async def test_a_suspended_program_is_alive_and_can_be_stopped(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    program = a_program("frozen", WAITS)
    running = process.start(program, place)
    await process.wait_ready(program, running)

    running.suspend()
    await until(lambda: psutil.Process(running.pid).status() == psutil.STATUS_STOPPED, "it is suspended")
    assert running.is_alive()
    await running.stop()

    assert not running.is_alive()


async def test_the_workers_of_a_killed_program_do_not_outlive_it(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    code = "import subprocess; child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    program = a_program("parent", code + "mark.write_text(str(child.pid)); time.sleep(600)")
    running = process.start(program, place)
    await process.wait_ready(program, running)
    await until(lambda: (place.var / "parent.mark").read_text() != "", "the worker is there")
    worker = int((place.var / "parent.mark").read_text())

    await running.kill()

    await until(lambda: state.birth(worker) is None, "the worker is gone")


async def test_a_program_is_out_of_reach_of_the_terminal_s_ctrl_c(place: Layout, a_program: Build) -> None:
    place.var.mkdir()
    program = a_program("apart", WAITS)

    running = process.start(program, place)

    assert os.getsid(running.pid) == running.pid != os.getsid(0)
    await running.stop()


def test_logs_are_rotated_at_a_start_and_bounded_in_number(place: Layout) -> None:
    log = place.log("talkative")
    log.parent.mkdir(parents=True)
    for number in range(6):
        log.write_bytes(b"%d" % number * process.LOG_BYTES_BEFORE_ROTATION)
        process.rotate(log)

    kept = sorted(path.name for path in log.parent.iterdir())

    assert kept == ["talkative.log.1", "talkative.log.2", "talkative.log.3"]
    assert (log.parent / "talkative.log.1").read_bytes().startswith(b"5")
