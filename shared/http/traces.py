"""A span for each request, named by its route: addresses hold printed codes, which no trace may carry."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared import telemetry


class Traces:
    """ASGI middleware: continues the caller's trace (W3C traceparent) or begins one."""

    def __init__(self, app: ASGIApp, service: str) -> None:
        self.app = app
        self.service = service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/health/"):
            await self.app(scope, receive, send)
            return
        with span_of(scope) as opened:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    note_answer(opened, scope, message["status"])
                await send(message)

            await self.app(scope, receive, noting)


def span_of(scope: Scope) -> telemetry.Opened:
    """The span of a request, open within the block."""
    parent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
    return telemetry.span(scope["method"], parent=parent, kind=telemetry.SpanKind.SERVER)


def note_answer(opened: telemetry.Span, scope: Scope, status: int) -> None:
    """Name the span by the route that was found, and say what was answered."""
    if not opened.is_recorded:
        return
    method, route = scope["method"], getattr(scope.get("route"), "path", "unknown address")
    opened.name = f"{method} {route}"
    opened.attributes["http.route"] = route
    opened.attributes["http.request.method"] = method
    opened.attributes["http.response.status_code"] = status
