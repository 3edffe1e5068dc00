"""Two harnesses do not meet in one layout, and one that was killed stands in nobody's way."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from deploy.launcher import process
from deploy.launcher.errors import LaunchError
from deploy.launcher.layout import HOST, Layout
from deploy.launcher.process import Program, Running
from tests.alone import alone, end_leftovers, refuse_strangers
from tests.processes import free_port


def test_whoever_comes_second_is_told_who_holds_the_layout(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "var")
    told = pytest.raises(LaunchError, match=f"in use by pid {os.getpid()}:")
    with alone(layout, "river"), told, alone(layout, "river"):
        pass

    with alone(layout, "river"):  # as soon as the first has ended
        pass


@asynccontextmanager
async def _left_in(layout: Layout) -> AsyncIterator[Running]:
    """A process that nobody ends, and that no state file knows of."""

    async def is_ready() -> bool:
        return True

    command = (sys.executable, "-c", "import time; time.sleep(600)")
    running = process.start(Program("intake", command, dict(os.environ), is_ready), layout)
    try:
        yield running
    finally:
        await running.kill()


async def test_what_an_earlier_harness_left_is_ended_and_nothing_else_is(tmp_path: Path) -> None:
    ours, other = Layout(tmp_path / "var"), Layout(tmp_path / "var:2")
    async with _left_in(ours) as left, _left_in(other) as neighbour:
        assert await end_leftovers(ours) == ["intake"]

        assert not left.is_alive()
        assert neighbour.is_alive()
        assert await end_leftovers(ours) == []


async def test_a_stranger_at_a_port_is_named(tmp_path: Path) -> None:
    with socket.create_server((HOST, free_port())) as server:
        layout = Layout(tmp_path / "var", server.getsockname()[1])
        with pytest.raises(LaunchError, match=rf"meant for door, is in use by .*\(pid {os.getpid()}\)"):
            await refuse_strangers(layout, patience=0)
