"""What stands before every route: how much may be sent, as what, and that it has one meaning."""

from collections.abc import Collection
from typing import Final
from urllib.parse import unquote_to_bytes

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http.headers import header_of
from shared.http.problems import Problem, answer
from shared.http.strict_json import Parsed, parse_json, text_fault

MAX_BYTES = 1024 * 1024
_WITH_BODY = {"POST", "PUT", "PATCH", "DELETE"}
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_CHECKED: Final = "lienthong.checked"


class CheckedBody:
    """ASGI middleware: reads at most `max_bytes`, checks them, and hands them on to be read as if nothing had been.

    JSON everywhere; HTML forms only at paths that begin with one of `form_paths`.
    """

    def __init__(self, app: ASGIApp, max_bytes: int = MAX_BYTES, form_paths: Collection[str] = ()) -> None:
        self.app = app
        self.max_bytes = max_bytes
        self.form_paths = tuple(form_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        read = await read_checked(scope, receive, self.max_bytes, self.form_paths)
        if read is None:
            return  # the client has gone: there is nobody to answer
        if isinstance(read, Problem):
            await answer(scope, read)(scope, receive, send)
            return
        await self.app(scope, _again(read, receive) if scope["method"] in _WITH_BODY else receive, send)


async def read_checked(
    scope: Scope, receive: Receive, max_bytes: int = MAX_BYTES, form_paths: tuple[str, ...] = ()
) -> bytes | Problem | None:
    """The body, after its check; why it is refused; or None where the client has gone meanwhile.

    `checked` has its JSON afterwards. Of a method that brings none, no body is read.
    """
    problem = _address_problem(scope)
    if problem is not None or scope["method"] not in _WITH_BODY:
        return problem or b""
    read = _too_long(scope, max_bytes) or await _read(receive, max_bytes)
    if not isinstance(read, bytes):
        return read
    return _body_problem(scope, read, form_paths) or read


def _too_long(scope: Scope, max_bytes: int) -> Problem | None:
    """Believes a Content-Length that is too large, so that nothing of 30 MB is read; a smaller one is counted."""
    length = header_of(scope, b"content-length") or "0"
    return _too_large(max_bytes) if len(length) > 12 or (length.isdecimal() and int(length) > max_bytes) else None


async def _read(receive: Receive, max_bytes: int) -> bytes | Problem | None:
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        chunk = message.get("body", b"")
        size += len(chunk)
        if size > max_bytes:
            return _too_large(max_bytes)
        chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks)


def _body_problem(scope: Scope, body: bytes, form_paths: tuple[str, ...]) -> Problem | None:
    if not body:
        return None
    media_type, _, parameters = (header_of(scope, b"content-type") or "").partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if charset not in {"", "utf-8"} or header_of(scope, b"content-encoding") not in {None, "identity"}:
        return _unsupported("a body is UTF-8 and not compressed")
    if scope["path"].startswith(form_paths) and media_type == _FORM:
        return _form_problem(body)
    if media_type != _JSON:
        return _unsupported(f"this address takes {_JSON}")
    parsed = parse_json(body)
    if isinstance(parsed, Problem):
        return parsed
    scope[_CHECKED] = parsed
    return None


def _too_large(max_bytes: int) -> Problem:
    return Problem(
        413,
        "too-large",
        "The body is too large",
        f"more than {max_bytes} bytes",
        "send less at once; scans and photographs do not belong into this form",
    )


def _unsupported(detail: str) -> Problem:
    return Problem(415, "unsupported-media-type", "The body is of another kind", detail, f"send Content-Type: {_JSON}")


def checked(scope: Scope) -> Parsed | None:
    """The body's JSON as it was checked, so that it need not be read again; None where there was none."""
    parsed: Parsed | None = scope.get(_CHECKED)
    return parsed


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, and after it what the server says: that the client has gone."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _address_problem(scope: Scope) -> Problem | None:
    """U+0000 passes every parser and fails in PostgreSQL."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        return Problem(400, "text-not-acceptable", "The address is not acceptable", "holds U+0000", "leave it out")
    return None


def _form_problem(body: bytes) -> Problem | None:
    """HTML forms are percent-encoded UTF-8; their text obeys the same rules as that of JSON."""
    for pair in body.split(b"&"):
        name, _, value = pair.partition(b"=")
        try:
            field = unquote_to_bytes(name.replace(b"+", b" ")).decode("utf-8")
            fault = text_fault(field) or text_fault(unquote_to_bytes(value.replace(b"+", b" ")).decode("utf-8"))
        except UnicodeDecodeError:
            return Problem(400, "malformed-form", "The form is not UTF-8", "is not UTF-8", "send the form in UTF-8")
        if fault is not None:
            return Problem(400, "text-not-acceptable", "A text is not acceptable", fault[0], fault[1], field[:100])
    return None
