"""Servers that the tests share: one PostgreSQL and one Kafka for the session, as `make up` starts them."""

from __future__ import annotations

import signal

import pytest
from hypothesis import settings

from deploy.launcher import topics
from deploy.launcher.layout import Layout
from deploy.launcher.servers import Servers, start_servers
from shared.topics import CONTROL, TOPICS
from tests.layouts import SHARED

_TOLD_AT_ONCE = 3000
"""Characters of a failure, its last: the whole is told at the end."""

# Who is started in the background by a shell ignores Ctrl-C, and so would every process that a test interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_exception_interact(node: pytest.Item | pytest.Collector, report: pytest.TestReport) -> None:
    """Failures are told of when they happen: who ends a run before its end would never see them."""
    terminal = node.config.get_terminal_writer()
    terminal.line()
    terminal.line(f"FAILED {report.nodeid} ({report.when})")
    terminal.line(report.longreprtext[-_TOLD_AT_ONCE:])


@pytest.fixture(scope="session")
def layout() -> Layout:
    """Folder and ports of the tests' servers; they stay up between two runs, `make clean` ends them."""
    return SHARED


@pytest.fixture(scope="session")
async def servers(layout: Layout) -> Servers:
    """PostgreSQL and Kafka, running."""
    running = await start_servers(layout)
    await topics.create(running.kafka, (*TOPICS, CONTROL))
    return running


# No test asserts how long something took: the years of a calendar are laid out by whoever asks first.
settings.register_profile("lienthong", deadline=None)
settings.load_profile("lienthong")
