"""Who may know whom."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import REPOSITORY, SERVICES, imports_package, name_of, parsed, python_files


def _knowing(package: str) -> list[str]:
    return [name_of(path) for path in python_files("shared", "services", "deploy") if imports_package(path, package)]


def test_only_the_bus_knows_faststream() -> None:
    assert {Path(name).parent.as_posix() for name in _knowing("faststream")} == {"shared/bus"}


def test_only_bus_outbox_and_deploy_know_aiokafka() -> None:
    strangers = [
        name for name in _knowing("aiokafka") if not name.startswith(("shared/bus/", "shared/outbox/", "deploy/"))
    ]

    assert strangers == []


def test_only_the_migration_command_imports_services_into_deploy() -> None:
    knowing = [name_of(path) for path in python_files("deploy") if imports_package(path, "services")]

    assert knowing == ["deploy/migrate.py"]


@pytest.mark.parametrize("service", SERVICES)
def test_importing_a_service_does_nothing(service: str) -> None:
    """No file is read or written, no socket opened, no task made: a fresh interpreter with an empty environment."""
    code = (
        "import sys, socket, asyncio\n"
        "def refuse(*a, **k): raise SystemExit('a socket was opened at import')\n"
        "socket.socket.connect = refuse\n"
        f"import services.{service}.main\n"
        "print('nothing happened')\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.stdout, done.returncode) == ("nothing happened\n", 0), done.stderr


def test_a_service_that_imports_another_breaks_the_contract(tmp_path: Path) -> None:
    """The contracts can fail: in a copy of the tree where routing imports intake, they do."""
    for folder in ("shared", "services", "deploy"):
        for path in python_files(folder):
            target = tmp_path / name_of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    (tmp_path / "pyproject.toml").write_bytes((REPOSITORY / "pyproject.toml").read_bytes())
    guilty = tmp_path / "services" / "routing" / "values" / "__init__.py"
    guilty.write_text(
        guilty.read_text(encoding="utf-8") + "\nfrom services.intake import values as _\n", encoding="utf-8"
    )

    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert done.returncode != 0
    assert "Services cannot touch each other BROKEN" in done.stdout


def test_rules_are_functions_without_waiting() -> None:
    waiting = [
        f"{name_of(path)}:{node.lineno}"
        for service in SERVICES
        for path in python_files(f"services/{service}")
        if "rules" in name_of(path).split("/")[2]
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.AsyncFunctionDef | ast.Await)
    ]

    assert waiting == []


def test_nothing_below_api_and_pages_is_injected_by_fastapi() -> None:
    knowing = [
        name_of(path)
        for path in python_files("services")
        if imports_package(path, "fastapi")
        and path.stem not in {"api", "pages", "main"}
        and path.parent.name not in {"api", "pages"}
    ]

    assert knowing == []
