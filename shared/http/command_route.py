"""A route of commands that come very often: documented by FastAPI, carried out without it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.http.actor import actor_of
from shared.http.body import checked
from shared.http.commands import idempotency_key
from shared.http.fields import Form
from shared.http.problems import RefusedError, answer, invalid, invalid_body

F = TypeVar("F", bound=Form)

_MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}


class CommandRoute(APIRoute):
    """A route whose endpoint is ``(who: ActorHere, key: KeyHere, form: AForm) -> Response``.

    FastAPI writes its description, as of any other. To answer, it would look the three up as dependencies, read the
    body a second time and write the answer by a model: that costs more than receiving a dossier does. The three are the
    same here, and so are the refusals.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What carries out a request, for FastAPI and for `Straight`."""
        endpoint = self.endpoint
        kind: type[Form] = get_type_hints(endpoint)["form"]

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(actor_of(request), idempotency_key(request), form_of(kind, request))
            return response

        return handle


class Straight:
    """ASGI middleware, the innermost: brings what is for a command route of ``router`` there, past all other routes.

    A router asks one route after the other, and stands behind three layers of its framework.
    """

    def __init__(self, app: ASGIApp, router: APIRouter) -> None:
        self.app = app
        routes = [route for route in router.routes if isinstance(route, CommandRoute)]
        self._routes = {
            (method, route.path): (route, route.get_route_handler())
            for route in routes
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            await self.app(scope, receive, send)
            return
        scope["route"], handle = found
        try:
            response = await handle(Request(scope, receive, send))
        except RefusedError as error:
            response = answer(scope, error.problem)
        await response(scope, receive, send)


def form_of(kind: type[F], request: Request) -> F:
    """The checked body of a request as a form. Raises RefusedError (422)."""
    body = checked(request.scope)
    if body is None:
        raise RefusedError(invalid([_MISSING]))
    try:
        return kind.model_validate(body.value, from_attributes=True)
    except ValidationError as error:
        raise RefusedError(invalid_body(error)) from None
