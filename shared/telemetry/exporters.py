"""OpenTelemetry's own exporters (OTLP over HTTP). They are loaded by whoever has something to send, not at the start.

With them come a second HTTP client and Google's protobuf: a fifth of all that a service would load before it is ready.
"""

from __future__ import annotations

from typing import Final

import requests
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

_SECONDS: Final = 3.0
"""For one export, tries again included: a receiver on this machine answers in milliseconds, or is away."""


def spans(base: str) -> OTLPSpanExporter:
    """Spans to the receiver at an address without a final slash."""
    return OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=_SECONDS, session=_session())


def logs(base: str) -> OTLPLogExporter:
    """Log events to the receiver at an address without a final slash."""
    return OTLPLogExporter(endpoint=f"{base}/v1/logs", timeout=_SECONDS, session=_session())


def figures(base: str) -> OTLPMetricExporter:
    """Figures to the receiver at an address without a final slash."""
    return OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=_SECONDS, session=_session())


def _session() -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # no proxy of the environment stands between us and the receiver
    return session
