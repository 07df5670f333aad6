"""The three queues, each with workers of its own, so that none waits behind another's work."""

SEND = "send"  # calls to providers
EVENTS = "events"  # what screens wait for: webhooks understood, facts passed on
JOBS = "jobs"  # what may take minutes: imports, audiences, media

ALL = (SEND, EVENTS, JOBS)
