"""OTLP over HTTP: OpenTelemetry's own exporters, and ours of spans. They are loaded by whoever has something to send.

With them come a second HTTP client and Google's protobuf: a fifth of all that a service would load before it is ready.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import requests
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.sdk.trace.export import SpanExportResult

from shared.telemetry.encoding import attributes_of, request_of
from shared.telemetry.spans import Value

_SECONDS: Final = 3.0
"""For one export, tries again included: a receiver on this machine answers in milliseconds, or is away."""


class ThinSpans(OTLPSpanExporter):
    """The library's exporter (headers, certificates, compression, tries), by its client, with an encoder of ours.

    ``base``: the receiver's address, without a final slash.
    """

    def __init__(self, base: str, resource: Mapping[str, Value]) -> None:
        super().__init__(endpoint=f"{base}/v1/traces", timeout=_SECONDS, session=_session())
        self._resource = Resource(attributes=attributes_of(resource.items()))

    def export(self, spans: Sequence[Any]) -> SpanExportResult:
        """Never raises for what comes of the network."""
        sent = self._client.export(request_of(spans, self._resource))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


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
