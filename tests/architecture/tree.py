"""The tree as the architecture tests read it: files, their imports, their words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("intake", "routing", "notification", "reporting")
PACKAGES = ("shared", "services", "deploy")


def python_files(*folders: str) -> list[Path]:
    """Every Python file below some folders of the repository."""
    return sorted(path for folder in folders for path in (REPOSITORY / folder).rglob("*.py"))


@cache
def parsed(path: Path) -> ast.Module:
    """A file's syntax tree."""
    return ast.parse(path.read_text(encoding="utf-8"))


def imports(path: Path) -> set[str]:
    """Full names of what a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {node.module}
    return found


def imports_package(path: Path, package: str) -> bool:
    """Whether a file imports a package or anything in it."""
    return any(name == package or name.startswith(f"{package}.") for name in imports(path))


def name_of(path: Path) -> str:
    """A file's path inside the repository."""
    return path.relative_to(REPOSITORY).as_posix()


def functions(path: Path) -> set[str]:
    """Names of the functions at a file's top level."""
    return {node.name for node in parsed(path).body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def log_calls(path: Path) -> Iterator[tuple[str, int]]:
    """First arguments of calls of ``log.<level>(...)``, with their lines; "" where it is no plain text."""
    levels = {"debug", "info", "warning", "error", "exception", "critical"}
    for node in ast.walk(parsed(path)):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in levels
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "log"
        ):
            first = node.args[0] if node.args else None
            event = first.value if isinstance(first, ast.Constant) else None
            yield (event if isinstance(event, str) else ""), node.lineno
