"""On what and of what a figure was taken: without it a figure says nothing."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import psutil

from tests.bench.alone import marked

REPOSITORY = Path(__file__).resolve().parents[2]


def described() -> str:
    """Processor, cores, memory, Python and the commit, with a mark when the tree differs from it (records aside); the load."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
            if line.startswith("model name")
        ),
        platform.machine(),
    )
    memory = psutil.virtual_memory().total // 2**30
    return (
        f"{model}, {psutil.cpu_count()} cores, {memory} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; commit {commit()}"
        f"{' with changes' if has_changes() else ''}; load before it {psutil.getloadavg()[0]:.1f}"
    )


def commit() -> str:
    """The commit in short."""
    return _git("rev-parse", "--short", "HEAD") or "unknown"


def is_known() -> bool:
    """Whether this is a checkout at all."""
    return commit() != "unknown"


def has_changes() -> bool:
    """Whether the tree differs from its commit, records aside."""
    return bool(_git("status", "--porcelain", "--", ".", ":!docs/evidence"))


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    return done.stdout.strip()


async def said_by(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> str:
    """What a side prints in a process of its own; what it complains of goes to our own stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        *arguments,
        cwd=REPOSITORY,
        env={**os.environ, **(environment or {}), **marked(module)},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if process.returncode != 0:
        raise SystemExit(f"{module} ended with status {process.returncode}: there is no figure.")
    return said.decode()


def seconds_of(pid: int) -> float:
    """Processor seconds of a process and all its children, those that have ended included."""
    used = 0.0
    process = psutil.Process(pid)
    own = process.cpu_times()
    used += own.user + own.system + own.children_user + own.children_system
    for child in process.children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            times = child.cpu_times()
            used += times.user + times.system
    return used
