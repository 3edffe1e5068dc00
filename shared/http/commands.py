"""A command's client-made id, and the digest by which a repeat is known from another command under the same id."""

import hashlib
import re
from typing import Annotated

import msgspec
from fastapi import Depends, Request

from shared.http.headers import header_of
from shared.http.problems import Problem, RefusedError

IDEMPOTENCY_KEY = "Idempotency-Key"
_FIELD = IDEMPOTENCY_KEY.lower().encode()
_KEY = re.compile(r"[\x21-\x7e]{1,128}")


def parse_idempotency_key(header: str | None) -> str | Problem:
    """The key as it was sent: 1 to 128 visible ASCII characters."""
    if header is None:
        detail, do = "a command carries an id of its sender's", f"send {IDEMPOTENCY_KEY}: a new UUID for each command"
        return Problem(400, "no-idempotency-key", "The command has no id", detail, do, IDEMPOTENCY_KEY)
    if not _KEY.fullmatch(header):
        detail, do = "is not 1 to 128 visible ASCII characters", "send a UUID"
        return Problem(400, "bad-idempotency-key", "The command's id is not acceptable", detail, do, IDEMPOTENCY_KEY)
    return header


def idempotency_key(request: Request) -> str:
    """The key of the request. Raises RefusedError without one, or with two."""
    parsed = parse_idempotency_key(header_of(request.scope, _FIELD))
    if isinstance(parsed, Problem):
        raise RefusedError(parsed)
    return parsed


async def _key_here(request: Request) -> str:
    return idempotency_key(request)


KeyHere = Annotated[str, Depends(_key_here)]
"""A FastAPI dependency: the key of the command (a coroutine for the reason that `shared.http.actor` names)."""


def digest_of(body: object) -> bytes:
    """32 bytes of SHA-256 over the JSON value with sorted keys: equal for bodies that mean the same.

    Only compared with other digests of ours; a number's spelling counts (1 is not 1.0).
    """
    return hashlib.sha256(msgspec.json.encode(body, order="sorted")).digest()


def other_command() -> Problem:
    """The key came before, with another body."""
    return Problem(
        409,
        "idempotency-key-reused",
        "The command's id was used before",
        "another command came under this id; nothing was done",
        "send a new command under a new id, and a repeat unchanged",
        IDEMPOTENCY_KEY,
    )
