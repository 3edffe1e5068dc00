"""Reading an event log: XES (IEEE 1849), packed with gzip. Only what a replay needs is kept; all of it is checked.

The file is read as a stream; what stays in memory is its cases. Attributes within attributes, and the log's own, are
passed over. A document type is refused: XES has none, and entities can make a small file a huge one.
"""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Final
from xml.parsers import expat

from pydantic import TypeAdapter, ValidationError

from shared.events import OfficerId, StageName, UnitCode
from shared.http.fields import BusinessTime, ShortText

if TYPE_CHECKING:
    from pathlib import Path

CASE: Final = "concept:name"
ACTIVITY: Final = "concept:name"
TIME: Final = "time:timestamp"
RESOURCE: Final = "org:resource"
GROUP: Final = "org:group"

_READ_AT_ONCE: Final = 1 << 16
_GZIP: Final = b"\x1f\x8b"
_ATTRIBUTES: Final = frozenset({"string", "date", "int", "float", "boolean", "id"})

# xs:dateTime with its offset; to the microsecond, which is what every store keeps.
_DATE_TIME: Final = re.compile(
    r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.(?P<fraction>\d+))?(?P<offset>Z|[+-]\d{2}:\d{2})?"
)

_instants: TypeAdapter[datetime] = TypeAdapter(BusinessTime)
_short: TypeAdapter[str] = TypeAdapter(ShortText)
_longest: Final[Mapping[str, TypeAdapter[str]]] = {
    ACTIVITY: TypeAdapter(StageName),
    RESOURCE: TypeAdapter(OfficerId),
    GROUP: TypeAdapter(UnitCode),
}


class BadLogError(Exception):
    """The file cannot be replayed. Its text is one sentence that names the place."""


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """An event as it stands in the log: what was done, when (with the offset as written), by whom, in which group."""

    activity: str
    at: datetime
    resource: str | None = None
    group: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedCase:
    """A case as it stands in the log. ``attributes`` are texts as written; ``events`` are one or more, in order."""

    id: str
    line: int
    attributes: Mapping[str, str]
    events: tuple[RecordedEvent, ...]


@dataclass(frozen=True, slots=True)
class Log:
    """A whole log. ``digest``: SHA-256 of the unpacked file, so that packing it anew makes no other log of it."""

    digest: str
    cases: tuple[RecordedCase, ...]


def read_log(path: Path) -> Log:
    """Read and check a whole log. Raises BadLogError; OSError when the file cannot be read at all."""
    reader = _Reader()
    digest = hashlib.sha256()
    unpacked = 0
    try:
        with path.open("rb") as raw, gzip.open(raw) as file:
            magic = raw.peek(2)[:2]
            if magic and magic != _GZIP:
                raise BadLogError("The file is not packed with gzip (a log is named ….xes.gz; `gzip` packs it).")
            while chunk := file.read(_READ_AT_ONCE):
                unpacked += len(chunk)
                digest.update(chunk)
                reader.feed(chunk)
    except gzip.BadGzipFile as error:
        raise BadLogError(f"The file is damaged: near line {reader.line} its check sum is wrong.") from error
    except EOFError as error:
        raise BadLogError(f"The file is cut off: its packed data ends near line {reader.line}.") from error
    except zlib.error as error:
        raise BadLogError(f"The file is damaged: it cannot be unpacked beyond line {reader.line}.") from error
    if not unpacked:
        raise BadLogError("The file is empty.")
    return Log(digest.hexdigest(), reader.finish())


