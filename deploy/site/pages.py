"""Which pages the site has, and in which order."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias

Entry: TypeAlias = Mapping[str, "str | Sequence[Entry]"]

LANDING: Final = "index.md"
SECTIONS: Final = {
    "Use": ("how-it-works.md", "run.md", "operate.md", "performance.md"),
    "Connect": ("integrate/http.md", "integrate/kafka.md", "contracts/index.md", "contracts/events.md"),
    "Look up": ("delivery.md", "faults.md", "glossary.md", "log-events.md"),
}
DECISIONS: Final = "decisions"
_TITLE: Final = re.compile(r"^# (.+?)(?: *\{:.*\})?$", re.MULTILINE)


class PageError(Exception):
    """One clear sentence about a page that cannot be placed."""


def navigation(docs: Path) -> list[Entry]:
    """The site's table of contents: each page once, by its first heading. Raises PageError.

    What nobody has placed yet stands at the end of "Look up"; decisions stand in the order of their numbers.
    """
    there = {path.relative_to(docs).as_posix() for path in docs.rglob("*.md")}
    if LANDING not in there:
        raise PageError(f"{docs / LANDING} is missing: the site needs a page to begin with.")
    decisions = sorted(name for name in there if name.startswith(f"{DECISIONS}/"))
    placed = {LANDING, *decisions, *(name for names in SECTIONS.values() for name in names)}
    sections: dict[str, list[str]] = {
        title: [one for one in names if one in there] for title, names in SECTIONS.items()
    }
    sections["Look up"] += sorted(there - placed)
    sections["Decisions"] = decisions
    entries: list[Entry] = [{title_of(docs / LANDING): LANDING}]
    return [
        *entries,
        *({title: [{title_of(docs / one): one} for one in names]} for title, names in sections.items() if names),
    ]


def title_of(page: Path) -> str:
    """A page's first heading. Raises PageError when it has none."""
    found = _TITLE.search(page.read_text(encoding="utf-8"))
    if found is None:
        raise PageError(f"{page} has no heading: begin it with '# …'.")
    return found[1].strip()


def as_toml(entries: Sequence[Entry]) -> str:
    """The table of contents as a value of TOML."""
    return "[" + ", ".join(_table(entry) for entry in entries) + "]"


def _table(entry: Entry) -> str:
    pairs = (
        f"{json.dumps(title, ensure_ascii=False)} = {json.dumps(it) if isinstance(it, str) else as_toml(it)}"
        for title, it in entry.items()
    )
    return "{ " + ", ".join(pairs) + " }"
