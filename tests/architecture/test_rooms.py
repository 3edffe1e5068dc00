"""What lies in which room, and that nothing is kept by hand twice."""

from __future__ import annotations

import ast
import re

import pytest

from shared.store.queries import parse
from tests.architecture.tree import REPOSITORY, SERVICES, functions, name_of, parsed, python_files

ROOMS = {
    "__init__", "__main__", "main", "settings", "api", "pages", "templates", "handlers", "rules", "values", "loops",
    "store", "sql", "gateway", "static",
}  # fmt: skip
_SQL_WORDS = re.compile(r"\b(SELECT\b.*\bFROM|INSERT INTO|UPDATE\b.*\bSET|DELETE FROM)\b", re.DOTALL)
_LARGEST_ROOM = 400


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_rooms_by_the_same_names(service: str) -> None:
    folder = REPOSITORY / "services" / service

    found = {path.stem for path in folder.iterdir() if path.name != "__pycache__"}

    assert found <= ROOMS
    assert {"main", "settings", "api", "handlers", "rules", "values", "store", "sql"} <= found


def _query_rooms() -> list[tuple[str, list[str]]]:
    rooms = [(f"services/{service}/sql", [f"services/{service}/store"]) for service in SERVICES]
    return [
        *rooms,
        ("shared/journal", ["shared/journal"]),
        ("shared/outbox", ["shared/outbox"]),
        ("shared/bus", ["shared/bus"]),
        ("shared/store", ["shared/store"]),
    ]


@pytest.mark.parametrize(("sql", "python"), _query_rooms())
def test_every_query_is_used_once_and_every_used_query_exists(sql: str, python: list[str]) -> None:
    named = {name for path in (REPOSITORY / sql).glob("*.sql") for name in parse(path.read_text(encoding="utf-8"))}
    files = [
        path
        for room in python
        for path in ([REPOSITORY / f"{room}.py"] if (REPOSITORY / f"{room}.py").exists() else python_files(room))
    ]
    used = [name for path in files for name in re.findall(r'_sql\["(\w+)"\]', path.read_text(encoding="utf-8"))]

    assert set(used) == named


@pytest.mark.parametrize("service", SERVICES)
def test_a_query_s_function_has_its_name(service: str) -> None:
    sql = REPOSITORY / "services" / service / "sql"
    store = REPOSITORY / "services" / service / "store.py"
    files = [store] if store.exists() else python_files(f"services/{service}/store")
    named = {name for path in sql.glob("*.sql") for name in parse(path.read_text(encoding="utf-8"))}
    written = {name for path in files for name in functions(path)}

    assert named - written == set()


def test_sql_lives_in_files() -> None:
    guilty = [
        f"{name_of(path)}:{node.lineno}"
        for path in python_files("services")
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and _SQL_WORDS.search(node.value)
    ]

    assert guilty == []


def test_no_room_outgrows_its_walls() -> None:
    large = {
        name_of(path): lines
        for path in python_files("shared", "services", "deploy")
        if (lines := path.read_text(encoding="utf-8").count("\n")) > _LARGEST_ROOM
    }

    assert large == {}


@pytest.mark.parametrize("word", ["utils", "helpers", "common", "misc", "manager"])
def test_no_room_is_named_for_nothing(word: str) -> None:
    assert [name_of(path) for path in python_files("shared", "services", "deploy") if word in path.stem] == []
