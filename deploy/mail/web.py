"""The messages over HTTP: pages for people, JSON for programs, and each message as it came."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final
from urllib.parse import quote, urlencode

from fastapi import FastAPI, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import RedirectResponse, Response

from deploy.mail.folder import Folder, MessageId
from deploy.mail.index import Index, Listed, Page
from deploy.mail.letters import Letter, content_of, letter_of
from shared.http.health import LoopLag, health_router
from shared.http.pages import Link, Pages
from shared.http.problems import RESPONSES, Problem, RefusedError, say_problems
from shared.version import release

PAGE_LENGTH: Final = 50

HTML_POLICY: Final = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""For a message's own HTML: no script, no form, no origin, nothing fetched from anywhere; only its looks."""

HOME: Final = Link("/mail/", "Thư đã gửi", "E-mail that was sent")

To = Annotated[str, Query(max_length=200, description="a part of a recipient's address")]
Subject = Annotated[str, Query(max_length=200, description="a part of the subject; letters' case does not matter")]
Before = Annotated[str, Query(max_length=100, description="an id: only what arrived before it")]
Limit = Annotated[int, Query(ge=1, le=1000)]


class MessageRow(BaseModel):
    """A message in a list. `arrivals` counts the messages of the same Message-ID: above 1, a sender tried again."""

    model_config = ConfigDict(frozen=True)

    id: MessageId
    arrived: datetime
    sender: str
    to: tuple[str, ...]
    subject: str
    message_id: str
    arrivals: int
    size: int


class MessageList(BaseModel):
    """Newest first. `next` is the address of what came before these, or null; `total` counts every message."""

    messages: tuple[MessageRow, ...]
    next: str | None
    total: int


class PartRow(BaseModel):
    """A leaf of a message; `text` is null for a file."""

    number: int
    content_type: str
    name: str
    size: int
    text: str | None


class MessageWhole(MessageRow):
    """A message with its headers, in order, and its parts, decoded."""

    headers: tuple[tuple[str, str], ...]
    parts: tuple[PartRow, ...]


def make_app(
    folder: Folder, index: Index, lag: LoopLag, accepting: Callable[[], bool], banner: tuple[str, str] | None = None
) -> FastAPI:
    """The web application; `accepting` says whether mail is taken, without which it is not ready."""
    app = FastAPI(
        title="Lienthong mail catcher",
        version=release(),
        openapi_url="/mail/openapi.json",
        docs_url=None,
        redoc_url=None,
        responses=RESPONSES,
    )
    say_problems(app)
    foot = ("Hộp thư thử: không chuyển thư cho ai.", "Mail catcher: nothing is sent on.")
    nav = (HOME, Link("/mail/docs", "API", ""))
    pages = Pages(Path(__file__).with_name("templates"), "/mail", nav, foot, banner=banner)
    pages.serve(app)

    async def reasons() -> list[str]:
        return [] if accepting() else ["smtp_closed"]

    health = health_router(reasons, lag)
    app.include_router(health)
    app.include_router(health, prefix="/mail")
    _add_json(app, folder, index)
    _add_pages(app, pages, folder, index)
    return app


def _add_json(app: FastAPI, folder: Folder, index: Index) -> None:
    @app.get("/mail/messages")
    async def messages(to: To = "", subject: Subject = "", before: Before = "", limit: Limit = 100) -> MessageList:
        """The messages, newest first."""
        page = index.page(to=to, subject=subject, before=before, limit=limit)
        following = _address("/mail/messages", page, to=to, subject=subject, limit=str(limit))
        return MessageList(messages=tuple(map(_row, page.messages)), next=following, total=len(index))

    @app.get("/mail/messages/{message}")
    async def message(message: str) -> MessageWhole:
        """One message, decoded."""
        listed, letter, _ = await _found(folder, index, message)
        return MessageWhole(
            **_row(listed).model_dump(),
            headers=letter.headers,
            parts=tuple(PartRow.model_validate(part, from_attributes=True) for part in letter.parts),
        )

    @app.get("/mail/messages/{message}/raw", response_class=Response)
    async def raw(message: str) -> Response:
        """The message as it came, after what the envelope said."""
        _, _, data = await _found(folder, index, message)
        return _download(data, "message/rfc822", message + ".eml")

    @app.get("/mail/messages/{message}/parts/{number}", response_class=Response)
    async def part(message: str, number: int) -> Response:
        """One part of the message as a file, whatever it calls itself."""
        _, _, data = await _found(folder, index, message)
        found = await asyncio.to_thread(content_of, data, number)
        if found is None:
            raise RefusedError(_nothing())
        described, content = found
        return _download(content, "application/octet-stream", described.name or f"{message}-{number}.bin")


