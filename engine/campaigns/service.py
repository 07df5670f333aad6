"""What happens when I press Start, Pause, Resume, Cancel: the verbs of a campaign.

A verb locks the campaign's row, consults the table of allowed transitions (`states.py`), opens or closes its gate, and
states the fact. Nothing here sends; the gate decides whether the dispatcher may.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.campaigns.audience import Blast, Waterfall, check_audience, is_being_read, preview
from engine.campaigns.changing import change_version, check_changeable, write_anew
from engine.campaigns.events import look_again, state_changed
from engine.campaigns.models import Campaign, CampaignStatus
from engine.campaigns.queries import failed_and_gone, get_campaign
from engine.campaigns.retrying import FROM_THE_FIRST
from engine.campaigns.standing import counts_of
from engine.campaigns.states import UNDER_WAY, move, unknown_channel
from engine.contacts.queries import find_contact_by_phone
from engine.core.bells import ring
from engine.core.clock import now
from engine.core.db import after_commit, run
from engine.core.errors import Invalid, NotFound, WrongState, at_field
from engine.core.events import Fact, emit
from engine.core.ids import uuid7
from engine.core.phone import parse_phone
from engine.messaging import ledger
from engine.messaging.connections import find_channel
from engine.messaging.daily_limit import Budget, budget_of, limit_of
from engine.messaging.models import (
    Channel,
    ChannelStatus,
    Gate,
    Lane,
    Message,
    Origin,
    Template,
    TemplateSnapshot,
    TemplateStatus,
)
from engine.messaging.rendering import variables_of
from engine.messaging.settlement import cancel_queued
from engine.messaging.sources import check_sources, resolve, sql_params
from engine.messaging.templates import get_template, snapshot_for

EDITABLE = (CampaignStatus.DRAFT, CampaignStatus.SCHEDULED)
CANCEL_AT_ONCE = 20_000  # more than this is cancelled by a job, so that the answer does not wait for it


@dataclass(frozen=True, slots=True)
class Plan:
    """What a campaign is before it starts."""

    name: str
    channel_id: UUID
    template_id: UUID
    audience: Mapping[str, Any]
    variables: Mapping[str, Any]
    scheduled_at: datetime | None


def create_campaign(
    session: Session,
    *,
    name: str,
    channel_id: UUID,
    template_id: UUID,
    audience: Mapping[str, Any],
    variables: Mapping[str, Any],
    scheduled_at: datetime | None = None,
    created_by: UUID | None = None,
) -> Campaign:
    """A draft, checked as far as it can be before the start."""
    gate = Gate(id=uuid7())
    session.add(gate)
    session.flush()
    campaign = Campaign(
        id=uuid7(),
        name="",
        channel_id=channel_id,
        template_id=template_id,
        audience={},
        gate_id=gate.id,
        excluded={},
        variables={},
        status=CampaignStatus.DRAFT,
        created_by=created_by,
        recipients=0,
        replied=0,
        revision=0,
    )
    _check_time(scheduled_at)
    plan = Plan(name, channel_id, template_id, audience, variables, scheduled_at)
    _fill(session, campaign, plan)
    session.add(campaign)
    state_changed(session, campaign)
    return campaign


def change_campaign(session: Session, campaign_id: UUID, changes: Mapping[str, Any]) -> Campaign:
    """Change what a campaign is; keys are the fields of `Plan`. Once it has begun: its name, its template, its variables."""
    campaign = get_campaign(session, campaign_id, lock=True)
    if campaign.status in UNDER_WAY:
        return _change_under_way(session, campaign, changes)
    _require(campaign, EDITABLE)
    if "scheduled_at" in changes:
        _check_time(changes["scheduled_at"], is_scheduled=campaign.status == CampaignStatus.SCHEDULED)
    present = Plan(
        campaign.name,
        campaign.channel_id,
        campaign.template_id,
        campaign.audience,
        campaign.variables,
        campaign.scheduled_at,
    )
    _fill(session, campaign, replace(present, **changes))
    state_changed(session, campaign)
    return campaign


def _change_under_way(session: Session, campaign: Campaign, changes: Mapping[str, Any]) -> Campaign:
    check_changeable(campaign, changes)
    campaign.name = _named(changes.get("name", campaign.name))
    if "template_id" in changes or "variables" in changes:
        template = _sendable(session, changes.get("template_id", campaign.template_id), campaign.channel_id)
        variables = check_sources(template, changes.get("variables", campaign.variables))
        change_version(session, campaign, template, variables)
    campaign.revision += 1
    state_changed(session, campaign)
    return campaign


def delete_campaign(session: Session, campaign_id: UUID) -> None:
    """Delete a campaign that has not started."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(campaign, EDITABLE)
    session.delete(campaign)
    emit(session, Fact("campaign.deleted", {"id": str(campaign_id), "revision": campaign.revision + 1}))


