"""Templates: submit, change, synchronise, preview."""

from uuid import UUID

from fastapi import Query

from engine.accounts.models import Role
from engine.api.deps import After, Caller, Doing, Limit, Transaction, domain_router, requires
from engine.api.schemas.templates import (
    DraftPreviewBody,
    PreviewAnswer,
    PreviewBody,
    SyncAnswer,
    SyncBody,
    TemplateAnswer,
    TemplateBody,
    TemplateChanges,
    TemplatePage,
)
from engine.messaging import template_desk, templates
from engine.messaging.models import TemplateStatus
from engine.messaging.previews import preview_for
from engine.messaging.rendering import TemplateShape
from engine.messaging.template_rules import format_of

router = domain_router("templates")
managers = [requires(Role.MANAGER)]
readers = [requires(Role.ANALYST)]


@router.post("/v1/templates", status_code=201, dependencies=managers)
def create_template(body: TemplateBody, work: Doing, caller: Caller) -> TemplateAnswer:
    """Submit a template; kept as a draft with the reason where the provider can't be asked now."""
    template = template_desk.create_template(
        work,
        channel_id=body.channel_id,
        name=body.name,
        language=body.language,
        category=body.category,
        components=body.components,
        parameter_format=body.parameter_format,
    )
    return TemplateAnswer.of(template, caller.locale)


@router.get("/v1/templates")
def list_templates(
    *,
    session: Transaction,
    caller: Caller,
    limit: Limit = 50,
    after: After = None,
    channel_id: UUID | None = None,
    status: TemplateStatus | None = None,
    search: str | None = Query(default=None, max_length=200),
) -> TemplatePage:
    """Templates by name."""
    page = templates.list_templates(
        session, channel_id=channel_id, status=status, search=search, after=after, limit=limit
    )
    return TemplatePage.of(page, caller.locale)


@router.post("/v1/templates/sync", dependencies=managers)
def sync_templates(body: SyncBody, work: Doing) -> SyncAnswer:
    """Make the templates of a channel equal to the provider's."""
    return SyncAnswer.of(template_desk.sync_templates(work, body.channel_id))


@router.post("/v1/templates/preview", dependencies=readers)
def preview_draft(body: DraftPreviewBody, session: Transaction) -> PreviewAnswer:
    """A template that is not saved, as the person would see it."""
    shape = TemplateShape(body.components, body.category or "", format_of(body.components))
    return PreviewAnswer.of(preview_for(session, shape, body.contact_id, body.variables))


@router.get("/v1/templates/{template_id}")
def get_template(template_id: UUID, session: Transaction, caller: Caller) -> TemplateAnswer:
    """One template."""
    return TemplateAnswer.of(templates.get_template(session, template_id), caller.locale)


@router.patch("/v1/templates/{template_id}", dependencies=managers)
def change_template(template_id: UUID, body: TemplateChanges, work: Doing, caller: Caller) -> TemplateAnswer:
    """Give it another text or category and submit it again; a draft is submitted as it is."""
    template = template_desk.change_template(
        work, template_id, category=body.category, components=body.components
    )
    return TemplateAnswer.of(template, caller.locale)


@router.delete("/v1/templates/{template_id}", status_code=204, dependencies=managers)
def delete_template(template_id: UUID, work: Doing) -> None:
    """Delete it here and at the provider."""
    template_desk.delete_template(work, template_id)


@router.post("/v1/templates/{template_id}/preview", dependencies=readers)
def preview_template(template_id: UUID, body: PreviewBody, session: Transaction) -> PreviewAnswer:
    """A template as the person would see it."""
    template = templates.get_template(session, template_id)
    return PreviewAnswer.of(preview_for(session, template, body.contact_id, body.variables))
