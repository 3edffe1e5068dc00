"""JSON of one meaning only: what two parsers, or PostgreSQL, would read differently is refused at the door."""

import json
import math
import unicodedata
from dataclasses import dataclass
from typing import NoReturn

import msgspec
from pydantic import JsonValue

from shared.http.problems import Problem

MAX_DEPTH = 32


@dataclass(frozen=True, slots=True)
class Parsed:
    value: JsonValue


class _OtherMeaningError(ValueError):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.name)
        self.problem = problem


def parse_json(body: bytes) -> Parsed | Problem:
    """The value of a JSON text in UTF-8 (RFC 8259, and I-JSON of RFC 7493 as to keys, numbers and surrogates).

    Refused, each with a problem that names the place: malformed text, a key said twice, NaN, Infinity and numbers
    that become infinite, lone surrogates, U+0000, text not in NFC, more than 32 levels.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        return _malformed(f"byte {error.start} is not UTF-8")
    try:
        value: JsonValue = _DECODER.decode(text)
    except _OtherMeaningError as error:
        return error.problem
    except json.JSONDecodeError as error:
        return _malformed(f"line {error.lineno}, column {error.colno}: {error.msg}")
    except RecursionError:
        return _too_deep()
    except ValueError:
        return _malformed("a whole number has more than 4300 digits")
    return _problem_within(value) if _wants_a_look(text, value) else Parsed(value)


def _wants_a_look(text: str, value: JsonValue) -> bool:
    """Whether the values must be gone through: NFC is closed under taking parts, so most bodies pass as a whole."""
    if text.count("[") + text.count("{") > MAX_DEPTH:
        return True
    if "\\u" in text:  # what its escapes stand for is looked at, which is a tenth of going through them
        try:
            text = msgspec.json.encode(value).decode()
        except (UnicodeEncodeError, RecursionError):
            return True
        if "\\u0000" in text:
            return True
    return not text.isascii() and not unicodedata.is_normalized("NFC", text)


def _problem_within(value: JsonValue) -> Parsed | Problem:
    pending: list[tuple[JsonValue, str, int]] = [(value, "", 0)]
    while pending:
        here, pointer, depth = pending.pop()
        if isinstance(here, str):
            problem = _text_problem(here, pointer)
            if problem is not None:
                return problem
            continue
        if not isinstance(here, dict | list):
            continue
        if depth == MAX_DEPTH:
            return _too_deep()
        if isinstance(here, list):
            pending.extend((item, f"{pointer}/{i}", depth + 1) for i, item in enumerate(here))
            continue
        for key, item in here.items():
            problem = _text_problem(key, pointer)
            if problem is not None:
                return problem
            pending.append((item, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}", depth + 1))
    return Parsed(value)


def text_fault(text: str) -> tuple[str, str] | None:
    """Why the text cannot be stored or compared, and what to do; None when it can."""
    if "\x00" in text:
        return "holds the character U+0000", "leave the character out"
    if text.isascii():
        return None
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return "holds half of a surrogate pair", "send whole characters"
    if not unicodedata.is_normalized("NFC", text):
        return "is not in Unicode normalization form C", "send NFC: letters composed with their marks, like U+1EBF"
    return None


def _text_problem(text: str, pointer: str) -> Problem | None:
    fault = text_fault(text)
    if fault is None:
        return None
    detail, do = fault
    return Problem(400, "text-not-acceptable", "A text is not acceptable", detail, do, pointer)


def _object(pairs: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for i, (key, _) in enumerate(pairs) if key in {earlier for earlier, _ in pairs[:i]})
        name = twice.encode("utf-8", "replace").decode()[:100]
        raise _OtherMeaningError(
            Problem(400, "duplicate-key", "A key is said twice", "which of the two counts?", "say it once", name)
        )
    return found


def _constant(_: str) -> NoReturn:
    raise _OtherMeaningError(_malformed("NaN and Infinity are not JSON"))


def _number(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise _OtherMeaningError(_malformed("a number is too large"))
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant, parse_float=_number)


def _malformed(detail: str) -> Problem:
    return Problem(400, "malformed-json", "The body is not JSON", detail, "send one JSON text (RFC 8259) in UTF-8")


def _too_deep() -> Problem:
    return Problem(400, "too-deep", "The body is nested too deeply", f"more than {MAX_DEPTH} levels", "flatten it")