def preview_audience(
    session: Session,
    *,
    channel_id: UUID,
    template_id: UUID,
    audience: Mapping[str, Any],
    variables: Mapping[str, Any],
) -> tuple[Template, Waterfall]:
    """Who would get it now, who would not and why; the same query as the start."""
    channel, template = _channel(session, channel_id), _template(session, template_id)
    check_audience(session, audience)
    sources = check_sources(template, variables, complete=False)
    blast = Blast(
        audience, channel.portfolio, template.category == "MARKETING", sql_params(sources, alias="page")
    )
    return template, preview(session, blast)


def daily_budget(session: Session, channel_id: UUID) -> Budget | None:
    """How many people this connection's account may still begin to write to today; None is no limit."""
    channel = _channel(session, channel_id)
    limit = limit_of(channel.messaging_limit)
    return None if limit is None else budget_of(session, channel.limited_as, limit)


def start(session: Session, campaign_id: UUID) -> Campaign:
    """Begin now, or at `scheduled_at` when that lies ahead."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(campaign, (CampaignStatus.DRAFT,))
    _check_time(campaign.scheduled_at)
    _ready(session, campaign)
    if campaign.scheduled_at is not None and campaign.scheduled_at > now():
        _move(session, campaign, CampaignStatus.SCHEDULED)
    else:
        begin(session, campaign)
    return campaign


def begin(session: Session, campaign: Campaign) -> None:
    """Run a draft or scheduled campaign: keep the template as it is now, and let the freezing begin."""
    template, sources = _ready(session, campaign)
    snapshot = snapshot_for(session, template.id, sources)
    campaign.snapshot_id = snapshot.id
    campaign.started_at = now()
    campaign.pause_reason = None
    campaign.unfinished = True
    _move(session, campaign, CampaignStatus.RUNNING)
    after_commit(session, lambda: ring("freeze"))


def pause(session: Session, campaign_id: UUID, *, reason: str | None = None) -> Campaign:
    """Close the gate: from here no call starts; `paused` once those under way have ended."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(campaign, (CampaignStatus.RUNNING,))
    ledger.set_gate(session, campaign.gate_id, is_open=False, reason=reason or "paused")
    campaign.pause_reason = reason
    _move(session, campaign, CampaignStatus.PAUSING)
    look_again(session, campaign)
    return campaign


def resume(session: Session, campaign_id: UUID) -> Campaign:
    """Open the gate again; what was queued goes on where it was. Invalid while its template can't be sent."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(campaign, (CampaignStatus.PAUSED, CampaignStatus.PAUSING))
    # Else it would pause again at the first answer.
    _sendable(session, campaign.template_id, campaign.channel_id)
    if campaign.change_after is None:  # else it opens once all that waits has been written anew
        ledger.set_gate(session, campaign.gate_id, is_open=True)
    campaign.pause_reason = campaign.paused_at = None
    _move(session, campaign, CampaignStatus.RUNNING)
    after_commit(session, lambda: ring("freeze"))
    look_again(session, campaign)
    return campaign


def cancel(session: Session, campaign_id: UUID) -> Campaign:
    """Close the gate for good; what has not left is cancelled, what is under way ends as it ends."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(
        campaign,
        (
            CampaignStatus.DRAFT,
            CampaignStatus.SCHEDULED,
            CampaignStatus.RUNNING,
            CampaignStatus.PAUSING,
            CampaignStatus.PAUSED,
        ),
    )
    ledger.set_gate(session, campaign.gate_id, is_open=False, reason="cancelled")
    move(session, campaign, CampaignStatus.CANCELLED)
    campaign.unfinished = counts_of(session, campaign)["queued"] > CANCEL_AT_ONCE
    if campaign.unfinished:
        after_commit(session, lambda: ring("freeze"))
    else:
        cancel_queued(session, campaign.gate_id)
    state_changed(session, campaign)
    return campaign


