"""From the bytes of a message to what people read. Total: any bytes at all give something, never an exception."""

import email.header
import email.message
import email.parser
import email.policy
import email.utils
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.errors import MessageError
from typing import Final

from deploy.mail.folder import MessageId

_BROKEN: Final = (MessageError, ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What Python's own parser raises on messages that somebody malformed well enough, e.g. parts within parts for ever."""

SHOWN_CHARACTERS: Final = 200_000
"""Longer texts are cut on the page; the raw message has all of it."""

_END_OF_HEADER: Final = re.compile(rb"\r?\n\r?\n")
_FOLD: Final = re.compile(r"[\r\n]+[ \t]*")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Summary:
    """What a list shows of a message. `recipients` are the envelope's; `message_id` is "" where there is none."""

    id: MessageId
    arrived: datetime
    sender: str
    recipients: tuple[str, ...]
    subject: str
    message_id: str
    size: int


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of a message: `text` for what can be read, None for a file. `number` counts leaves from 0."""

    number: int
    content_type: str
    name: str
    size: int
    text: str | None

    @property
    def is_html(self) -> bool:
        return self.text is not None and self.content_type == "text/html"


@dataclass(frozen=True, slots=True)
class Letter:
    """A whole message, decoded."""

    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


def with_envelope(content: bytes, *, sender: str, recipients: tuple[str, ...], peer: str, arrived: datetime) -> bytes:
    """The message with what the envelope said, as a final delivery records it (RFC 5321 4.4)."""
    lines = [f"Return-Path: <{sender}>", *(f"Delivered-To: {recipient}" for recipient in recipients)]
    lines.append(f"Received: from [{peer}] by mail-catcher with ESMTP; {email.utils.format_datetime(arrived)}")
    return "".join(line + "\r\n" for line in lines).encode("utf-8", "surrogateescape") + content


def summary_of(name: MessageId, data: bytes, size: int) -> Summary:
    """The summary of a message from its first bytes, which must hold all of its header."""
    end = _END_OF_HEADER.search(data)
    message = email.parser.BytesHeaderParser(policy=email.policy.compat32).parsebytes(
        data[: end.end()] if end else data
    )
    recipients: list[str] = []
    first: dict[str, str] = {}
    delivering = True
    for key, value in message.raw_items():
        known = key.lower()
        if known == "received":
            # What follows was in the message when it came: not the envelope's.
            delivering = False
        elif known == "delivered-to" and delivering:
            recipients.append(readable(value))
        elif known in {"from", "subject", "message-id"} and known not in first:
            first[known] = readable(value)
    return Summary(
        id=name,
        arrived=datetime.strptime(name[:23], "%Y%m%dT%H%M%S.%fZ").replace(tzinfo=UTC),
        sender=first.get("from", ""),
        recipients=tuple(recipients),
        subject=first.get("subject", ""),
        message_id=first.get("message-id", ""),
        size=size,
    )


def letter_of(data: bytes) -> Letter:
    """All headers and leaves of a message; what cannot be parsed is one text, as it came."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        headers = tuple((readable(key), readable(value)) for key, value in message.raw_items())
        return Letter(headers, tuple(_part(number, leaf) for number, leaf in enumerate(_leaves(message))))
    except _BROKEN:
        return Letter((), (_unparsed(data),))


def content_of(data: bytes, number: int) -> tuple[Part, bytes] | None:
    """The leaf of that number with its decoded bytes, or None."""
    try:
        message = email.message_from_bytes(data, policy=email.policy.compat32)
        leaves = list(_leaves(message))
        return (_part(number, leaves[number]), _content(leaves[number])) if 0 <= number < len(leaves) else None
    except _BROKEN:
        return (_unparsed(data), data) if number == 0 else None


def readable(value: object) -> str:
    """A header's value as people read it (RFC 2047), on one line, without control characters."""
    raw = str(value)
    try:
        # Bytes that are no ASCII come as surrogates; today they are UTF-8 (RFC 6532).
        text = raw.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    except UnicodeEncodeError:
        text = raw
    if "=?" in text:
        text = _words(_FOLD.sub(" ", text))
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", _FOLD.sub(" ", text)).strip()


def _words(text: str) -> str:
    try:
        pieces = email.header.decode_header(text)
    except _BROKEN:
        return text
    words = [piece if isinstance(piece, str) else _decoded(piece, charset or "utf-8") for piece, charset in pieces]
    return "".join(words) or text


def _leaves(message: "email.message.Message[str, str]") -> Iterator["email.message.Message[str, str]"]:
    return (part for part in message.walk() if not part.is_multipart())


def _unparsed(data: bytes) -> Part:
    return Part(0, "text/plain", "", len(data), _shown(data.decode("utf-8", "replace")))


def _part(number: int, leaf: "email.message.Message[str, str]") -> Part:
    content = _content(leaf)
    content_type = readable(leaf.get_content_type())
    is_text = content_type in {"text/plain", "text/html"} and _disposition(leaf) != "attachment"
    text = _shown(_decoded(content, _charset(leaf))) if is_text else None
    return Part(number, content_type, readable(_file_name(leaf)), len(content), text)


def _content(leaf: "email.message.Message[str, str]") -> bytes:
    try:
        content = leaf.get_payload(decode=True)
    except _BROKEN:
        content = None
    if isinstance(content, bytes):
        return content
    return str(leaf.get_payload()).encode("utf-8", "surrogateescape")


def _disposition(leaf: "email.message.Message[str, str]") -> str | None:
    try:
        return leaf.get_content_disposition()
    except _BROKEN:
        return "attachment"


def _charset(leaf: "email.message.Message[str, str]") -> str:
    try:
        return leaf.get_content_charset() or "utf-8"
    except _BROKEN:
        return "utf-8"


def _file_name(leaf: "email.message.Message[str, str]") -> str:
    try:
        return leaf.get_filename() or ""
    except _BROKEN:
        return ""


def _decoded(content: bytes, charset: str) -> str:
    try:
        return content.decode(charset, "replace")
    except (LookupError, ValueError):
        # A character set that nobody knows; what is sent to us is UTF-8 as a rule.
        return content.decode("utf-8", "replace")


def _shown(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + " […]"
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", cut.replace("\r\n", "\n"))
