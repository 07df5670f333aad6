"""Prometheus metrics of the engine, named in one place. Labels never carry personal data."""

from prometheus_client import Counter, Gauge, Histogram

BELLS_UNHEARD = Counter("masteria_bells_unheard_total", "Bells that Redis did not take.", ["bell"])
SENDS = Counter("masteria_sends_total", "Calls to providers, by verdict.", ["channel_kind", "verdict"])
SEND_SECONDS = Histogram(
    "masteria_send_seconds", "Time a provider took to answer one send.", ["channel_kind"]
)
WEBHOOKS = Counter("masteria_webhooks_total", "Webhooks received, by answer.", ["channel_kind", "status"])
JOURNAL_AGE = Gauge("masteria_journal_oldest_seconds", "Age of the oldest webhook not yet understood.")
DUE_WORK = Gauge("masteria_due_messages", "Messages due to be sent now.")
JOBS = Counter("masteria_jobs_total", "Jobs run, by name and result.", ["job", "result"])
REQUESTS = Histogram(
    "masteria_http_seconds", "HTTP requests, by route and status.", ["method", "route", "status"]
)
