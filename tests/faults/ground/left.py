"""What one campaign leaves to another that goes on with its data: clients' memory, the tally, the history's end."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from deploy.launcher.layout import Layout
from tests.faults.ground.standing import Ground
from tests.faults.ground.tally import Tally
from tests.faults.load import Came, Town

_FILE: Final = "left.pickle"


class NothingLeftError(Exception):
    """No campaign left its data here, or another one has begun a river of its own since."""


@dataclass(frozen=True, slots=True)
class Left:
    """All that the checker needs of the first campaign to judge both, and the clients to go on as they were."""

    history: Path
    last: int
    town: Town
    came: Came
    tally: Tally


def leave(ground: Ground) -> None:
    """Write down beside the river's data what whoever goes on with them needs; the history stays."""
    left = Left(ground.history.path, ground.history.last, ground.town, ground.came, ground.tally)
    (ground.river.layout.var / _FILE).write_bytes(pickle.dumps(left))


def taken_up(layout: Layout) -> Left:
    """What was left, once: whoever goes on with it makes it another thing. Raises NothingLeftError."""
    path = layout.var / _FILE
    try:
        left: Left = pickle.loads(path.read_bytes())  # noqa: S301 -- of our own folder, written by `leave`
    except FileNotFoundError:
        raise NothingLeftError("No campaign has left its data here: run the part before this one first.") from None
    path.unlink()
    return left


def forget(layout: Layout) -> None:
    """A river begins anew: its data are not those that somebody left."""
    (layout.var / _FILE).unlink(missing_ok=True)