def _add_pages(app: FastAPI, pages: Pages, folder: Folder, index: Index) -> None:
    @app.get("/mail", include_in_schema=False)
    async def home() -> Response:
        return RedirectResponse("/mail/", 308)

    @app.get("/mail/", include_in_schema=False)
    async def inbox(to: To = "", subject: Subject = "", before: Before = "") -> Response:
        page = index.page(to=to, subject=subject, before=before, limit=PAGE_LENGTH)
        return pages.page(
            "list.html",
            here=HOME.href,
            messages=page.messages,
            older=_address("/mail/", page, to=to, subject=subject),
            newest=before != "",
            to=to,
            subject=subject,
            total=len(index),
        )

    @app.get("/mail/messages/{message}/page", include_in_schema=False)
    async def letter_page(message: str) -> Response:
        listed, letter, _ = await _found(folder, index, message)
        answer = pages.page(
            "message.html",
            message=listed.summary,
            letter=letter,
            others=[one for one in index.arrivals_of(listed.summary.message_id) if one.id != message],
        )
        answer.headers["content-security-policy"] += "; frame-src 'self'"
        return answer

    @app.get("/mail/messages/{message}/html/{number}", include_in_schema=False)
    async def html(message: str, number: int) -> Response:
        _, letter, _ = await _found(folder, index, message)
        for part in letter.parts:
            if part.number == number and part.is_html:
                headers = {"content-security-policy": HTML_POLICY, "x-content-type-options": "nosniff"}
                return Response(part.text, media_type="text/html", headers=headers)
        raise RefusedError(_nothing())


async def _found(folder: Folder, index: Index, message: str) -> tuple[Listed, Letter, bytes]:
    """The message of that id; raises RefusedError (404), also when its file was deleted meanwhile."""
    listed = index.get(message)
    if listed is None:
        raise RefusedError(_nothing())
    try:
        data = await asyncio.to_thread(folder.read, message)
    except FileNotFoundError:
        raise RefusedError(_nothing()) from None
    return listed, await asyncio.to_thread(letter_of, data), data


def _nothing() -> Problem:
    return Problem(
        404,
        "no-such-message",
        "No such message",
        "there is no message, or no part of it, at this address",
        "look for it in the list at /mail/",
    )


def _row(listed: Listed) -> MessageRow:
    summary = listed.summary
    return MessageRow(
        id=summary.id,
        arrived=summary.arrived,
        sender=summary.sender,
        to=summary.recipients,
        subject=summary.subject,
        message_id=summary.message_id,
        arrivals=listed.arrivals,
        size=summary.size,
    )


def _address(path: str, page: Page, **given: str) -> str | None:
    """Where the list goes on, with the same questions asked."""
    if page.before is None:
        return None
    return f"{path}?{urlencode({name: value for name, value in given.items() if value} | {'before': page.before})}"


def _download(content: bytes, media_type: str, name: str) -> Response:
    headers = {
        "content-disposition": f"attachment; filename*=utf-8''{quote(name.replace('/', '_'), safe='')}",
        "content-security-policy": "sandbox; default-src 'none'",
        "x-content-type-options": "nosniff",
    }
    return Response(content, media_type=media_type, headers=headers)
