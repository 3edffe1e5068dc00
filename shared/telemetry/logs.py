"""Structured logs: one JSON object a line on standard output, and the events of the catalogue over OTLP."""

from __future__ import annotations

import logging
import re
import sys
import time
from collections.abc import Callable
from typing import Final

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from opentelemetry.context import Context
from opentelemetry.trace import INVALID_SPAN_CONTEXT, NonRecordingSpan, set_span_in_context
from pythonjsonlogger.json import JsonFormatter

from shared.telemetry.spans import named_by, traceparent

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_OURS: Final = ("shared.", "services.", "deploy.")
_OWN_FIELDS: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime"}
_REMEMBERED: Final = 1000
_SEVERITY: Final = {
    logging.DEBUG: SeverityNumber.DEBUG,
    logging.INFO: SeverityNumber.INFO,
    logging.WARNING: SeverityNumber.WARN,
    logging.ERROR: SeverityNumber.ERROR,
    logging.CRITICAL: SeverityNumber.FATAL,
}


def start_logging(service: str, level: str = "INFO") -> None:
    """Structured logs on standard output, one JSON object a line: time, level, event (the message), its fields."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        JsonFormatter(
            "%(asctime)s %(levelname)s %(name)s %(message)s",
            rename_fields={"asctime": "time", "levelname": "level", "name": "logger", "message": "event"},
            static_fields={"service": service},
            json_ensure_ascii=False,
        )
    )
    handler.addFilter(Seldom())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # aiokafka warns of every connection that a broker closed; what it cannot do is an error.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # FastStream tells every batch that it polls, and every assignment of partitions.
    logging.getLogger("lienthong.bus").setLevel(logging.WARNING)
    # Telemetry that cannot be exported is told once, by us, and not for every batch by its library.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)


class Seldom(logging.Filter):
    """What a library says again and again goes through once in half a minute, with how often it was said meanwhile.

    A broker that is away for ten minutes is no reason for a hundred lines a second from each service. What we say
    ourselves is never held back: every line of ours is about something of its own. Nor is a line with an exception,
    which nobody could guess from the one before it. The count is the field ``left_out`` of the next that goes through.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic, every: float = 30.0) -> None:
        super().__init__()
        self._now = now
        self._every = every
        self._told: dict[tuple[str, int, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line goes through: by its logger, its level and its text without what is filled in."""
        if record.name.startswith(_OURS) or record.exc_info:
            return True
        what, now = (record.name, record.levelno, str(record.msg)), self._now()
        since, left_out = self._told.get(what, (None, 0))
        if since is not None and now - since < self._every:
            self._told[what] = since, left_out + 1
            return False
        if len(self._told) >= _REMEMBERED:  # texts that are made up anew each time, so that none is ever repeated
            self._told.clear()
        self._told[what] = now, 0
        if left_out:
            record.left_out = left_out
        return True


class OverOtlp(logging.Handler):
    """Hands the catalogue's events to a logger of OpenTelemetry: name, level, fields, and the trace that is open.

    Only our own, and only names: what a library says may quote anything. Of an exception goes its class, nothing more.
    """

    def __init__(self, logger: Logger) -> None:
        super().__init__()
        self._logger = logger

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises and never waits: what cannot be handed over is dropped."""
        if not record.name.startswith(_OURS) or not isinstance(record.msg, str) or not _EVENT.fullmatch(record.msg):
            return
        fields = {name: _plain(value) for name, value in record.__dict__.items() if name not in _OWN_FIELDS}
        if record.exc_info and record.exc_info[0] is not None:
            fields["exception.type"] = record.exc_info[0].__name__
        try:
            self._logger.emit(
                LogRecord(
                    context=_where(),
                    timestamp=int(record.created * 1e9),
                    severity_text=record.levelname,
                    severity_number=_SEVERITY.get(record.levelno, SeverityNumber.UNSPECIFIED),
                    body=record.msg,
                    attributes=fields,
                    event_name=record.msg,
                )
            )
        except Exception:  # the log on standard output has it
            self.handleError(record)


def _where() -> Context:
    """The span that is open here, as OpenTelemetry's records ask for it."""
    return set_span_in_context(NonRecordingSpan(named_by(traceparent()) or INVALID_SPAN_CONTEXT))


def _plain(value: object) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else str(value)
