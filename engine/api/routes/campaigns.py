"""Campaigns: drafts, verbs, and how they stand."""

from uuid import UUID

from fastapi import Query
from fastapi.responses import StreamingResponse

from engine.accounts.models import Role
from engine.api.deps import After, Caller, Doing, Limit, Transaction, domain_router, requires
from engine.api.recipients_csv import recipients_csv
from engine.api.schemas.campaigns import (
    AudienceAnswer,
    AudienceBody,
    CampaignAnswer,
    CampaignBody,
    CampaignChanges,
    CampaignPage,
    FailureCount,
    FailureList,
    Point,
    ReasonList,
    RecipientAnswer,
    RecipientPage,
    TestSendAnswer,
    TestSendBody,
    TimelineAnswer,
    campaign_page,
    exclusion_counts,
    explain_group,
)
from engine.campaigns import queries, service
from engine.campaigns.models import PULSE_SECONDS, Campaign, CampaignStatus
from engine.messaging.rendering import text_of

router = domain_router("campaigns")
managers = [requires(Role.MANAGER)]


@router.post("/v1/campaigns", status_code=201, dependencies=managers)
def create_campaign(body: CampaignBody, session: Transaction, caller: Caller) -> CampaignAnswer:
    """Make a draft."""
    campaign = service.create_campaign(session, **body.plan(caller.time_zone), created_by=caller.user_id)
    return _answer(session, campaign, caller)


@router.get("/v1/campaigns")
def list_campaigns(
    *,
    session: Transaction,
    caller: Caller,
    limit: Limit = 50,
    after: After = None,
    status: CampaignStatus | None = None,
    search: str | None = Query(default=None, max_length=200),
) -> CampaignPage:
    """Campaigns, newest first."""
    page = queries.list_campaigns(session, status=status, search=search, after=after, limit=limit)
    return campaign_page(page, caller.locale)


@router.post("/v1/campaigns/audience", dependencies=managers)
def preview_audience(body: AudienceBody, session: Transaction, caller: Caller) -> AudienceAnswer:
    """Who would get it now, who would not and why; the same query as the start."""
    template, waterfall = service.preview_audience(session, **body.model_dump())
    previews = [text_of(template, sample.params) for sample in waterfall.samples]
    budget = service.daily_budget(session, body.channel_id)
    return AudienceAnswer.of(waterfall, previews, budget, caller.locale)


@router.get("/v1/campaigns/{campaign_id}")
def get_campaign(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """One campaign and how it stands."""
    return _answer(session, queries.get_campaign(session, campaign_id), caller)


@router.patch("/v1/campaigns/{campaign_id}", dependencies=managers)
def change_campaign(
    campaign_id: UUID, body: CampaignChanges, session: Transaction, caller: Caller
) -> CampaignAnswer:
    """Change a draft or scheduled campaign; of one that has begun the name, the template and the variables.

    What is not sent yet goes out with the new version.
    """
    changes = body.given(caller.time_zone)
    return _answer(session, service.change_campaign(session, campaign_id, changes), caller)


@router.delete("/v1/campaigns/{campaign_id}", status_code=204, dependencies=managers)
def delete_campaign(campaign_id: UUID, session: Transaction) -> None:
    """Delete a campaign that has not started."""
    service.delete_campaign(session, campaign_id)


@router.post("/v1/campaigns/{campaign_id}/start", dependencies=managers)
def start_campaign(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """Begin now, or at `scheduled_at`."""
    return _answer(session, service.start(session, campaign_id), caller)


@router.post("/v1/campaigns/{campaign_id}/pause", status_code=202, dependencies=managers)
def pause_campaign(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """Start no new call; `pausing`, then `paused` once none is under way."""
    return _answer(session, service.pause(session, campaign_id), caller)


@router.post("/v1/campaigns/{campaign_id}/resume", dependencies=managers)
def resume_campaign(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """Go on where it was."""
    return _answer(session, service.resume(session, campaign_id), caller)


@router.post("/v1/campaigns/{campaign_id}/cancel", dependencies=managers)
def cancel_campaign(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """End it for good: what has not left is cancelled."""
    return _answer(session, service.cancel(session, campaign_id), caller)


@router.post("/v1/campaigns/{campaign_id}/retry-failed", dependencies=managers)
def retry_failed(campaign_id: UUID, session: Transaction, caller: Caller) -> CampaignAnswer:
    """A new message for each recipient whose message failed."""
    return _answer(session, service.retry_failed(session, campaign_id), caller)


@router.post("/v1/campaigns/{campaign_id}/test-send", status_code=202, dependencies=managers)
def send_test(campaign_id: UUID, body: TestSendBody, session: Transaction) -> TestSendAnswer:
    """Send the message once to a number of one's own."""
    return TestSendAnswer(message_id=service.send_test(session, campaign_id, to=body.to).id)


@router.get("/v1/campaigns/{campaign_id}/failures")
def list_failures(campaign_id: UUID, session: Transaction, caller: Caller) -> FailureList:
    """Failed and unknown messages by reason, with what to do."""
    rows = queries.failures_of(session, queries.get_campaign(session, campaign_id))
    items = []
    for row in rows:
        code = row.reason_code or row.state
        text, action = explain_group(code, row.provider_code, caller.locale)
        items.append(FailureCount(code=code, text=text, action=action, n=row.n))
    return FailureList(items=items)


@router.get("/v1/campaigns/{campaign_id}/exclusions")
def list_exclusions(campaign_id: UUID, session: Transaction, caller: Caller) -> ReasonList:
    """Who was left out, by reason."""
    excluded = queries.exclusions_of(session, queries.get_campaign(session, campaign_id))
    return ReasonList(items=exclusion_counts(dict(excluded), caller.locale))


@router.get("/v1/campaigns/{campaign_id}/timeline")
def get_timeline(campaign_id: UUID, session: Transaction) -> TimelineAnswer:
    """How it went over time."""
    pulses = queries.pulses_of(session, queries.get_campaign(session, campaign_id))
    return TimelineAnswer(step_seconds=PULSE_SECONDS, points=[Point.of(pulse) for pulse in pulses])


@router.get("/v1/campaigns/{campaign_id}/recipients")
def list_recipients(
    *,
    campaign_id: UUID,
    session: Transaction,
    caller: Caller,
    limit: Limit = 50,
    after: After = None,
    state: str | None = None,
    search: str | None = Query(default=None, max_length=200),
) -> RecipientPage:
    """The people of a campaign."""
    campaign = queries.get_campaign(session, campaign_id)
    page = queries.list_recipients(session, campaign, state=state, search=search, after=after, limit=limit)
    return RecipientPage(
        items=[RecipientAnswer.of(person, caller.locale) for person in page.items], next=page.next
    )


@router.get("/v1/campaigns/{campaign_id}/recipients.csv", response_class=StreamingResponse)
def export_recipients(
    campaign_id: UUID, work: Doing, caller: Caller, state: str | None = None
) -> StreamingResponse:
    """Every recipient with state and reason, as CSV that spreadsheets open."""
    queries.check_state(state)
    with work.session() as session:
        queries.get_campaign(session, campaign_id)
    return StreamingResponse(
        recipients_csv(work, campaign_id, state=state, locale=caller.locale),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="campaign-{campaign_id}.csv"'},
    )


def _answer(session: Transaction, campaign: Campaign, caller: Caller) -> CampaignAnswer:
    session.flush()
    return CampaignAnswer.of(queries.entry_of(session, campaign), caller.locale)
