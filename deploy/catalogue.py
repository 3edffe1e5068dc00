"""Reads a file of the national procedure catalogue: which procedures can be taken, and why the others cannot.

The file is a table (CSV, UTF-8) with a row per procedure, as published on the national portal:

    code, name, sector, levels (``ministry|province|commune``), result, components (their number),
    and for each of the channels counter, online, postal: term_<channel>, term_<channel>_unit, fee_<channel>_vnd

Other columns are passed over. What is made of it:

* **Term.** A channel's term is trusted when it has a number *and* a unit (working_day, calendar_day, hour, same_day).
  A number without a unit is not read as days: on the portal “1” is often a placeholder. A procedure with a trusted term
  for at least one channel is taken; its term is the first trusted one of counter, online, postal, and ``terms`` holds
  the trusted ones by channel (counter -> desk, online -> online, postal -> post): a channel with a bare number is left
  out. A procedure without any trusted term is left: “a number without a unit” when some channel has a number, else
  “no term”.
* **Fee.** Blank is unknown. So is 0: where the province sets the fee the portal prints 0 as well (1.013227 costs
  10 000 đ), so that 0 proves nothing. Only an amount above 0 is taken.
* **Level.** ``town`` (received at a commune, decided at the town) for the procedures that are inter-level by name
  (“Liên thông …”: 2.000986 and 2.001023) and for the former district level; else ``commune`` where the commune is among
  the levels, else ``province``. A procedure of none of them is left.
* **Components.** Blank and 0 are unknown: no procedure is without a paper.
* **Text** is composed (NFC) and stripped; portals mix composed and decomposed tone marks.

Of the 588 rows of July 2026, 387 are taken, 162 left for a number without a unit and 39 for no term.
"""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal

from deploy.launcher.errors import LaunchError
from shared.calendar import TermUnit
from shared.events import Channel

CHANNELS: Final[Mapping[str, Channel]] = {
    "counter": Channel.DESK,
    "online": Channel.ONLINE,
    "postal": Channel.POST,
}
"""The file's word for a channel -> ours, in the order in which the term is looked for."""

COLUMNS: Final = (
    "code",
    "name",
    "sector",
    "levels",
    *(f"{what}_{channel}{suffix}" for channel in CHANNELS for what, suffix in (("term", ""), ("term", "_unit"))),
    *(f"fee_{channel}_vnd" for channel in CHANNELS),
    "components",
    "result",
)

_CODE: Final = re.compile(r"[A-Za-z0-9._-]{1,32}")
_NUMBER: Final = re.compile(r"[0-9]{1,12}")
_LONGEST: Final = {"name": 4000, "sector": 200, "result": 4000}
_LONGEST_TERM: Final = 3650
_INTER_LEVEL: Final = "liên thông "


class Reason(StrEnum):
    """Why a procedure is left."""

    BARE = "a number without a unit"
    NO_TERM = "no term"
    OTHER_LEVEL = "neither of the commune nor of the town nor of the province"


class BadCatalogueError(LaunchError):
    """The file cannot be read as a catalogue. Its text names the line and what to do; nothing of the file is taken."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A procedure as intake takes it (the body of ``PUT /intake/procedures``), and the line where it begins."""

    line: int
    procedure: Mapping[str, Any]

    @property
    def code(self) -> str:
        return str(self.procedure["code"])


