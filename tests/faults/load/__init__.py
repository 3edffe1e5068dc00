"""The load: clients who do everything that can be done with a dossier, at a constant rate, whatever the river does."""

from tests.faults.load.arrivals import STEPS, Came, ClockSet, Load
from tests.faults.load.doors import Doors
from tests.faults.load.steps import CANARIES, erasure, submission
from tests.faults.load.town import Town

__all__ = ["CANARIES", "STEPS", "Came", "ClockSet", "Doors", "Load", "Town", "erasure", "submission"]
