"""Taking leave of the broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def parted(stopping: Coroutine[Any, Any, None], *, within: float) -> None:
    """Stop a client of the broker, at most ``within`` seconds; raises nothing but the caller's own cancellation.

    aiokafka cancels its own tasks and waits for them, so that its ``stop()`` may end in *their* CancelledError: whoever
    awaits it takes that for his own, and ends. How a client that is done with goes away is nobody's business.
    """
    task = asyncio.ensure_future(stopping)
    try:
        await asyncio.wait({task}, timeout=within)
    finally:
        task.cancel()
    if task.done() and not task.cancelled() and task.exception() is not None:
        log.info("parting_failed", extra={"error": type(task.exception()).__name__})
