"""Taking leave of the broker."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final

log = logging.getLogger(__name__)

_LEFT_WITHIN: Final = 1.0


async def parted(stopping: Coroutine[Any, Any, None], *, within: float, client: object = None) -> None:
    """Stop a client of the broker, at most ``within`` seconds; raises nothing but the caller's own cancellation.

    aiokafka cancels its own tasks and waits for them, so that its ``stop()`` may end in *their* CancelledError: whoever
    awaits it takes that for his own, and ends. How a client that is done with goes away is nobody's business.

    ``client``: the consumer or producer itself. A ``stop()`` that is given up (the broker is away) has not come to the
    tasks that send and fetch: they are ended here, or would go on for ever, and send what nobody waits for any more.
    """
    if await _ended(stopping, within):
        return
    for part in ("_sender", "_coordinator", "_fetcher", "client", "_client"):
        left = getattr(client, part, None)
        if left is not None:
            await _ended(left.close(), _LEFT_WITHIN)


async def _ended(leaving: Coroutine[Any, Any, None], within: float) -> bool:
    """Whether it came to an end, good or bad."""
    task = asyncio.ensure_future(leaving)
    try:
        ended, _ = await asyncio.wait({task}, timeout=within)
    finally:
        task.cancel()
    if ended and not task.cancelled() and task.exception() is not None:
        log.info("parting_failed", extra={"error": type(task.exception()).__name__})
    return bool(ended)
