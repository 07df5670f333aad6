"""Sending again to those whose message failed: a new message each, a page of recipients a transaction.

The old message stays in the ledger and counts no more. One of an older version is written as it was, and then anew
(`changing.py`). A status that comes meanwhile and says that it did arrive is
waited for: who is locked and failed no longer is left alone.
"""

from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns.models import Campaign
from engine.core.db import run
from engine.messaging import ledger
from engine.messaging.models import MessageState, Origin
from engine.messaging.restoring import RESTORED, count_doubted

PAGE = 5_000  # recipients looked at in one transaction
FROM_THE_FIRST = UUID(int=0)

# FOR UPDATE looks at the state once more when it had to wait for a status; in the order in which receipts lock.
_AGAIN = """
with page as materialized (
  select id, message_id from campaign_recipients
  where campaign_id = %(campaign)s and id > %(after)s order by id limit %(limit)s
), failed as materialized (
  select page.id as recipient_id, m.id as old_id, m.contact_id, m.address, m.snapshot_id, m.params, uuidv7() as new_id
  from page join messages m on m.id = page.message_id
  where m.state = 'failed' and m.counted order by m.id for update of m
), replaced as (
  update messages m set counted = false from failed where m.id = failed.old_id returning failed.new_id
), queued as (
  insert into messages (id, direction, kind, channel_id, contact_id, gate_id, origin, origin_id, snapshot_id, address,
                        params, state, reason_code)
  select new_id, 'out', 'template', %(channel)s, contact_id, %(gate)s, %(origin)s, %(campaign)s, snapshot_id, address,
         params, %(state)s, %(reason)s
  from failed order by new_id
), named as (
  update campaign_recipients r set message_id = failed.new_id from failed where r.id = failed.recipient_id
), spans as (
  select (array_agg(new_id order by new_id))[1] as first_id, (array_agg(new_id order by new_id desc))[1] as last_id,
         count(*) as amount
  from (select new_id, (row_number() over (order by new_id) - 1) / %(span)s as span from replaced) numbered
  group by span
)
select (select id from page order by id desc limit 1) as last_recipient, (select count(*) from page) as looked_at,
       coalesce((select jsonb_agg(jsonb_build_array(first_id, last_id, amount) order by first_id) from spans), '[]')
         as spans
"""


@dataclass(frozen=True, slots=True)
class RetriedPage:
    """One page of a retry as it was written: the last recipient looked at, the new messages' ranges."""

    last_recipient: UUID | None
    spans: tuple[tuple[UUID, UUID, int], ...]
    is_last: bool


def retry_page(session: Session, campaign: Campaign, *, doubted: bool = False) -> RetriedPage:
    """Write new messages for the failed of the next page of recipients; `keep_retried` must follow.

    `doubted` messages are not to be sent: a database that is lost may have sent them (`restoring.py`).
    """
    row = run(
        session,
        _AGAIN,
        campaign=campaign.id,
        after=campaign.retry_after,
        limit=PAGE,
        channel=campaign.channel_id,
        gate=campaign.gate_id,
        origin=Origin.CAMPAIGN,
        state=MessageState.UNKNOWN if doubted else MessageState.QUEUED,
        reason=RESTORED if doubted else None,
        span=ledger.RANGE_SIZE,
    )[0]
    spans = tuple((UUID(first), UUID(last), amount) for first, last, amount in row.spans)
    return RetriedPage(row.last_recipient, spans, is_last=row.looked_at < PAGE)


def keep_retried(session: Session, campaign: Campaign, page: RetriedPage, *, doubted: bool = False) -> None:
    """The checkpoint, due work and counters of a page, in the transaction that wrote it; the campaign is locked by us."""
    campaign.retry_after = None if page.is_last else page.last_recipient
    if doubted:
        amount = sum(amount for _, _, amount in page.spans)
        count_doubted(session, campaign.gate_id, amount, instead_of=MessageState.FAILED)
        return
    ledger.queue_bulk(
        session,
        channel_id=campaign.channel_id,
        gate_id=campaign.gate_id,
        spans=page.spans,
        instead_of=MessageState.FAILED,
    )
