"""Looking for made-up personal data where none may be, whatever form they have taken there.

`find(canaries, blob)` unwraps what the blob holds (compression, base64, hexadecimal, JSON's, HTML's, URLs' and mail's
escapes, UTF-16), layer by layer, then compares without case, tone marks, Unicode's form of composition and the spaces
that people put into numbers. So it finds too much rather than too little: a canary is chosen so that chance does not
write it.

What it cannot see: what is encrypted, a digest, snappy's bare blocks (they begin with nothing that could be known;
Kafka's framing is), and text that is cut in two by something else (the length of a record that lies in the middle).
"""

from __future__ import annotations

import binascii
import html
import quopri
import re
import unicodedata
import urllib.parse
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import cramjam
import lz4.frame
import zstandard

_DEEPEST: Final = 5
"""Layers: base64 in JSON in gzip in base64 is four."""

_LARGEST: Final = 256 * 1024 * 1024
_FEWEST: Final = 6
"""Letters or digits of a canary; a shorter one would be found everywhere."""

_BASE64: Final = re.compile(rb"[A-Za-z0-9+/_-]{8,}")
_WRAPPED_BASE64: Final = re.compile(rb"(?<=[A-Za-z0-9+/])\r?\n[ \t]*(?=[A-Za-z0-9+/=])")
_HEX: Final = re.compile(rb"[0-9a-fA-F]{12,}")
_JSON_ESCAPE: Final = re.compile(rb"\\+(?:u[0-9a-fA-F]{4}|[/\"\\bfnrt])")
_SOFT_BREAK: Final = re.compile(rb"=(?:[0-9A-Fa-f]{2}|\r?\n)")
_PERCENT: Final = re.compile(rb"%[0-9a-fA-F]{2}")
_ENTITY: Final = re.compile(rb"&(?:#[0-9]+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]{1,30});")
_OCTAL: Final = re.compile(rb"\\[0-3][0-7]{2}")
_UTF_16: Final = re.compile(rb"(?:[\x20-\x7e]\x00){3}|(?:\x00[\x20-\x7e]){3}")
_TEXT: Final = re.compile(rb"(?:[\x09\x0a\x0d\x20-\x7e]|[\xc2-\xdf][\x80-\xbf]|[\xe1\xe2][\x80-\xbf]{2}){6,}")
"""What might be text: six characters in a row with which Vietnamese is written. What was decoded by guess rarely is."""
_MARKS: Final = re.compile("[\u0300-\u036f\u1ab0-\u1aff\u20d0-\u20ff]+")
_REACH: Final = 400
"""Bytes around an escape that are looked at together with it."""
_BETWEEN_DIGITS: Final = re.compile(r"(?<=\d)[\s.\-()/]+(?=\d)")
_SPACES: Final = re.compile(r"[\s_+]+")

_SNAPPY_OF_KAFKA: Final = b"\x82SNAPPY\x00"


def _inflater(wbits: int) -> Callable[[], Any]:
    return lambda: zlib.decompressobj(wbits)


