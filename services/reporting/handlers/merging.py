"""Merging the parts of which figures are made, so that a figure is never many rows to add."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from services.reporting import store
from shared import journal
from shared.store import Database

_STILL_COMES: Final = timedelta(minutes=2)
_KEPT: Final = timedelta(hours=3)


async def merge(database: Database) -> None:
    """Make one part of many where there are many, and forget minutes that nobody looks at any more."""
    async with database.transaction() as tx:
        now = await journal.instant(tx)
        await store.merge_cells(tx)
        await store.merge_pace(tx, now - _STILL_COMES)
        await store.forget_pace(tx, now - _KEPT)
