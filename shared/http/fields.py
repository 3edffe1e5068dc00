"""What forms are made of: the base of every body, and the types of its texts and times."""

import unicodedata
from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, StringConstraints
from pydantic_core import PydanticCustomError

from shared.http.strict_json import text_fault

FIRST_YEAR = 1990
LAST_YEAR = 2100

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


class Form(BaseModel):
    """A body as it comes in: nothing unknown, nothing changed afterwards, and nothing of it in an error."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _whole_text(text: str, *, lines: bool) -> str:
    fault = text_fault(text)
    if fault is not None:
        raise PydanticCustomError("text_not_acceptable", "{what}; {do}", {"what": fault[0], "do": fault[1]})
    if not text.isprintable():
        _refuse_unseen(text, allowed="\n\t" if lines else "")
    if not text.strip():
        raise PydanticCustomError("blank_text", "is blank")
    return text


def _refuse_unseen(text: str, allowed: str) -> None:
    # Cc: control characters; Zl, Zp: separators that are lines to some readers and not to others.
    if any(unicodedata.category(each) in {"Cc", "Zl", "Zp"} and each not in allowed for each in text):
        raise PydanticCustomError("control_character", "holds a control character; leave it out")
    if not _BIDI_CONTROLS.isdisjoint(text):
        raise PydanticCustomError("bidi_control", "holds a character that changes the direction of reading")


def _one_line(text: str) -> str:
    return _whole_text(text, lines=False)


def _lines(text: str) -> str:
    return _whole_text(text, lines=True)


ShortText = Annotated[str, StringConstraints(min_length=1, max_length=200), AfterValidator(_one_line)]
"""A name, a street: one line of 1 to 200 characters in NFC, not blank, without control characters."""

Text = Annotated[str, StringConstraints(min_length=1, max_length=4000), AfterValidator(_lines)]
"""An explanation: as ShortText, up to 4000 characters, and it may have lines and tabs."""


def _written_out(value: object) -> object:
    """Pydantic takes 5 and "5" for seconds since 1970."""
    if isinstance(value, datetime) or (isinstance(value, str) and value[4:5] == "-"):
        return value
    raise PydanticCustomError("business_time", "is written like 2019-05-04T08:30:00+07:00")


def _in_our_time(value: datetime) -> datetime:
    if not FIRST_YEAR <= value.year <= LAST_YEAR:
        raise PydanticCustomError("business_time", f"lies outside the years {FIRST_YEAR} to {LAST_YEAR}")
    return value


BusinessTime = Annotated[AwareDatetime, BeforeValidator(_written_out), AfterValidator(_in_our_time)]
"""When something happened: with its offset, in the years 1990 to 2100."""
