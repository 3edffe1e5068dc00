"""Who sits before the operators' pages, and whether a form that comes back is one of ours.

Until there is a sign-in, whoever sits at this machine is its operator; a development header names him otherwise. A form
carries a token that no other site can read, and browsers say where a request came from: both must be right.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.requests import Request

from deploy.door.fields import is_loopback, names_this_machine
from deploy.speaking import Actor
from shared.access import DEV_ACTOR_HEADER, Action, Role
from shared.http.actor import actor_of, demand
from shared.http.problems import Problem, RefusedError


@dataclass(frozen=True, slots=True)
class Guard:
    """``enabled``: whether loopback is believed; ``operator``: the pseudonym that signs."""

    enabled: bool
    operator: str
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(32), repr=False)

    def operator_of(self, request: Request) -> Actor:
        """The operator of a request. Raises RefusedError (401, 403)."""
        if request.headers.get(DEV_ACTOR_HEADER) is not None:
            named = actor_of(request)
            demand(named, Action.OPERATE, None)
            return Actor(named.id, Role.OPERATOR)
        peer = request.client.host if request.client else None
        if self.enabled and is_loopback(peer) and names_this_machine(_host(request).encode("latin-1", "replace")):
            return Actor(self.operator, Role.OPERATOR)
        raise RefusedError(
            Problem(
                403,
                "operators-only",
                "For operators only",
                "until there is a sign-in, these pages open only on the machine that runs the product",
                "open them there, at http://127.0.0.1 and the front door's port",
            )
        )

    def token(self, purpose: str) -> str:
        """What a form for one purpose carries."""
        return hmac.new(self._secret, purpose.encode(), hashlib.sha256).hexdigest()

    def check(self, request: Request, purpose: str, token: str) -> None:
        """Raises RefusedError (403) for a form that another site sent, or that is older than this process."""
        if not _is_from_here(request):
            raise RefusedError(
                Problem(
                    403,
                    "from-another-site",
                    "The form came from another site",
                    "a page elsewhere sent it in your name; nothing was done",
                    "open the page here and send the form from there",
                )
            )
        if not hmac.compare_digest(self.token(purpose).encode(), token.encode("utf-8", "replace")):
            raise RefusedError(
                Problem(
                    403,
                    "stale-form",
                    "The form is not valid any more",
                    "the pages were started anew since it was shown; nothing was done",
                    "load the page again and send the form once more",
                )
            )


def _host(request: Request) -> str:
    return request.headers.get("x-forwarded-host") or request.headers.get("host") or ""


def _is_from_here(request: Request) -> bool:
    """By Sec-Fetch-Site where the browser says it (Fetch Metadata), else by Origin; neither: no browser sent it."""
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        return site in {"same-origin", "none"}
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc == _host(request)
