"""The faults, one file for each family: a file here with ``STRIKES`` is all that a new one needs.

A strike is done to a river under load, by its name, and leaves everything running. What it did goes into the tally;
whether that did any harm is the checker's affair.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from tests.faults.ground import Ground
from tests.faults.needs import Needs


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault: what it is called, what happens, and how it is done so many times (or for so many seconds).

    ``needs``: what it needs of the ground before the river begins.
    """

    name: str
    sentence: str
    do: Callable[[Ground, int], Awaitable[None]]
    needs: Needs = field(default_factory=Needs)


def strikes() -> dict[str, Strike]:
    """Every strike by its name."""
    found: dict[str, Strike] = {}
    for module in pkgutil.iter_modules(__path__):
        for one in getattr(importlib.import_module(f"{__name__}.{module.name}"), "STRIKES", ()):
            found[one.name] = one
    return found
