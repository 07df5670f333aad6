"""Prometheus metrics of the engine, named in one place. Labels never carry personal data."""

from prometheus_client import Counter, Histogram

BELLS_UNHEARD = Counter("masteria_bells_unheard_total", "Bells that Redis did not take.", ["bell"])
SENDS = Counter("masteria_sends_total", "Calls to providers, by verdict.", ["channel_kind", "verdict"])
WEBHOOKS = Counter("masteria_webhooks_total", "Webhooks received, by answer.", ["channel_kind", "status"])
JOBS = Counter("masteria_jobs_total", "Jobs run, by name and result.", ["job", "result"])
REQUESTS = Histogram(
    "masteria_http_seconds", "HTTP requests, by route and status.", ["method", "route", "status"]
)
