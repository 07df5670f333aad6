"""Jobs by domain, and the list of them all; each finds its own work in the database."""

from collections.abc import Mapping

from engine.scheduler.job import Job
from engine.scheduler.jobs import campaigns, contacts, facts, messaging

JOBS: Mapping[str, Job] = {
    job.name: job for domain in (facts, messaging, campaigns, contacts) for job in domain.JOBS
}
