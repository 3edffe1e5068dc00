"""Which of the two languages a page speaks, and its texts: Vietnamese unless a person asks for English.

The choice is made on the server, so that a page is whole without JavaScript: `?lang=` wins and is remembered in a
cookie, then the cookie, then what the browser says of itself (Accept-Language), then Vietnamese.
"""

import contextlib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import parse_qsl, quote, urlencode

from markupsafe import Markup
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.types import ASGIApp, Message, Receive, Scope, Send

Language = Literal["vi", "en"]
LANGUAGES: Final[tuple[Language, ...]] = ("vi", "en")
COOKIE: Final = "lang"
_A_YEAR: Final = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page is asked for: its language, and its own address for the switch between the two."""

    language: Language = "vi"
    path: str = "/"
    query: tuple[tuple[str, str], ...] = ()

    def in_language(self, language: Language) -> str:
        """The address of the same page in a language."""
        return f"{quote(self.path)}?{urlencode([*self.query, (COOKIE, language)])}"


_asked: Final[ContextVar[Asked]] = ContextVar("asked")
_NOBODY: Final = Asked()


def asked() -> Asked:
    """What the request that is being answered asks for; outside of one, Vietnamese."""
    return _asked.get(_NOBODY)


@contextlib.contextmanager
def answering(one: Asked) -> Iterator[None]:
    """Until the end of the block, `asked` is this."""
    token = _asked.set(one)
    try:
        yield
    finally:
        _asked.reset(token)


def asked_of(scope: Scope) -> Asked:
    """What a request asks for."""
    query = scope.get("query_string", b"")
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    named = [value for name, value in pairs if name == COOKIE]
    others = tuple((name, value) for name, value in pairs if name != COOKIE)
    return Asked(_chosen(named, Headers(scope=scope)), scope["path"], others)


def _chosen(named: Sequence[str], headers: Headers) -> Language:
    cookies = headers.get("cookie")
    wishes = [*named[-1:], cookie_parser(cookies).get(COOKIE, "") if cookies else ""]
    for wish in wishes:
        if wish in LANGUAGES:
            return wish
    return accepted(headers.get("accept-language", ""))


def accepted(header: str) -> Language:
    """The better liked of the two in an Accept-Language field (RFC 9110 12.5.4); Vietnamese when they are equal."""
    liked = dict.fromkeys(LANGUAGES, 0.0)
    for each in header.split(","):
        tag, _, weight = each.partition(";")
        primary = tag.strip().lower().partition("-")[0]
        if primary in liked:
            try:
                quality = float(weight.strip().removeprefix("q=") or 1)
            except ValueError:
                quality = 0.0
            liked[primary] = max(liked[primary], quality)
    return "en" if liked["en"] > liked["vi"] else "vi"


class Languages:
    """Sets `asked` for what is answered inside, and remembers a language that was asked for by `?lang=`."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        one = asked_of(scope)
        remember = f"{COOKIE}={one.language}".encode() in scope.get("query_string", b"")

        async def remembering(message: Message) -> None:
            if remember and message["type"] == "http.response.start":
                cookie = f"{COOKIE}={one.language}; Path=/; Max-Age={_A_YEAR}; SameSite=Lax"
                MutableHeaders(scope=message).append("set-cookie", cookie)
            await send(message)

        with answering(one):
            await self.app(scope, receive, remembering)


def number(value: float) -> str:
    """1434 is 1.434 and 0.5 is 0,5 in Vietnamese; English has it the other way round."""
    written = f"{value:,}"
    return written if asked().language == "en" else written.translate(str.maketrans(",.", ".,"))


class Texts:
    """The texts of a service's pages, by key, in both languages: `texts.toml` in each folder, later ones added.

    `[group]` and `key = { vi = "…", en = "…" }`; `{name}` is filled in; `en_one` is used when `n` is 1.
    """

    def __init__(self, *folders: Path) -> None:
        self.entries: dict[str, Mapping[str, str]] = {}
        for folder in folders:
            path = folder / "texts.toml"
            if path.exists():
                self._add(tomllib.loads(path.read_text(encoding="utf-8")))

    def _add(self, groups: Mapping[str, Mapping[str, Mapping[str, str]]]) -> None:
        for group, entries in groups.items():
            for key, entry in entries.items():
                self.entries[f"{group}.{key}"] = entry

    def say(self, key: str, n: int | None = None, **filled: Any) -> Markup:
        """The text in the page's language; KeyError when there is none."""
        entry = self.entries[key]
        language = asked().language
        text = entry["en_one"] if language == "en" and n == 1 and "en_one" in entry else entry[language]
        if n is not None:
            filled["n"] = number(n)
        return Markup.escape(text).format(**filled) if filled else Markup.escape(text)

    def word(self, group: str, code: object) -> Markup:
        """What a code of a group is called; a code without a word is shown as it is."""
        key = f"{group}.{code}"
        return self.say(key) if key in self.entries else Markup.escape(code)
