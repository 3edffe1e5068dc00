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
        method = scope["method"]
        parent = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"), None)
        with telemetry.span(method, parent=parent, kind=telemetry.SpanKind.SERVER) as opened:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    route = getattr(scope.get("route"), "path", "unknown address")
                    opened.update_name(f"{method} {route}")
                    opened.set_attribute("http.route", route)
                    opened.set_attribute("http.request.method", method)
                    opened.set_attribute("http.response.status_code", message["status"])
                await send(message)

            await self.app(scope, receive, noting)
