"""A route of commands that come very often: documented by FastAPI, carried out without it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final, TypeVar, get_type_hints

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from shared.http.actor import actor_of
from shared.http.body import checked, read_checked
from shared.http.commands import idempotency_key
from shared.http.fields import Form
from shared.http.problems import RefusedError, answer, invalid, invalid_body, unforeseen, wants_a_page
from shared.http.traces import note_answer, span_of

F = TypeVar("F", bound=Form)

_MISSING: Final = {"type": "missing", "loc": ("body",), "msg": "Field required"}


class CommandRoute(APIRoute):
    """A route whose endpoint is ``(who: ActorHere, key: KeyHere, form: AForm) -> Response``.

    FastAPI writes its description, as of any other. To answer, it would look the three up as dependencies, read the
    body a second time and write the answer by a model: that costs more than receiving a dossier does. The three are the
    same here, and so are the refusals.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What carries out a request, for FastAPI; for `Application` it is `carry_out`."""
        endpoint = self.endpoint
        kind: type[Form] = get_type_hints(endpoint)["form"]

        async def handle(request: Request) -> Response:
            response: Response = await endpoint(actor_of(request), idempotency_key(request), form_of(kind, request))
            return response

        self.carry_out = handle
        return handle


class Application(FastAPI):
    """A FastAPI application that carries its command routes out past everything that stands before other routes.

    What stands there (traces, the check of bodies, refusals as problems) is asked for by name here, in one function: a
    row of layers that hand a request on, and the answer back, takes longer than receiving a dossier does. A browser
    goes the ordinary way: there, a refusal is a page in its language.

    ``commands``: the command routes by method and path.
    """

    commands: Mapping[tuple[str, str], CommandRoute] = MappingProxyType({})

    def include_commands(self, router: APIRouter) -> None:
        """Include a router, and reach its command routes straight."""
        self.include_router(router)
        self.commands = {
            (method, route.path): route
            for route in router.routes
            if isinstance(route, CommandRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route = self._command(scope)
        if route is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"], scope["route"] = self, route
        with span_of(scope) as opened:
            response = await self._carried_out(route, scope, receive)
            if response is None:
                return  # the client has gone: there is nobody to answer
            note_answer(opened, scope, response.status_code)
            await response(scope, receive, send)

    def _command(self, scope: Scope) -> CommandRoute | None:
        if scope["type"] != "http":
            return None
        route = self.commands.get((scope["method"], scope["path"]))
        return None if route is None or wants_a_page(scope) else route

    async def _carried_out(self, route: CommandRoute, scope: Scope, receive: Receive) -> Response | None:
        try:
            read = await read_checked(scope, receive)
            if isinstance(read, bytes):
                return await route.carry_out(Request(scope))
            return None if read is None else answer(scope, read)
        except RefusedError as error:
            return answer(scope, error.problem)
        except Exception as error:
            return answer(scope, unforeseen(error))


def form_of(kind: type[F], request: Request) -> F:
    """The checked body of a request as a form. Raises RefusedError (422)."""
    body = checked(request.scope)
    if body is None:
        raise RefusedError(invalid([_MISSING]))
    try:
        return kind.model_validate(body.value, from_attributes=True)
    except ValidationError as error:
        raise RefusedError(invalid_body(error)) from None
