import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psutil
import pytest

from deploy.launcher import postgres
from deploy.launcher.layout import Layout
from deploy.launcher.postgres import Databases
from deploy.launcher.process import Program
from deploy.launcher.servers import Servers

SUFFIX = "_launcher"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Layout]:
    """An empty layout of its own; what a failing test left running in it is ended."""
    yield Layout(tmp_path / "var", 45_000)
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if str(tmp_path) in " ".join(child.cmdline()):
                child.kill()


@pytest.fixture(scope="module")
async def databases(servers: Servers) -> AsyncIterator[Databases]:
    """Four databases of the real server, with roles and rights as in production."""
    yield await postgres.make_databases(servers.layout, SUFFIX)
    await postgres.drop_databases(servers.layout, SUFFIX)


@pytest.fixture
def a_program(place: Layout) -> Callable[..., Program]:
    """Builds a program from a line of Python; it is ready as soon as it has made the file named in `mark`."""

    def build(name: str, code: str, **changed: object) -> Program:
        mark = place.var / f"{name}.mark"

        async def is_ready() -> bool:
            return mark.exists()

        prelude = f"import pathlib, signal, sys, time; mark = pathlib.Path({str(mark)!r})"
        given: dict[str, object] = {"patience": 20, "stop_patience": 10, **changed}
        command = (sys.executable, "-c", f"{prelude}\n{code}")
        return Program(name=name, command=command, environment=dict(os.environ), is_ready=is_ready, **given)  # type: ignore[arg-type]

    return build