_FRAMES: Final[tuple[tuple[bytes, Callable[[], Any]], ...]] = (
    (b"\x1f\x8b\x08", _inflater(31)),
    *((header, _inflater(15)) for header in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda")),
    (b"\x28\xb5\x2f\xfd", lambda: zstandard.ZstdDecompressor().decompressobj()),
    (b"\x04\x22\x4d\x18", lz4.frame.LZ4FrameDecompressor),
)
"""How something compressed begins, and what unpacks it."""
_MAGIC: Final = re.compile(
    b"|".join(re.escape(magic) for magic in (_SNAPPY_OF_KAFKA, *(magic for magic, _ in _FRAMES if len(magic) > 2)))
)


def find(canaries: Iterable[str], blob: bytes) -> list[str]:
    """Which of the canaries the blob holds, in their order. Raises ValueError for one that is too short to look for."""
    wanted = {canary: _spellings(canary) for canary in canaries}
    found: set[str] = set()
    seen: set[bytes] = set()
    layer = [blob]
    for _ in range(_DEEPEST):
        following: list[bytes] = []
        for one in layer:
            if not one or one in seen:
                continue
            seen.add(one)
            for text in _texts(one):
                found.update(canary for canary, spellings in wanted.items() if any(each in text for each in spellings))
            if len(found) == len(wanted):
                return list(wanted)
            following += _unwrapped(one)
        layer = following
    return [canary for canary in wanted if canary in found]


# --- what is compared ------------------------------------------------------------------------------------------------


def _spellings(canary: str) -> set[str]:
    """A canary as it is looked for; a telephone number of Vietnam also as it is dialled at home."""
    folded = folded_text(canary)
    if sum(each.isalnum() for each in folded) < _FEWEST:
        raise ValueError("a canary this short would be found by chance")
    digits = re.sub(r"[^0-9]", "", folded)
    if not re.fullmatch(r"[+0-9 .()\-/]+", canary.strip()):
        return {folded}
    return {digits.removeprefix("84") if canary.strip().startswith(("+84", "84")) else digits.removeprefix("0")}


def folded_text(text: str) -> str:
    """Text without what writers change: case, tone marks, form of composition, spaces, marks between digits."""
    bare = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    bare = bare.replace("đ", "d").replace("Đ", "d").casefold()
    return _SPACES.sub(" ", _BETWEEN_DIGITS.sub("", bare))


def _texts(blob: bytes) -> Iterator[str]:
    """The blob as text, however its characters are written."""
    yield folded_text(blob.decode("utf-8", "replace"))
    if _UTF_16.search(blob):
        for encoding in ("utf-16-le", "utf-16-be"):
            for start in (0, 1):
                yield folded_text(blob[start:].decode(encoding, "replace"))


# --- what is unwrapped -----------------------------------------------------------------------------------------------


def _unwrapped(blob: bytes) -> Iterator[bytes]:
    """Everything that may be wrapped in the blob, one layer less."""
    yield from _decompressed(blob)
    for pattern, undone in _ESCAPES:
        yield undone(_around(pattern, blob))
    lines = _WRAPPED_BASE64.sub(b"", blob)
    # Together, so that a log of a million words is a few blobs and not a million.
    yield b"\n".join(_decoded(run) for run in set(_BASE64.findall(blob)))
    if lines != blob:
        yield b"\n".join(_decoded(run) for run in set(_BASE64.findall(lines)))
    yield b"\n".join(_unhexed(run) for run in set(_HEX.findall(blob)))


def _decoded(run: bytes) -> bytes:
    """A run of base64 from each of its four beginnings: where the text in it began, nobody knows."""
    plain = run.replace(b"-", b"+").replace(b"_", b"/")
    decoded = []
    for start in range(4):
        part = plain[start:]
        part = part[: len(part) - 1] if len(part) % 4 == 1 else part
        try:
            decoded.append(binascii.a2b_base64(part + b"=" * (-len(part) % 4)))
        except binascii.Error:
            continue
    return b"\n".join(_worth_a_look(each) for each in decoded)


def _unhexed(run: bytes) -> bytes:
    parts = (bytes.fromhex(part[: len(part) // 2 * 2].decode()) for part in (run, run[1:]))
    return b"\n".join(_worth_a_look(each) for each in parts)


def _worth_a_look(guess: bytes) -> bytes:
    """What was decoded without knowing that it was code: all of it if it is something packed, else what may be text."""
    if _UTF_16.search(guess) or _MAGIC.search(guess):
        return guess
    return b"\n".join(_TEXT.findall(guess))


def _around(pattern: re.Pattern[bytes], blob: bytes) -> bytes:
    """The places of a blob where something is escaped: undoing each kind in a copy of all of it would never end."""
    found = bytearray()
    begin = end = 0
    for match in pattern.finditer(blob):
        if match.start() - _REACH > end:
            found += blob[begin:end] + b"\n"
            begin = match.start() - _REACH if match.start() > _REACH else 0
        end = match.end() + _REACH
    return bytes(found + blob[begin:end])


def _without_json_escapes(blob: bytes) -> bytes:
    """JSON's escapes undone once, also where they were escaped themselves, and surrogates put together."""

    def one(match: re.Match[bytes]) -> bytes:
        name = match[0].lstrip(b"\\")
        if name[:1] == b"u" and len(name) == 5:
            return chr(int(name[1:], 16)).encode("utf-8", "surrogatepass")
        return {b"n": b"\n", b"r": b"\r", b"t": b"\t"}.get(name, name)

    undone = _JSON_ESCAPE.sub(one, blob).decode("utf-8", "surrogatepass" if blob.isascii() else "replace")
    return undone.encode("utf-16", "surrogatepass").decode("utf-16", "replace").encode()


def _without_octal(blob: bytes) -> bytes:
    """PostgreSQL's old way to write bytes."""
    return _OCTAL.sub(lambda match: bytes([int(match[0][1:], 8)]), blob)


def _without_entities(blob: bytes) -> bytes:
    return html.unescape(blob.decode("utf-8", "replace")).encode("utf-8", "replace")


def _without_percents(blob: bytes) -> bytes:
    return urllib.parse.unquote_to_bytes(blob.replace(b"+", b" "))


_ESCAPES: Final[tuple[tuple[re.Pattern[bytes], Callable[[bytes], bytes]], ...]] = (
    (_JSON_ESCAPE, _without_json_escapes),
    (_ENTITY, _without_entities),
    (_PERCENT, _without_percents),
    (_SOFT_BREAK, quopri.decodestring),
    (_OCTAL, _without_octal),
)


def _decompressed(blob: bytes) -> Iterator[bytes]:
    """What was compressed, wherever in the blob it begins; what is no such thing after all gives nothing."""
    for magic, frame in _FRAMES:
        for begin in _places(blob, magic):
            yield from _unpacked(frame(), blob[begin:])
    for begin in _places(blob, _SNAPPY_OF_KAFKA):
        yield from _blocks_of_kafka(blob[begin + 16 :])


def _places(blob: bytes, magic: bytes) -> Iterator[int]:
    place = blob.find(magic)
    while place >= 0:
        yield place
        place = blob.find(magic, place + 1)


def _unpacked(frame: Any, packed: bytes) -> Iterator[bytes]:
    """As much of a frame as can be unpacked, with whatever follows it."""
    found = bytearray()
    try:
        for begin in range(0, len(packed), 4096):
            found += frame.decompress(packed[begin : begin + 4096])
            if frame.eof or len(found) >= _LARGEST:
                break
    except (zlib.error, zstandard.ZstdError, RuntimeError):  # RuntimeError: what lz4 raises
        pass
    if found:
        yield _worth_a_look(bytes(found)) if not frame.eof else bytes(found)


def _blocks_of_kafka(blocks: bytes) -> Iterator[bytes]:
    """Snappy as Java's client frames it for Kafka: blocks, each behind its length (4 bytes, big-endian)."""
    found = bytearray()
    place = 0
    while place + 4 <= len(blocks):
        size = int.from_bytes(blocks[place : place + 4], "big")
        block = blocks[place + 4 : place + 4 + size]
        if not 0 < size == len(block):
            break
        try:
            found += bytes(cramjam.snappy.decompress_raw(block))
        except cramjam.DecompressionError:
            break
        place += 4 + size
    if found:
        yield bytes(found)
