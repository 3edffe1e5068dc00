"""What a record of a campaign spares the next one, and what it does not."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.faults import __main__ as command
from tests.faults import records
from tests.faults.campaign import Blow
from tests.faults.records import Record, Tree

_WHOLE = Tree("abc1234", is_whole=True)
_CHANGED = Tree("abc1234", is_whole=False)


def test_a_part_that_held_at_this_commit_is_done(tmp_path: Path) -> None:
    path = Record("kills-1", _WHOLE, 7, tmp_path).write(["", "holds"], failed=False)

    assert path.name == "faults-kills-1-abc1234.md"
    assert Record("kills-1", _WHOLE, 8, tmp_path).stands() == path
    assert Record("kills-2", _WHOLE, 8, tmp_path).stands() is None


def test_a_part_that_failed_is_kept_and_has_to_be_run_again(tmp_path: Path) -> None:
    path = Record("kills-1", _WHOLE, 7, tmp_path).write(["broken"], failed=True)

    assert path.name == "faults-kills-1-abc1234-FAILED-7.md"
    assert Record("kills-1", _WHOLE, 7, tmp_path).stands() is None


@pytest.mark.parametrize("failed", [False, True])
def test_what_a_changed_tree_has_shown_stands_for_no_commit(tmp_path: Path, failed: bool) -> None:
    path = Record("kills-1", _CHANGED, 7, tmp_path).write(["holds"], failed=failed)

    assert path.name.startswith("faults-kills-1-abc1234-changed")
    assert Record("kills-1", _CHANGED, 7, tmp_path).stands() is None
    assert Record("kills-1", _WHOLE, 7, tmp_path).stands() is None


def test_a_tree_that_was_changed_while_it_ran_is_a_changed_one() -> None:
    assert _WHOLE.until(_WHOLE) == _WHOLE
    assert _WHOLE.until(_CHANGED) == _CHANGED
    assert _WHOLE.until(Tree("def5678", is_whole=True)) == _CHANGED


def test_a_release_does_again_what_failed_and_passes_over_what_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same command three times: the second part fails, then it holds, then there is nothing left to do."""
    outcomes = iter([False, True, False])
    done: list[str] = []

    async def run(name: str, blows: Sequence[Blow], seed: int, rate: float) -> tuple[list[str], bool]:
        done.append(name)
        return ["told"], next(outcomes)

    monkeypatch.setattr(records, "EVIDENCE", tmp_path)
    monkeypatch.setattr(Tree, "now", lambda: _WHOLE)
    monkeypatch.setattr(command, "_run", run)
    monkeypatch.setattr(sys, "argv", ["faults", "--record", "outage", "mail"])

    with pytest.raises(SystemExit, match="1"):
        command.main()
    command.main()
    command.main()

    assert done == ["outage", "mail", "mail"]
    assert len(list(tmp_path.glob("*-FAILED-*"))) == 1


def test_what_belongs_to_a_change_has_an_order_of_relays_to_lose() -> None:
    """Disorder takes the ground of two invariants away; they keep it for everything else that a change goes through."""
    with_disorder = [
        {one.strike for one in command.PARTS[part]}
        for part in command.CHANGE
        if any(one.strike == "disorder" for one in command.PARTS[part])
    ]

    assert with_disorder == [{"disorder", "forgery"}]
