"""The load: clients who do everything that can be done with a dossier, at a constant rate, whatever the river does."""

from tests.faults.load.arrivals import RUNGS, STEPS, Came, ClockSet, Load
from tests.faults.load.doors import NO_CONNECTION, Doors
from tests.faults.load.steps import CANARIES, erasure, submission
from tests.faults.load.town import Town

__all__ = [
    "CANARIES",
    "NO_CONNECTION",
    "RUNGS",
    "STEPS",
    "Came",
    "ClockSet",
    "Doors",
    "Load",
    "Town",
    "erasure",
    "submission",
]
