"""A service from which a guard is taken away, so that a test can show what it is there for.

``python -m tests.listening.service MUTANT SERVICE``; otherwise it is the service as it is.
"""

from __future__ import annotations

import asyncio
import runpy
import sys
from typing import Final

from shared.bus import Control


async def _nobody_tallies(_: Control) -> None:
    await asyncio.Event().wait()


_MUTANTS: Final = {"no-anti-entropy": (Control, {"run": _nobody_tallies})}


def main(mutant: str, service: str) -> None:
    """Be that service, without that guard."""
    where, guards = _MUTANTS[mutant]
    for name, guard in guards.items():
        setattr(where, name, guard)
    runpy.run_module(f"services.{service}", run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
