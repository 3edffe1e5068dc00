"""Which release this is. The one place is `pyproject.toml`; here it is read as the installed package says it."""

from __future__ import annotations

from functools import cache
from importlib.metadata import version
from typing import Final

PACKAGE: Final = "lienthong"


@cache
def release() -> str:
    """The version, e.g. ``0.1.0``. Raises PackageNotFoundError where the package is not installed but only copied."""
    return version(PACKAGE)