def instant_of(text: str) -> datetime:
    """The instant of an XES date, with the offset as written. ValueError says what is wrong with it."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        raise ValueError("is not a time like 2011-10-11T13:42:22.688+02:00")
    if found["offset"] is None:
        raise ValueError("is a time without an offset, which is no instant")
    if (found["fraction"] or "")[6:].strip("0"):
        raise ValueError("is finer than a microsecond")
    try:
        return _instants.validate_python(datetime.fromisoformat(text))
    except ValidationError as error:
        raise ValueError(error.errors()[0]["msg"]) from None


@dataclass(slots=True)
class _Element:
    """A trace or an event while it is read: where it began, and its attributes."""

    line: int
    attributes: dict[str, str] = field(default_factory=dict)


class _Reader:
    """Turns XML into cases as it comes. Expat rather than ElementTree: it knows the line of everything."""

    def __init__(self) -> None:
        self._parser = expat.ParserCreate(namespace_separator="}")
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._start
        self._parser.EndElementHandler = self._end
        self._parser.StartDoctypeDeclHandler = self._doctype
        self._depth = 0
        self._case: _Element | None = None
        self._event: _Element | None = None
        self._events: list[RecordedEvent] = []
        self._cases: dict[str, RecordedCase] = {}

    @property
    def line(self) -> int:
        return self._parser.CurrentLineNumber

    def feed(self, chunk: bytes) -> None:
        self._parse(chunk, last=False)

    def finish(self) -> tuple[RecordedCase, ...]:
        self._parse(b"", last=True)
        if not self._cases:
            raise BadLogError("The log holds no cases: there is nothing to replay.")
        return tuple(self._cases.values())

    def _parse(self, chunk: bytes, *, last: bool) -> None:
        try:
            self._parser.Parse(chunk, last)
        except expat.ExpatError as error:
            if last:
                text = f"The file is cut off: its XML ends at line {error.lineno} before the log is closed."
            else:
                why = expat.ErrorString(error.code)
                text = f"The file is not XES: line {error.lineno}, column {error.offset + 1} is not XML ({why})."
            raise BadLogError(text) from error

    def _doctype(self, *_: object) -> None:
        raise BadLogError(f"The file is not XES: line {self.line} declares a document type.")

    def _start(self, qualified: str, given: dict[str, str]) -> None:
        name = qualified.rpartition("}")[2]
        self._depth += 1
        if self._depth == 1:
            if name != "log":
                raise BadLogError(f"The file is XML, but not XES: it begins with <{name[:40]}> instead of <log>.")
        elif self._depth == 2 and name == "trace":
            self._case, self._events = _Element(self.line), []
        elif self._depth == 2 and name == "event":
            raise BadLogError(f"Line {self.line}: an event stands outside of any case.")
        elif self._depth == 3 and self._case is not None:
            if name == "event":
                self._event = _Element(self.line)
            else:
                self._keep(self._case, name, given)
        elif self._depth == 4 and self._event is not None:
            self._keep(self._event, name, given)

    def _keep(self, element: _Element, name: str, given: Mapping[str, str]) -> None:
        if name not in _ATTRIBUTES:
            return
        key, value = given.get("key"), given.get("value")
        if key is None or value is None:
            raise BadLogError(f"Line {self.line}: a <{name}> has no key or no value.")
        if key in element.attributes:
            raise BadLogError(f"Line {self.line}: {key[:60]} is given twice.")
        element.attributes[key] = value

    def _end(self, _: str) -> None:
        if self._depth == 3 and self._event is not None:
            self._events.append(self._recorded_event(self._event))
            self._event = None
        elif self._depth == 2 and self._case is not None:
            case = self._recorded_case(self._case)
            self._cases[case.id] = case
            self._case = None
        self._depth -= 1

    def _recorded_event(self, event: _Element) -> RecordedEvent:
        where = self._where(event.line, len(self._events) + 1)
        activity = event.attributes.get(ACTIVITY)
        time = event.attributes.get(TIME)
        if activity is None:
            raise BadLogError(f"{where} has no {ACTIVITY}: which activity it is must be known.")
        if time is None:
            raise BadLogError(f"{where} has no {TIME}: when it happened must be known.")
        try:
            at = instant_of(time)
        except ValueError as error:
            raise BadLogError(f"{where}: {TIME} {error}.") from None
        if self._events and at < self._events[-1].at:
            raise BadLogError(f"{where} is earlier than the one before it: the events of a case stand in their order.")
        texts = {key: event.attributes[key] for key in (ACTIVITY, RESOURCE, GROUP) if key in event.attributes}
        for key, text in texts.items():
            _check(where, key, text, _longest[key])
        return RecordedEvent(activity, at, texts.get(RESOURCE), texts.get(GROUP))

    def _recorded_case(self, case: _Element) -> RecordedCase:
        ident = case.attributes.get(CASE)
        if ident is None:
            raise BadLogError(f"The case at line {case.line} has no {CASE}: it must be known by something.")
        where = f"Case {ident[:60]} (line {case.line})"
        _check(where, CASE, ident)
        if ident in self._cases:
            raise BadLogError(f"{where} stands in the log twice, first at line {self._cases[ident].line}.")
        if not self._events:
            raise BadLogError(f"{where} has no events: when it was received is not known.")
        return RecordedCase(ident, case.line, case.attributes, tuple(self._events))

    def _where(self, line: int, nth: int) -> str:
        assert self._case is not None
        ident = self._case.attributes.get(CASE)  # it may stand behind the events
        case = f"the case at line {self._case.line}" if ident is None else f"case {ident[:60]}"
        return f"Event {nth} of {case} (line {line})"


def _check(where: str, key: str, text: str, longest: TypeAdapter[str] = _short) -> None:
    try:
        longest.validate_python(_short.validate_python(text))
    except ValidationError as error:
        reason = error.errors(include_input=False)[0]["msg"]
        raise BadLogError(f"{where}: {key}: {reason[:1].lower()}{reason[1:]}.") from None


def check_text(where: str, key: str, text: str) -> None:
    """A kept attribute is one line of 1 to 200 characters in NFC. Raises BadLogError with the place."""
    _check(where, key, text)
