"""A stream of events for a browser (server-sent events, WHATWG HTML 9.2): with a heartbeat, for who keeps up."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncGenerator, Mapping
from typing import Any, Final

from starlette.responses import StreamingResponse
from starlette.types import Send

log = logging.getLogger(__name__)

RETRY: Final = b"retry: 3000\n\n"
"""So many milliseconds after a break a browser comes back."""
HEARTBEAT: Final = 15.0
"""Seconds of silence after which a comment is sent: proxies close what is silent, and nobody else would notice."""
PATIENCE: Final = 15.0
"""Seconds that a client may take before it reads on; a slower one is dropped, and comes back where it was."""
BEAT: Final = b": beat\n\n"


def event(name: str, data: Mapping[str, Any], ident: int | str) -> bytes:
    """One event. A browser that comes back says `ident` in Last-Event-ID. JSON has no line ends of its own."""
    body = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\nid: {ident}\ndata: {body}\n\n".encode()


class EventStream(StreamingResponse):
    """Sends events as they come; leaves a client that does not read, so that its backlog is nobody's burden."""

    def __init__(self, events: AsyncGenerator[bytes, None], *, patience: float = PATIENCE) -> None:
        # `no-transform` and X-Accel-Buffering are for proxies that are not ours; ours passes parts on as they come.
        headers = {"Cache-Control": "no-store, no-transform", "X-Accel-Buffering": "no", "Vary": "Cookie"}
        super().__init__(events, media_type="text/event-stream", headers=headers)
        self._events = events
        self._patience = patience

    async def stream_response(self, send: Send) -> None:
        """As Starlette's, but a part that is not taken in time is the last one: the server then cuts the connection."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            async with contextlib.aclosing(self._events):
                async for part in self._events:
                    async with asyncio.timeout(self._patience):
                        await send({"type": "http.response.body", "body": part, "more_body": True})
        except TimeoutError:
            log.info("stream_too_slow", extra={"patience_seconds": self._patience})
            return
        await send({"type": "http.response.body", "body": b"", "more_body": False})
