"""May this be sent now? Asked in the mark itself, so that what was said before the mark is honoured by it.

The refusals are SQL over the rows that the mark locks: consent for marketing, the 24-hour service window for free
text, and a person who was deleted meanwhile. Their codes are rendered in the reader's language.
"""

from datetime import datetime
from enum import StrEnum

from engine.core.errors import Invalid
from engine.core.i18n import N_
from engine.messaging.failures import explain


class Refusal(StrEnum):
    """Why a message was not sent although it was queued."""

    OPTED_OUT = "opted_out"
    WINDOW_CLOSED = "window_closed"
    PERSON_DELETED = "person_deleted"


REFUSAL_TEXTS = {
    Refusal.OPTED_OUT: explain("opted_out").text,
    Refusal.WINDOW_CLOSED: explain("window_closed").text,
    Refusal.PERSON_DELETED: N_("This person was deleted from the contacts."),
}

# `m` is the message, `s` its template snapshot, `p` the contact, `v` the conversation. Null means: send it.
REFUSAL_SQL = """
case
  when m.contact_id is not null and p.id is null then 'person_deleted'
  when s.category = 'MARKETING' and p.marketing_consent = 'withdrawn' then 'opted_out'
  when m.snapshot_id is null and m.kind <> 'template'
       and (v.window_expires_at is null or v.window_expires_at <= now()) then 'window_closed'
end
"""


def check_service_window(window_expires_at: datetime | None, now: datetime) -> None:
    """Raise Invalid, in the agent's words, when free text may not be sent because the 24-hour window is closed."""
    if window_expires_at is None or window_expires_at <= now:
        raise Invalid(
            "window_closed",
            "More than 24 hours have passed since this person's last message, so WhatsApp only takes an approved "
            "template now. Choose a template to write to them.",
        )
