"""When a month of messages goes, a campaign keeps how each of its people's messages ended."""

from sqlalchemy.orm import Session

from engine.core.db import run
from engine.messaging.old_months import BY_MESSAGE, OF_PAGE, Month, Page, Part

PARTS = (Part("campaign_recipients", BY_MESSAGE, "tenant_id, id"),)

_ENDED = """
message_id = null, ended_as = m.state, ended_code = m.reason_code, ended_provider_code = m.reason ->> 'provider_code'
"""

# By the unique index on a campaign's people; who was merged with another since, the last look finds.
_KEEP = f"""
update campaign_recipients r set {_ENDED} from messages m
where {OF_PAGE} and r.tenant_id = m.tenant_id and r.campaign_id = m.origin_id and r.contact_id = m.contact_id
  and r.message_id = m.id
"""  # noqa: S608 - our own words
_KEEP_THE_REST = f"""
update campaign_recipients r set {_ENDED} from messages m
where r.message_id >= %(floor)s and r.message_id < %(ceiling)s and m.id >= %(floor)s and m.id < %(ceiling)s
  and m.tenant_id = r.tenant_id and m.id = r.message_id
"""  # noqa: S608


def keep_ends(session: Session, page: Page) -> None:
    """Write down how these messages ended, where a recipient points at them; from then on none does."""
    run(session, _KEEP, **page.values)


def keep_the_rest(session: Session, month: Month) -> None:
    """After all pages: recipients whom no page found."""
    run(session, _KEEP_THE_REST, **month.ids)
