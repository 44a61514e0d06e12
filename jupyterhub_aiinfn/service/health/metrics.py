"""Counters for Prometheus; labels come from closed lists, so that nobody can make new series."""

from __future__ import annotations

from collections import Counter as Count
from collections.abc import Callable, Iterable

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from jupyterhub_aiinfn.api.workloads import Workload

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
Gauges = Callable[[], Iterable[GaugeMetricFamily]]


class Metrics:
    """Requests are counted as they end; the rest is read when Prometheus asks."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        labels = ["method", "route", "status"]
        self._requests = Counter(
            "aiinfn_requests", "Requests by route pattern and status", labels, registry=self._registry
        )
        self._seconds = Histogram(
            "aiinfn_request_duration_seconds", "Until the answer began", ["route"], registry=self._registry
        )

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request. ``route`` is the pattern of a route, never a path; ``seconds`` until the answer began."""
        self._requests.labels(method if method in METHODS else "other", route, str(status)).inc()
        self._seconds.labels(route).observe(seconds)

    def read_when_asked(self, gauges: Gauges) -> None:
        """Add gauges that are computed for each answer."""
        self._registry.register(OnDemand(gauges))

    def text(self) -> bytes:
        """Everything, in Prometheus' text format."""
        return generate_latest(self._registry)


class OnDemand(Collector):
    """Gauges from a function."""

    def __init__(self, gauges: Gauges) -> None:
        self._gauges = gauges

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """What the function says now."""
        return self._gauges()

    def describe(self) -> Iterable[GaugeMetricFamily]:
        """Nothing is known before the service runs."""
        return ()


def workload_gauge(workloads: Iterable[Workload]) -> GaugeMetricFamily:
    """Live workloads by kind and phase."""
    family = GaugeMetricFamily("aiinfn_workloads", "Live workloads", labels=["kind", "phase"])
    for (kind, phase), count in sorted(Count((work.kind.value, work.phase.value) for work in workloads).items()):
        family.add_metric([kind, phase], count)
    return family


def gauge(name: str, documentation: str, value: float) -> GaugeMetricFamily:
    """One number."""
    return GaugeMetricFamily(name, documentation, value=value)
