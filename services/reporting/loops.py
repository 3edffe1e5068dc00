"""What runs by itself at reporting: the parts of figures are merged."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from services.reporting import handlers
from shared.store import Database, is_transient

log = logging.getLogger(__name__)

_EVERY: Final = 5.0


async def merge_parts(database: Database) -> None:
    """Every few seconds, for ever; a database that is away is tried again the next time."""
    while True:
        await asyncio.sleep(_EVERY)
        try:
            await handlers.merge(database)
        except Exception as error:
            if not is_transient(error):
                raise
            log.warning("merging_postponed", extra={"error": type(error).__name__})
