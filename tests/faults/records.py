"""Records of campaigns in docs/evidence: which of them stands for a part at a commit, and what others are called.

Only a run in which nothing was broken, of a tree that is its commit, spares anybody the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from deploy.launcher.layout import REPOSITORY
from tests.bench import machine

EVIDENCE: Final = REPOSITORY / "docs" / "evidence"


@dataclass(frozen=True, slots=True)
class Tree:
    """What is checked out. ``is_whole``: it is that commit and nothing else, records aside."""

    commit: str
    is_whole: bool

    @classmethod
    def now(cls) -> Tree:
        """As it is at this moment; where git does not know, it is no commit's."""
        return cls(machine.commit(), machine.is_known() and not machine.has_changes())

    def until(self, later: Tree) -> Tree:
        """What a run was of that began with this tree and ended with that one."""
        return self if self == later else Tree(self.commit, is_whole=False)

    def __str__(self) -> str:
        """As it stands in the name of a record."""
        return self.commit if self.is_whole else f"{self.commit}-changed"


@dataclass(frozen=True, slots=True)
class Record:
    """One run of a part: of which tree, under which seed."""

    part: str
    tree: Tree
    seed: int
    folder: Path = field(default_factory=lambda: EVIDENCE)

    def stands(self) -> Path | None:
        """The record by which this part is done for this commit; None where it has to be run."""
        path = self._path()
        return path if self.tree.is_whole and path.exists() else None

    def write(self, told: Sequence[str], *, failed: bool) -> Path:
        """Keep what was told; a failure lies beside the record that stands for the part, under its seed."""
        path = self._path(f"-FAILED-{self.seed}" if failed else "")
        path.parent.mkdir(parents=True, exist_ok=True)
        lines = "\n".join(f"    {line}" for line in told if line)
        path.write_text(f"# Faults: {self.part}, {datetime.now(UTC):%Y-%m-%d}\n\n{lines}\n", encoding="utf-8")
        return path

    def _path(self, end: str = "") -> Path:
        return self.folder / f"faults-{self.part.replace(' ', '-')}-{self.tree}{end}.md"
