"""The ground on which faults strike: a river under load, and the tally of what was done to it.

`standing` is the ground and what can be done to its processes, `prepared` makes a fresh one, `ends` looks after how
processes end, `waits` waits for it, `versions` reads how far its services are, `tally` remembers what was done, and
`left` is what one campaign leaves to the next.
"""

from tests.faults.ground.left import NothingLeftError
from tests.faults.ground.prepared import ground
from tests.faults.ground.standing import Ground
from tests.faults.ground.tally import MAILS_IN_FLIGHT, Tally, Undone, described
from tests.faults.ground.versions import HEARERS
from tests.faults.ground.waits import FORGERS, while_it_moves

__all__ = [
    "FORGERS",
    "HEARERS",
    "MAILS_IN_FLIGHT",
    "Ground",
    "NothingLeftError",
    "Tally",
    "Undone",
    "described",
    "ground",
    "while_it_moves",
]
