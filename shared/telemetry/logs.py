"""Structured logs: one JSON object a line on standard output, and the events of the catalogue over OTLP."""

from __future__ import annotations

import logging
import re
import sys
from typing import Final

from opentelemetry._logs import Logger, LogRecord, SeverityNumber
from pythonjsonlogger.json import JsonFormatter

_EVENT: Final = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_OURS: Final = ("shared.", "services.", "deploy.")
_OWN_FIELDS: Final = frozenset(logging.LogRecord("", 0, "", 0, "", None, None).__dict__) | {"message", "asctime"}
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
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    # aiokafka tells every reconnect of a broker that is away, several times a second.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # FastStream tells every batch that it polls, and every assignment of partitions.
    logging.getLogger("lienthong.bus").setLevel(logging.WARNING)
    # Telemetry that cannot be exported is told once, by us, and not for every batch by its library.
    logging.getLogger("opentelemetry").setLevel(logging.CRITICAL + 1)


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


def _plain(value: object) -> str | bool | int | float:
    return value if isinstance(value, str | bool | int | float) else str(value)
