"""Where telemetry leaves the process: OTLP over HTTP, in threads with bounded queues. Nothing ever waits for it.

A receiver that is away costs what was to be told meanwhile, and one warning, whatever it was that could not be told.
"""

from __future__ import annotations

import atexit
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from threading import Lock
from typing import Any, Final, cast

from opentelemetry import metrics
from opentelemetry._logs import set_logger_provider
from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult

from shared.telemetry import spans
from shared.telemetry.logs import OverOtlp
from shared.telemetry.spans import Span

log = logging.getLogger(__name__)

_QUEUE: Final = 8192
_AT_ONCE: Final = 1024
_METRICS_EVERY_MS: Final = 10_000
_GOODBYE_MS: Final = 4_000


@dataclass(slots=True)
class Receiver:
    """What is known of the receiver, over all three signals: whether it took something at the last try."""

    away: bool = False
    dropped: int = 0
    leaving: bool = False
    _lock: Lock = field(default_factory=Lock)

    @property
    def is_hopeless(self) -> bool:
        """True when the process ends and the receiver is away: it is not asked any more."""
        return self.leaving and self.away

    def heed(self, *, taken: bool, count: int) -> None:
        """Note what came of an export; says once that the receiver is away, and once that it is back."""
        with self._lock:
            was, self.away = self.away, not taken
            self.dropped = 0 if taken else self.dropped + count
        if self.away and not was:
            log.warning("telemetry_away", extra={"do": "nothing here waits for it; see the receiver's log"})
        elif was and not self.away:
            log.info("telemetry_back")


class Spans(SpanExporter):
    """Spans to the receiver: thin ones of our own (`shared.telemetry.spans`), which the library's queue carries."""

    def __init__(self, base: str, receiver: Receiver, resource: Resource) -> None:
        self._base = base
        self._receiver = receiver
        self._resource = resource

    @cached_property
    def _inner(self) -> SpanExporter:
        made: SpanExporter = _exporters().ThinSpans(self._base, self._resource.attributes)
        return made

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Never raises."""
        if self._receiver.is_hopeless:
            return SpanExportResult.FAILURE
        try:
            result = self._inner.export(spans)
        except Exception as error:  # the library's queue would drop them and say nothing
            log.exception("telemetry_broken", extra={"error": type(error).__name__, "dropped": len(spans)})
            return SpanExportResult.FAILURE
        self._receiver.heed(taken=result is SpanExportResult.SUCCESS, count=len(spans))
        return result

    def shutdown(self) -> None:
        if "_inner" in vars(self):  # what was never made needs no end
            self._inner.shutdown()


class Logs(LogRecordExporter):
    """Log events to the receiver."""

    def __init__(self, base: str, receiver: Receiver) -> None:
        self._base = base
        self._receiver = receiver

    @cached_property
    def _inner(self) -> LogRecordExporter:
        made: LogRecordExporter = _exporters().logs(self._base)
        return made

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Never raises."""
        if self._receiver.is_hopeless:
            return LogRecordExportResult.FAILURE
        result = self._inner.export(batch)
        self._receiver.heed(taken=result is LogRecordExportResult.SUCCESS, count=len(batch))
        return result

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self) -> None:
        if "_inner" in vars(self):  # what was never made needs no end
            self._inner.shutdown()


class Metrics(MetricExporter):
    """Figures to the receiver."""

    def __init__(self, base: str, receiver: Receiver) -> None:
        super().__init__()
        self._base = base
        self._receiver = receiver

    @cached_property
    def _inner(self) -> MetricExporter:
        made: MetricExporter = _exporters().figures(self._base)
        return made

    def export(self, metrics_data: MetricsData, timeout_millis: float = 10_000, **kwargs: Any) -> MetricExportResult:
        """Never raises."""
        if self._receiver.is_hopeless:
            return MetricExportResult.FAILURE
        result = self._inner.export(metrics_data, timeout_millis, **kwargs)
        self._receiver.heed(taken=result is MetricExportResult.SUCCESS, count=1)
        return result

    def force_flush(self, timeout_millis: float = 10_000) -> bool:
        return self._inner.force_flush(timeout_millis)

    def shutdown(self, timeout_millis: float = 30_000, **kwargs: Any) -> None:
        if "_inner" in vars(self):
            self._inner.shutdown(timeout_millis, **kwargs)


def _exporters() -> Any:
    """Loaded by the thread that sends first, when a service has long begun to work."""
    return import_module("shared.telemetry.exporters")


_queue: BatchSpanProcessor | None = None


def flush() -> None:
    """Tell now what is still to be told of spans; for who measures, or looks at them right after."""
    if _queue is not None:
        _queue.force_flush()


def start(service: str, endpoint: str | None, *, sampled: float = 1.0) -> None:
    """Set up traces, metrics and logs for this process. ``sampled``: the share of new traces that are recorded, 0..1.

    What is left to tell when the process ends is told then, for four seconds at most.
    """
    global _queue  # noqa: PLW0603 -- a process has one way out
    resource = Resource.create({"service.name": service})
    if endpoint is None:
        spans.record(_nowhere, sampled)
        return
    base, receiver = endpoint.rstrip("/"), Receiver()
    sending = _queue = BatchSpanProcessor(
        Spans(base, receiver, resource),
        max_queue_size=_QUEUE,
        max_export_batch_size=_AT_ONCE,
        schedule_delay_millis=1000,
    )
    # It asks of a span only whether its trace is recorded.
    spans.record(cast("Callable[[Span], None]", sending.on_end), sampled)

    reader = PeriodicExportingMetricReader(Metrics(base, receiver), export_interval_millis=_METRICS_EVERY_MS)
    meters = MeterProvider(resource=resource, metric_readers=[reader], shutdown_on_exit=False)
    metrics.set_meter_provider(meters)

    lines = LoggerProvider(resource=resource, shutdown_on_exit=False)
    lines.add_log_record_processor(
        BatchLogRecordProcessor(Logs(base, receiver), max_queue_size=_QUEUE, schedule_delay_millis=1000)
    )
    set_logger_provider(lines)
    handler = OverOtlp(lines.get_logger("lienthong"))
    logging.getLogger().addHandler(handler)

    def leave() -> None:
        receiver.leaving = True
        logging.getLogger().removeHandler(handler)
        sending.shutdown()
        lines.shutdown()
        meters.shutdown(_GOODBYE_MS)

    atexit.register(leave)


def _nowhere(_: Span) -> None:
    """Spans are made, so that what is said names them, and go nowhere."""
