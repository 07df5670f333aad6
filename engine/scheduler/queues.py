"""The four queues, each with workers of its own, so that none waits behind another's work."""

SEND = "send"  # calls to providers
EVENTS = "events"  # what screens wait for: webhooks understood, facts passed on
AUDIENCES = "audiences"  # what a campaign waits for after Start: its time, its people
JOBS = "jobs"  # what may take minutes: imports, which take turns; media

ALL = (SEND, EVENTS, AUDIENCES, JOBS)
