"""Prometheus metrics of the engine, named in one place. Labels never carry personal data."""

from collections.abc import Iterable, Sequence

from prometheus_client import REGISTRY, Counter, Histogram, Metric
from prometheus_client.registry import Collector

BELLS_UNHEARD = Counter("masteria_bells_unheard_total", "Bells that Redis did not take.", ["bell"])
SENDS = Counter("masteria_sends_total", "Calls to providers, by verdict.", ["channel_kind", "verdict"])
WEBHOOKS = Counter("masteria_webhooks_total", "Webhooks received, by answer.", ["channel_kind", "status"])
JOBS = Counter(
    "masteria_jobs_total", "Turns of jobs, and what failed in them, by name and result.", ["name", "result"]
)
REQUESTS = Histogram(
    "masteria_http_seconds", "HTTP requests, by route and status.", ["method", "route", "status"]
)


class Measured(Collector):
    """Figures that are measured when Prometheus asks, and are all replaced by the next measurement."""

    def __init__(self) -> None:
        self._families: Sequence[Metric] = ()

    def show(self, families: Sequence[Metric]) -> None:
        """Show these from now on."""
        self._families = families

    def collect(self) -> Iterable[Metric]:
        """What was measured last."""
        return self._families


DEPTH = Measured()
REGISTRY.register(DEPTH)
