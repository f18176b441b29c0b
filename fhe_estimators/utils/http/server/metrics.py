"""What a server counts, for Prometheus: numbers, seconds and bytes, no payloads and no names of clients."""

from __future__ import annotations

from typing import Any

from ..._optional import import_optional

#: Upper bounds of histograms, in seconds.
SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Metrics:
    """The metrics of one application: a registry of its own, so that several can run in a process.

    Attributes
    ----------
    registry : prometheus_client.CollectorRegistry
        Of counters, gauges and histograms that an application adds.
    """

    def __init__(self) -> None:
        self.library = import_optional("prometheus_client", extra="serving", purpose="A server's metrics")
        self.registry = self.library.CollectorRegistry()
        self._requests = self.counter("fhe_http_requests", "Requests by route and status", "route", "status")
        self._seconds = self.histogram("fhe_http_request_seconds", "From a request's head to its answer", "route")
        self._received = self.counter("fhe_http_received_bytes", "Of bodies", "route")
        self._sent = self.counter("fhe_http_sent_bytes", "Of bodies", "route")
        self.under_way = self.gauge("fhe_http_requests_under_way", "Requests that are being received or answered")

    def counter(self, name: str, text: str, *labels: str) -> Any:
        """A counter of this registry."""
        return self.library.Counter(name, text, labels, registry=self.registry)

    def gauge(self, name: str, text: str, *labels: str) -> Any:
        """A gauge of this registry."""
        return self.library.Gauge(name, text, labels, registry=self.registry)

    def histogram(self, name: str, text: str, *labels: str) -> Any:
        """A histogram of seconds of this registry."""
        return self.library.Histogram(name, text, labels, buckets=SECONDS, registry=self.registry)

    def observe(self, route: str, status: int, seconds: float, received: int, sent: int) -> None:
        """Count a request."""
        self._requests.labels(route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)
        self._received.labels(route).inc(received)
        self._sent.labels(route).inc(sent)

    def text(self) -> tuple[bytes, str]:
        """Everything in Prometheus's text format, and its media type."""
        return self.library.generate_latest(self.registry), self.library.CONTENT_TYPE_LATEST
