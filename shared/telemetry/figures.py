"""Metrics: counted, timed, or told as they stand. Names are ``noun.participle``, units UCUM's; docs/metrics.md has all.

Only from the event loop's own thread, never from a callback of the exporter: what is told is what was known last.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from opentelemetry import metrics
from opentelemetry.metrics import Counter, Histogram
from opentelemetry.util.types import AttributeValue

_METER: Final = "lienthong"


def count(name: str, unit: str, more: int = 1, **attributes: AttributeValue) -> None:
    """So many more happened. ``unit`` in curly brackets (``{event}``): a UCUM annotation."""
    _counter(name, unit).add(more, attributes)


def took(name: str, seconds: float, **attributes: AttributeValue) -> None:
    """One took so many seconds."""
    _histogram(name).record(seconds, attributes)


def stands(name: str, unit: str, value: float, **attributes: AttributeValue) -> None:
    """It stands so now."""
    _gauge(name, unit).set(value, attributes)


@cache
def _counter(name: str, unit: str) -> Counter:
    return metrics.get_meter(_METER).create_counter(name, unit)


@cache
def _histogram(name: str) -> Histogram:
    return metrics.get_meter(_METER).create_histogram(name, "s")


@cache
def _gauge(name: str, unit: str) -> metrics._Gauge:
    return metrics.get_meter(_METER).create_gauge(name, unit)
