"""Folders and ports of the servers that tests start, for every kind of test one range of ports.

LIENTHONG_TEST_PORT moves them all, so that two checkouts can test on one machine at the same time.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Final

from deploy.launcher.layout import REPOSITORY, Layout

_FIRST: Final = int(os.environ.get("LIENTHONG_TEST_PORT", "18080"))


def _layout(name: str, offset: int) -> Layout:
    layout = Layout.of({}, folder=REPOSITORY / "var" / name, port=_FIRST + offset)
    return replace(layout, moved_by="LIENTHONG_TEST_PORT")


SHARED: Final = _layout("test", 0)
"""PostgreSQL and Kafka for whoever leaves them as they are; they stay up between two runs."""

ROUGH: Final = _layout("rough", 20)
"""Servers that tests may kill."""

FLOW: Final = _layout("flow", 40)
"""The whole river."""

BENCH: Final = _layout("bench", 60)
"""For figures."""

CONTAINERS: Final = _layout("containers", 80)
"""Ways into containers; what compose publishes lies above those."""

TWICE: Final = _layout("twice", 70)
"""A river of one's own, made anew as often as it is wanted."""

FAULTS: Final = _layout("faults", 140)
"""The river that faults are done to."""
