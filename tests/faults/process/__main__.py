"""``python -m tests.faults.process SERVICE``: the service itself, after CRASH_AT, MISCHIEF or a MUTANT was put into it.

CRASH_AT=POINT:N kills the process (SIGKILL) when it comes to a point for the n-th time; MISCHIEF=NAME:N bends what it
does for as long as it lives, and MUTANT=NAME takes a guard away (``tests.faults.process.points``, ``.mischief`` and
``.mutants`` name what there is).
"""

from __future__ import annotations

import importlib
import os
import sys

import uvloop

from tests.faults.process.mischief import MISCHIEF
from tests.faults.process.mutants import MUTANTS
from tests.faults.process.points import POINTS


def main() -> None:
    """Put it in, and run the service as its own entry point does."""
    for name, table in (("CRASH_AT", POINTS), ("MISCHIEF", MISCHIEF)):
        what, _, number = os.environ.pop(name, "").partition(":")
        if what:
            table[what](int(number))
    mutant = os.environ.pop("MUTANT", "")
    if mutant:
        MUTANTS[mutant]()
    service = importlib.import_module(f"services.{sys.argv[1]}.main")
    uvloop.run(service.main())


if __name__ == "__main__":
    main()