def retry_failed(session: Session, campaign_id: UUID) -> Campaign:
    """Run again for those whose message failed; new messages are written for them in pages (`retrying.py`)."""
    campaign = get_campaign(session, campaign_id, lock=True)
    _require(campaign, (CampaignStatus.PAUSED, CampaignStatus.COMPLETED))
    failed = counts_of(session, campaign)["failed"]
    if not failed:
        raise Invalid(
            "nothing_failed", "No message of this campaign has failed, so there is nothing to send again."
        )
    if failed <= failed_and_gone(session, campaign):
        raise Invalid(
            "failed_put_away",
            "What failed of this campaign was put away with its month, so it can't be sent again.",
        )
    campaign.pause_reason = campaign.paused_at = campaign.completed_at = None
    campaign.retry_after, campaign.unfinished = FROM_THE_FIRST, True
    if campaign.version > 1:  # what failed may be of an older version
        write_anew(session, campaign)
    else:
        ledger.set_gate(session, campaign.gate_id, is_open=True)
    _move(session, campaign, CampaignStatus.RUNNING)
    after_commit(session, lambda: ring("freeze"))
    return campaign


def send_test(session: Session, campaign_id: UUID, *, to: str, region: str = "BR") -> Message:
    """Send the campaign's message once to a number of one's own; it counts nowhere in the campaign."""
    campaign = get_campaign(session, campaign_id)
    phone = parse_phone(to, region=region)
    if phone is None:
        raise Invalid.field(
            "to", "bad_phone", "This is not a phone number. Write it with country code, as +55…"
        )
    template, sources = _ready(session, campaign)
    params = resolve(find_contact_by_phone(session, phone), sources).params
    examples = {variable.key: variable.example or variable.key for variable in variables_of(template)}
    return ledger.enqueue(
        session,
        channel_id=campaign.channel_id,
        contact_id=None,
        address=phone,
        kind="template",
        origin=Origin.TEST,
        origin_id=campaign.id,
        snapshot_id=snapshot_for(session, template.id, sources).id,
        params={**examples, **params},
        lane=Lane.TEST,
    )


def blast_of(session: Session, campaign: Campaign) -> Blast:
    """What freezing this running campaign has to know, from its snapshot."""
    snapshot = session.scalars(
        select(TemplateSnapshot).where(TemplateSnapshot.id == campaign.snapshot_id)
    ).one()
    # Of a channel that was deleted as well: whom a campaign is for does not depend on it.
    portfolio = session.scalars(select(Channel.portfolio).where(Channel.id == campaign.channel_id)).one()
    params = sql_params(snapshot.variables, alias="page")
    return Blast(campaign.audience, portfolio, snapshot.category == "MARKETING", params)


def _fill(session: Session, campaign: Campaign, plan: Plan) -> None:
    name = _named(plan.name)
    _channel(session, plan.channel_id)
    template = _template(session, plan.template_id)
    _same_channel(template, plan.channel_id)
    check_audience(session, plan.audience)
    check_sources(template, plan.variables, complete=False)
    campaign.name, campaign.channel_id, campaign.template_id = name, plan.channel_id, plan.template_id
    campaign.audience, campaign.variables = dict(plan.audience), dict(plan.variables)
    campaign.scheduled_at = plan.scheduled_at
    campaign.revision += 1


def _named(name: str) -> str:
    if not name.strip():
        raise Invalid.field("name", "no_name", "Give the campaign a name.")
    return name.strip()


