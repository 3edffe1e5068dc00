"""Named queries: SQL lives in a file, under a name; the function that runs it has the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAME = re.compile(r"^-- name: (?P<name>[a-z_][a-z0-9_]*)\s*$", re.MULTILINE)


def parse(text: str) -> dict[str, str]:
    """The queries of a file: what stands between two ``-- name:`` lines. ValueError for a name said twice."""
    found: dict[str, str] = {}
    marks = list(_NAME.finditer(text))
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        body = text[mark.end() : following.start() if following else len(text)]
        if mark["name"] in found:
            raise ValueError(f"two queries are named {mark['name']}")
        found[mark["name"]] = "\n".join(line for line in body.splitlines() if not line.startswith("--")).strip()
    return found


class Queries(Mapping[str, str]):
    """The named queries of a folder's ``*.sql`` files (not of its sub-folders), read when the first is asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._queries: dict[str, str] | None = None

    def _loaded(self) -> dict[str, str]:
        if self._queries is None:
            queries: dict[str, str] = {}
            for file in sorted(self._folder.glob("*.sql")):
                for name, query in parse(file.read_text(encoding="utf-8")).items():
                    if name in queries:
                        raise ValueError(f"two queries are named {name}, one of them in {file.name}")
                    queries[name] = query
            self._queries = queries
        return self._queries

    def __getitem__(self, name: str) -> str:
        return self._loaded()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._loaded())

    def __len__(self) -> int:
        return len(self._loaded())
