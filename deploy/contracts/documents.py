"""The two documents as files: written, or compared with what is committed."""

from __future__ import annotations

import difflib
import json
from pathlib import Path
from typing import Final

from deploy.contracts.asyncapi import document
from deploy.contracts.page import events_page

FOLDER: Final = Path("docs") / "contracts"


def documents() -> dict[Path, str]:
    """Path inside the repository -> what has to stand in it."""
    return {
        FOLDER / "asyncapi.json": json.dumps(document(), indent=2, ensure_ascii=False) + "\n",
        FOLDER / "events.md": events_page(),
    }


def write(repository: Path) -> list[Path]:
    """Write what differs; which files these were. OSError when one cannot be written."""
    written = []
    for path, text in documents().items():
        target = repository / path
        if _there(target) != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
            written.append(path)
    return written


def differences(repository: Path) -> str:
    """What stands in the repository against what should, as a unified diff; empty when nothing differs."""
    told: list[str] = []
    for path, text in documents().items():
        there = _there(repository / path).splitlines(keepends=True)
        told += difflib.unified_diff(there, text.splitlines(keepends=True), f"{path} (committed)", f"{path} (the code)")
    return "".join(told)


def _there(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