def _check_time(moment: datetime | None, *, is_scheduled: bool = False) -> None:
    """Invalid unless a campaign can begin then; one that is scheduled keeps a time, or it would wait for ever."""
    if moment is None:
        if is_scheduled:
            raise Invalid.field(
                "scheduled_at", "no_time", "This campaign is scheduled. Choose when it starts, or cancel it."
            )
        return
    if moment < now() - (timedelta() if is_scheduled else JUST_NOW):
        raise Invalid.field("scheduled_at", "past_time", "This time has passed. Choose a later one.")
    if moment > now() + FARTHEST:
        raise Invalid.field(
            "scheduled_at", "far_time", "This is more than two years ahead. Choose an earlier time."
        )


def _ready(session: Session, campaign: Campaign) -> tuple[Template, Mapping[str, Any]]:
    """The template and its sources, when everything is there for a start; Invalid says what is missing."""
    template = _sendable(session, campaign.template_id, campaign.channel_id)
    check_audience(session, campaign.audience)
    if is_being_read(session, campaign.audience):
        raise Invalid.field(
            "audience.import_id",
            "import_running",
            "The people of this import are still coming in. Start once it has ended, so that nobody is left out.",
        )
    if _channel(session, campaign.channel_id).status != ChannelStatus.CONNECTED:
        raise Invalid.field(
            "channel_id",
            "channel_stands_still",
            "This connection can't send now: it is on hold or needs attention. Open it under Connections first.",
        )
    return template, check_sources(template, campaign.variables)


def _sendable(session: Session, template_id: UUID, channel_id: UUID) -> Template:
    """The template, when it is there, of this channel and approved; Invalid says which of these it is not."""
    try:
        template = get_template(session, template_id)
    except NotFound as error:
        raise Invalid.field(
            "template_id", "template_gone", "The template of this campaign was deleted. Choose another one."
        ) from error
    _same_channel(template, channel_id)
    if template.status != TemplateStatus.APPROVED:
        raise Invalid.field(
            "template_id",
            "template_not_approved",
            "WhatsApp has not approved this template (it is %(status)s). Wait for the approval or choose another.",
            status=template.status,
        )
    return template


def _same_channel(template: Template, channel_id: UUID) -> None:
    if template.channel_id != channel_id:
        raise Invalid.field(
            "template_id", "template_of_another_channel", "This template belongs to another connection."
        )


def _channel(session: Session, channel_id: UUID) -> Channel:
    channel = find_channel(session, channel_id)
    if channel is None:
        raise unknown_channel()
    return channel


def _template(session: Session, template_id: UUID) -> Template:
    with at_field("template_id"):
        return get_template(session, template_id)


def _require(campaign: Campaign, states: tuple[CampaignStatus, ...]) -> None:
    if campaign.status not in states:
        raise WrongState(campaign.status, states)


def _move(session: Session, campaign: Campaign, status: CampaignStatus) -> None:
    move(session, campaign, status)
    state_changed(session, campaign)


JUST_NOW = timedelta(minutes=2)  # a time that has passed while it was being written
FARTHEST = timedelta(days=731)
LATEST_START = timedelta(hours=1)


def begin_if_due(session: Session, campaign_id: UUID) -> None:
    """Begin a scheduled campaign whose time has come; one that is over an hour late goes back to draft, with a reason."""
    campaign = get_campaign(session, campaign_id, lock=True)
    if campaign.status != CampaignStatus.SCHEDULED or campaign.scheduled_at is None:
        return
    moment = run(session, "select now() as moment")[0].moment  # by the clock that said that it is due
    if campaign.scheduled_at > moment:
        return
    if is_being_read(session, campaign.audience) and moment - campaign.scheduled_at < LATEST_START:
        return  # it begins as soon as the last of its people has come in
    if moment - campaign.scheduled_at > LATEST_START:
        campaign.pause_reason = "missed_start"
        _move(session, campaign, CampaignStatus.DRAFT)
    else:
        begin(session, campaign)
