"""Changing a campaign under way: a new version, with which all goes out that is not marked yet.

The gate closes, so that nothing is marked; when the calls that were under way have ended, what is still queued is
written anew in pages, with the values of the new template; then the gate opens again. What has left keeps its version.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from engine.campaigns.events import look_again
from engine.campaigns.models import Campaign, CampaignStatus
from engine.campaigns.standing import counts_of
from engine.core.bells import ring
from engine.core.db import after_commit, run
from engine.core.errors import Conflict, Invalid
from engine.messaging import gates, ledger
from engine.messaging.counters import Steps
from engine.messaging.models import MessageState, Template, TemplateSnapshot
from engine.messaging.sources import sql_params
from engine.messaging.templates import snapshot_for

PAGE = 5_000  # recipients looked at in one transaction
FROM_THE_FIRST = UUID(int=0)
FIXED = ("channel_id", "audience", "scheduled_at")
CHANGING = "changing"


def check_changeable(campaign: Campaign, changes: Mapping[str, Any]) -> None:
    """Invalid where a change touches what a campaign under way has been built on."""
    for name in FIXED:
        if name in changes and changes[name] != getattr(campaign, name):
            raise Invalid.field(
                name,
                "fixed_after_start",
                "This can't be changed once the campaign has begun. Cancel it and start another one.",
            )


def change_version(
    session: Session, campaign: Campaign, template: Template, variables: Mapping[str, Any]
) -> None:
    """Make this template with these variables the campaign's next version; the campaign is locked by us."""
    before = session.get_one(TemplateSnapshot, (campaign.tenant_id, campaign.snapshot_id))
    if template.category == "MARKETING" and before.category != "MARKETING":
        raise Invalid.field(
            "template_id",
            "becomes_marketing",
            "This template is marketing, and the campaign began with one that is not: people who did not agree to "
            "marketing would get it. Choose another template, or start a new campaign.",
        )
    snapshot = snapshot_for(session, template.id, variables)
    campaign.template_id, campaign.variables = template.id, dict(variables)
    if snapshot.id == campaign.snapshot_id:
        return
    if not gates.hold(
        session, campaign.gate_id, channel_id=campaign.channel_id, template_id=campaign.template_id
    ):
        raise Conflict("channel_gone", "The connection of this campaign was deleted, so it can't be changed.")
    campaign.snapshot_id = snapshot.id
    campaign.version += 1
    campaign.pause_reason = None  # where it was the template, that is now another
    write_anew(session, campaign)


def write_anew(session: Session, campaign: Campaign) -> None:
    """Close the gate until all that waits has been written with the campaign's version."""
    ledger.set_gate(session, campaign.gate_id, is_open=False, reason=CHANGING)
    campaign.change_after, campaign.unfinished = FROM_THE_FIRST, True
    after_commit(session, lambda: ring("freeze"))


# The page is by recipient, the locks by message, as everybody takes them. Of a person who is gone nothing is known any
# more: the mark refuses the message, whatever stands in it.
_REWRITE = """
with page as materialized (
  select id, message_id, contact_id from campaign_recipients
  where campaign_id = %(campaign)s and id > %(after)s order by id limit %(limit)s
), waiting as materialized (
  select m.id, page.contact_id from page join messages m on m.id = page.message_id
  where m.state = 'queued' and m.counted and m.snapshot_id <> %(snapshot)s order by m.id for no key update of m
), told as materialized (
  select waiting.id, <missing> as missing, <params> as params
  from waiting join contacts people on people.id = waiting.contact_id
), rewritten as (
  update messages m set
    snapshot_id = %(snapshot)s, params = told.params,
    state = case when told.missing is null then 'queued' else 'skipped' end,
    reason_code = case when told.missing is not null then 'missing_variable' end,
    reason = case when told.missing is not null then jsonb_build_object('detail', told.missing) end
  from told where m.id = told.id
  returning m.state
)
select (select id from page order by id desc limit 1) as last_recipient, (select count(*) from page) as looked_at,
       (select count(*) from rewritten where state = 'skipped') as skipped
"""


@dataclass(frozen=True, slots=True)
class RewrittenPage:
    """One page of a change as it was written: the last recipient looked at, and how many lack a value."""

    last_recipient: UUID | None
    skipped: int
    is_last: bool


def may_rewrite(session: Session, campaign: Campaign) -> bool:
    """Whether nothing of the campaign is being called, so that nothing with the old version comes back to the queue."""
    return not counts_of(session, campaign)["dispatching"]


def rewrite_page(session: Session, campaign: Campaign) -> RewrittenPage:
    """Write what waits of the next page of recipients anew; `keep_rewritten` must follow."""
    snapshot = session.get_one(TemplateSnapshot, (campaign.tenant_id, campaign.snapshot_id))
    params = sql_params(snapshot.variables, alias="people")
    row = run(
        session,
        _REWRITE.replace("<missing>", params.missing).replace("<params>", params.params),
        campaign=campaign.id,
        after=campaign.change_after,
        limit=PAGE,
        snapshot=campaign.snapshot_id,
        **params.binds,
    )[0]
    return RewrittenPage(row.last_recipient, row.skipped, is_last=row.looked_at < PAGE)


def keep_rewritten(session: Session, campaign: Campaign, page: RewrittenPage) -> None:
    """The checkpoint and counters of a page, in the transaction that wrote it; after the last the gate may open again."""
    campaign.change_after = None if page.is_last else page.last_recipient
    if page.skipped:
        steps = Steps()
        steps.tallies[campaign.gate_id, MessageState.QUEUED] -= page.skipped
        steps.tallies[campaign.gate_id, MessageState.SKIPPED] += page.skipped
        steps.write(session)
    if page.is_last:
        if campaign.status == CampaignStatus.RUNNING:
            ledger.set_gate(session, campaign.gate_id, is_open=True)
        look_again(session, campaign)