@dataclass(frozen=True, slots=True)
class Left:
    """A procedure that is not taken."""

    line: int
    code: str
    reason: Reason


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A file, read. ``bare_channels`` is how many channels of the taken ones are left out for want of a unit."""

    taken: tuple[Taken, ...]
    left: tuple[Left, ...]
    bare_channels: int

    @property
    def rows(self) -> int:
        return len(self.taken) + len(self.left)


def read_catalogue(content: bytes, name: str, source: str) -> Catalogue:
    """The catalogue in a file's bytes. ``name`` is said in errors, ``source`` becomes that of every procedure.

    Raises BadCatalogueError: no UTF-8, no rows, a missing column, a row that is cut off or holds what it may not.
    """
    taken, left, bare_channels = [], [], 0
    lines: dict[str, int] = {}
    for line, row in _rows(_text(content, name), name):
        one = _Row(name, line, row)
        code = one.code()
        if code in lines:
            raise one.bad(f"{code} stands in line {lines[code]} already: leave one of them out")
        lines[code] = line
        trusted, bare = one.terms()
        level = one.level()
        if trusted and level is not None:
            taken.append(Taken(line, one.procedure(trusted, level, source)))
            bare_channels += bare
        elif not trusted:
            left.append(Left(line, code, Reason.BARE if bare else Reason.NO_TERM))
        else:
            left.append(Left(line, code, Reason.OTHER_LEVEL))
    if not lines:
        raise BadCatalogueError(f"{name} has no row below its header: nothing can be taken from it.")
    return Catalogue(tuple(taken), tuple(left), bare_channels)


@dataclass(frozen=True, slots=True)
class _Row:
    """A row by the names of its columns; each question may find that it is broken."""

    name: str
    line: int
    cells: Mapping[str, str]

    def bad(self, what: str) -> BadCatalogueError:
        return BadCatalogueError(f"{self.name}, line {self.line}: {what}; nothing was sent.")

    def code(self) -> str:
        code = self.cells["code"]
        if not _CODE.fullmatch(code):
            raise self.bad(f"{_quoted(code)} is no procedure code (1 to 32 letters, digits, dots, dashes)")
        return code

    def terms(self) -> tuple[dict[Channel, dict[str, Any]], int]:
        """The trusted terms by channel, and how many channels have a number without a unit."""
        trusted, bare = {}, 0
        for word, channel in CHANNELS.items():
            value, unit = self.cells[f"term_{word}"], self.cells[f"term_{word}_unit"]
            if unit:
                trusted[channel] = self._term(word, value, unit)
            elif value:
                bare += 1
        return trusted, bare

    def _term(self, word: str, value: str, unit: str) -> dict[str, Any]:
        if unit not in set(TermUnit):
            raise self.bad(f"term_{word}_unit is {_quoted(unit)}: it may be {', '.join(TermUnit)} or blank")
        if unit == TermUnit.SAME_DAY and value in {"", "0"}:
            return {"value": 0, "unit": unit}
        if unit == TermUnit.SAME_DAY or not _NUMBER.fullmatch(value) or not 1 <= int(value) <= _LONGEST_TERM:
            allowed = "0" if unit == TermUnit.SAME_DAY else f"a whole number from 1 to {_LONGEST_TERM}"
            raise self.bad(f"term_{word} is {_quoted(value)}: with the unit {unit} it is {allowed}")
        return {"value": int(value), "unit": unit}

    def level(self) -> Literal["commune", "town", "province"] | None:
        levels = {level.strip() for level in self.cells["levels"].split("|")}
        if self.cells["name"].casefold().startswith(_INTER_LEVEL):
            return "town"
        if "commune" in levels:
            return "commune"
        if "district" in levels:
            return "town"
        return "province" if "province" in levels else None

    def procedure(self, trusted: Mapping[Channel, Mapping[str, Any]], level: str, source: str) -> dict[str, Any]:
        texts = {name: self._text(name, required=name != "result") for name in _LONGEST}
        components = self._amount("components")
        return {
            "code": self.code(),
            "name": texts["name"],
            "sector": texts["sector"],
            "level": level,
            "term": next(trusted[channel] for channel in CHANNELS.values() if channel in trusted),
            "terms": {channel.value: term for channel, term in trusted.items()},
            "fees": {
                channel.value: fee for word, channel in CHANNELS.items() if (fee := self._amount(f"fee_{word}_vnd"))
            },
            "components": components or None,
            "result": texts["result"] or None,
            "source": source,
        }

    def _text(self, column: str, *, required: bool) -> str:
        text = self.cells[column]
        if required and not text:
            raise self.bad(f"{column} is blank")
        if len(text) > _LONGEST[column]:
            raise self.bad(f"{column} has {len(text)} characters, at most {_LONGEST[column]} may be")
        return text

    def _amount(self, column: str) -> int:
        """A number; 0 for blank too."""
        text = self.cells[column]
        if text and not _NUMBER.fullmatch(text):
            raise self.bad(f"{column} is {_quoted(text)}: it may be a whole number or blank")
        return int(text or 0)


def _text(content: bytes, name: str) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadCatalogueError(f"{name}, line {line}: this is not UTF-8: save the file as CSV UTF-8.") from None
    if not text.strip():
        raise BadCatalogueError(f"{name} is empty: a header and a row for each procedure are expected.")
    if "\x00" in text:
        line = text.count("\n", 0, text.index("\x00")) + 1
        raise BadCatalogueError(f"{name}, line {line}: a NUL character: this is not a CSV file.")
    return text


def _rows(text: str, name: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row below the header with the line where it begins; blank lines are passed over."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    columns: list[str] = []
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if not columns:
                columns = _header(cells, name, line)
                continue
            if len(cells) != len(columns):
                raise BadCatalogueError(
                    f"{name}, line {line}: the row has {len(cells)} cells, the header {len(columns)}: look for a comma "
                    "outside of quotes, or a row that is cut off; nothing was sent."
                )
            yield line, dict(zip(columns, (unicodedata.normalize("NFC", cell.strip()) for cell in cells), strict=True))
    except csv.Error as error:
        raise BadCatalogueError(
            f"{name}, line {begins}: the row that begins here cannot be read ({error}): look for a quote that is not "
            "closed; nothing was sent."
        ) from None


def _header(cells: list[str], name: str, line: int) -> list[str]:
    columns = [cell.strip().casefold() for cell in cells]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise BadCatalogueError(f"{name}, line {line}: missing in the header: {', '.join(missing)}.")
    twice = sorted({column for column in columns if column in COLUMNS and columns.count(column) > 1})
    if twice:
        raise BadCatalogueError(f"{name}, line {line}: twice in the header: {', '.join(twice)}.")
    return columns


def _quoted(text: str) -> str:
    shown = "".join(each if each.isprintable() else "·" for each in text[:40])
    return f"“{shown}{'…' if len(text) > 40 else ''}”"
