"""Refusals as RFC 9457 problem+json: what is wrong, where, and what to do. Nothing that was sent is said back."""

import dataclasses
import logging
import secrets
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.store import is_transient

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"


@dataclasses.dataclass(frozen=True, slots=True)
class Problem:
    """One refusal. `name` ends the type's relative address; `field` is a JSON pointer into the body, or a name.

    `more` is extra members of the answer, e.g. what happened since the version that the sender saw.
    """

    status: int
    name: str
    title: str
    detail: str
    do: str
    field: str | None = None
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    headers: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def response(self) -> JSONResponse:
        return JSONResponse(self.content(), self.status, headers=dict(self.headers), media_type=MEDIA_TYPE)

    def content(self) -> dict[str, Any]:
        content: dict[str, Any] = {
            "type": f"/problems/{self.name}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            "do": self.do,
        }
        if self.field is not None:
            content["field"] = self.field
        return {**self.more, **content}


class RefusedError(Exception):
    """Carries a problem from anywhere in the api or pages room to the caller."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.name)
        self.problem = problem


PROBLEM_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "do"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "do": {"type": "string", "description": "What the caller can do about it"},
        "field": {"type": "string", "description": "A JSON pointer into the body, or the name of a parameter"},
    },
}
RESPONSES: dict[int | str, dict[str, Any]] = {
    "default": {"description": "A problem (RFC 9457)", "content": {MEDIA_TYPE: {"schema": PROBLEM_SCHEMA}}}
}
"""For `FastAPI(responses=RESPONSES)`: every operation may answer a problem."""


def say_problems(app: FastAPI) -> None:
    """Make the app answer every refusal and every failure as a problem."""
    app.add_exception_handler(RefusedError, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(UnforeseenErrors)


def answer(scope: Scope, problem: Problem) -> Response:
    """The problem as a page for a browser, where the app has pages (`shared.http.pages`), else as problem+json."""
    page: Callable[[Problem], Response] | None = getattr(getattr(scope.get("app"), "state", None), "problem_page", None)
    return problem.response() if page is None or not wants_a_page(scope) else page(problem)


def wants_a_page(scope: Scope) -> bool:
    """Whether a browser asks."""
    return any(name == b"accept" and b"text/html" in value for name, value in scope["headers"])


async def _refused(request: Request, error: Exception) -> Response:
    return answer(request.scope, cast("RefusedError", error).problem)


async def _invalid(request: Request, error: Exception) -> Response:
    return answer(request.scope, invalid(cast("RequestValidationError", error).errors()))


async def _http(request: Request, error: Exception) -> Response:
    refusal = cast("HTTPException", error)
    name, title, detail, do = _HTTP.get(refusal.status_code, _OTHER_HTTP)
    problem = Problem(refusal.status_code, name, title, detail, do, headers=refusal.headers or {})
    return answer(request.scope, problem)


_OTHER_HTTP = (
    "refused",
    "Refused",
    "the request was refused",
    "look at the status; the description of the API says what is served",
)
_HTTP = {
    404: ("not-found", "Not found", "there is nothing at this address", "look at the address again"),
    405: ("method-not-allowed", "Method not allowed", "this address does not take this method", "see the Allow header"),
}

# Their messages quote what was sent.
_QUOTING = {"union_tag_invalid", "uuid_parsing", "assertion_error", "json_invalid", "model_attributes_type"}
_DO = {
    "missing": "add the field",
    "extra_forbidden": "leave the field out: this form does not know it",
    "string_too_long": "shorten the text",
    "string_too_short": "lengthen the text",
}


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """The problem of a request that FastAPI refused, from its `errors()`: the first by name, all in `errors`."""
    found = [(_pointer(error["loc"]), _message(error), _DO.get(error["type"])) for error in errors[:20]]
    pointer, message, do = found[0]
    return Problem(
        422,
        "invalid-field",
        "A field is not acceptable",
        message,
        do or "correct the field and send it again",
        pointer,
        more={"errors": [{"field": where, "detail": what} for where, what, _ in found]},
    )


def invalid_body(error: ValidationError) -> Problem:
    """The same for a body that a door of our own validated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return invalid([{**each, "loc": ("body", *each["loc"])} for each in found])


def _message(error: Mapping[str, Any]) -> str:
    return "is not acceptable here" if error["type"] in _QUOTING else str(error["msg"])[:300]


def _pointer(loc: Sequence[str | int]) -> str:
    """`/contacts/0/phone` for a place in the body (RFC 6901), the bare name for a parameter or header."""
    origin, *path = loc
    if origin != "body":
        return ".".join(str(part) for part in path) or str(origin)
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1")[:100] for part in path)


class UnforeseenErrors:
    """Answers what nobody foresaw: 503 when the database is away, else 500 with an id to quote, and no detail.

    It stands inside Starlette's own handler of the last resort, which raises again: the server would then log the
    message of the exception, and a driver's message quotes the values of the row.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def noticing(message: Message) -> None:
            nonlocal started
            started = started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self.app(scope, receive, noticing)
        except Exception as error:
            problem = unforeseen(error)
            if started:
                raise RuntimeError(f"an answer was broken off: {problem.detail}") from None
            await answer(scope, problem)(scope, receive, send)


def unforeseen(error: Exception) -> Problem:
    """What is said of an exception that nobody foresaw; the log has its kind and its place, never its message."""
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    if is_transient(error):
        log.warning("request_postponed", extra={"error": kind})
        return unavailable("the database does not answer at the moment")
    error_id = secrets.token_hex(6)
    # Frames and the type only: messages quote values (asyncpg's DETAIL, pydantic's input).
    frames = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    log.error("request_failed", extra={"error": kind, "error_id": error_id, "frames": frames[-12:]})
    return Problem(
        500,
        "unforeseen",
        "Something went wrong here",
        f"error {error_id}",
        "try again; if it comes back, tell the operator this error's id",
        more={"error_id": error_id},
    )


def unavailable(detail: str, retry_after: int = 2) -> Problem:
    """Not now; the same request may succeed after that many seconds."""
    return Problem(
        503,
        "unavailable",
        "Not available now",
        detail,
        f"send the same request again after {retry_after} s, with the same Idempotency-Key",
        headers={"Retry-After": str(retry_after)},
    )
