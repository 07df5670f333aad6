"""States in words: what a person reads where machines read a code."""

from collections.abc import Mapping

from engine.core.i18n import N_, say

STATE_TEXTS: Mapping[str, str] = {
    # Of campaigns and templates
    "draft": N_("draft"),
    "scheduled": N_("scheduled"),
    "running": N_("sending"),
    "pausing": N_("being paused"),
    "paused": N_("on hold"),
    "completed": N_("completed"),
    "pending": N_("under review"),
    "approved": N_("approved"),
    "rejected": N_("rejected"),
    "disabled": N_("disabled"),
    # Of messages
    "queued": N_("waiting"),
    "dispatching": N_("leaving now"),
    "accepted": N_("taken by WhatsApp"),
    "sent": N_("sent"),
    "delivered": N_("delivered"),
    "read": N_("read"),
    "failed": N_("failed"),
    "unknown": N_("no answer from WhatsApp"),
    "skipped": N_("left out"),
    "cancelled": N_("cancelled"),
}


def state_in_words(state: str, locale: str) -> str:
    """A state as a person reads it; one that has no words stays as it is."""
    return say(STATE_TEXTS[state], locale) if state in STATE_TEXTS else state
