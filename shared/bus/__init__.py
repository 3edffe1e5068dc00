"""The bus: batches in, one transaction each, order from the data, and one table of fates (`shared.bus.fates`)."""

from shared.bus.deciding import Decided, Decision, Hears, Outcome, Say, Unchanged, Waiting, WaitsFor, decide_all
from shared.bus.hearing import MIGRATIONS, Hearer, hear_batch
from shared.bus.lanes import BrokerAwayError, Bus
from shared.bus.tally import Cadence, Control

__all__ = [
    "MIGRATIONS",
    "BrokerAwayError",
    "Bus",
    "Cadence",
    "Control",
    "Decided",
    "Decision",
    "Hearer",
    "Hears",
    "Outcome",
    "Say",
    "Unchanged",
    "Waiting",
    "WaitsFor",
    "decide_all",
    "hear_batch",
]
