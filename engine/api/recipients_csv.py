"""The recipients of a campaign as a CSV, streamed a keyset page at a time."""

from collections.abc import Iterator, Sequence
from uuid import UUID

from engine.api.schemas.campaigns import RecipientAnswer
from engine.api.states import state_in_words
from engine.campaigns import queries
from engine.core.csvfile import BYTE_ORDER_MARK, csv_lines
from engine.core.db import Work
from engine.core.i18n import N_, say
from engine.core.pages import MAX_LIMIT

HEADERS = (
    N_("Name"),
    N_("Phone"),
    N_("State"),
    N_("Reason"),
    N_("Accepted"),
    N_("Sent"),
    N_("Delivered"),
    N_("Read"),
    N_("Failed"),
    N_("Replied"),
)


def recipients_csv(work: Work, campaign_id: UUID, *, state: str | None, locale: str) -> Iterator[str]:
    """The file in pieces, each page read in a transaction of its own."""
    yield BYTE_ORDER_MARK + csv_lines([[say(header, locale) for header in HEADERS]])
    after: str | None = None
    while True:
        with work.session() as session:
            campaign = queries.get_campaign(session, campaign_id)
            page = queries.list_recipients(session, campaign, state=state, after=after, limit=MAX_LIMIT)
            people = [RecipientAnswer.of(person, locale) for person in page.items]
        yield csv_lines(_cells(person, locale) for person in people)
        after = page.next
        if after is None:
            return


def _cells(person: RecipientAnswer, locale: str) -> Sequence[str]:
    moments = (
        person.accepted_at,
        person.sent_at,
        person.delivered_at,
        person.read_at,
        person.failed_at,
        person.replied_at,
    )
    reason = person.reason["text"] if person.reason else ""
    said = [moment.isoformat() if moment else "" for moment in moments]
    return [person.name, person.phone or "", state_in_words(person.state, locale), reason, *said]
