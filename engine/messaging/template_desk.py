"""What is asked of the provider about templates: submit, change, delete, synchronise.

The provider keeps the truth. A template that could not reach it is kept as a draft with the reason, so that nobody's
words are lost; changing the draft submits it again, and a synchronisation recognises one that had arrived after all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.db import Work
from engine.core.errors import Conflict, Invalid, ProviderError, Refused, WrongState, at_field
from engine.core.http import HttpRequest
from engine.core.i18n import N_
from engine.core.ids import uuid7
from engine.messaging.channels.base import Credentials, ProviderTemplate, SyncsTemplates, TemplateDraft
from engine.messaging.channels.reach import reach
from engine.messaging.channels.registry import template_keeper_for
from engine.messaging.connections import credentials_of, get_channel
from engine.messaging.failures import explain
from engine.messaging.gates import is_template_held
from engine.messaging.models import Channel, ChannelKind, Template, TemplateStatus
from engine.messaging.template_rules import format_of, template_problems, with_examples
from engine.messaging.templates import get_template, locked_template, revise, same_name

# Meta lets only these be changed (template management page, September 2026).
CHANGEABLE = frozenset({TemplateStatus.APPROVED, TemplateStatus.REJECTED, TemplateStatus.PAUSED})
MOST_PAGES = 100  # of a hundred templates; an account has 6,000 at most


@dataclass(frozen=True, slots=True)
class Synced:
    """What a synchronisation found: templates at the provider, and what changed here."""

    total: int
    created: int
    updated: int
    gone: int


def create_template(
    work: Work,
    *,
    channel_id: UUID,
    name: str,
    language: str,
    category: str,
    components: Sequence[Mapping[str, Any]],
    parameter_format: str | None = None,
) -> Template:
    """Submit a template for review. Invalid says what we or the provider do not like, by field.

    Where the provider can't be asked now, it stays as a draft with the reason.
    """
    category = category.upper()
    parameter_format = parameter_format or format_of(components)
    _checked(TemplateDraft(name, language, category, parameter_format, components))
    with work.session() as session:
        with at_field("channel_id"):
            get_channel(session, channel_id)
        template = Template(
            id=uuid7(),
            channel_id=channel_id,
            name=name,
            language=language,
            category=category,
            status=TemplateStatus.DRAFT,
            parameter_format=parameter_format,
            components=with_examples(components, parameter_format),
        )
        if same_name(session, template) is not None:
            raise _exists()
        session.add(template)
        session.flush()
        session.refresh(template)
    try:
        return _submit(work, template)
    except Invalid:
        with work.session() as session:
            refused = session.scalars(select(Template).where(Template.id == template.id)).one()
            session.delete(refused)
        raise


def change_template(
    work: Work,
    template_id: UUID,
    *,
    category: str | None = None,
    components: Sequence[Mapping[str, Any]] | None = None,
) -> Template:
    """Give a template another text or category and submit it (again); new components replace all."""
    with work.session() as session:
        template = get_template(session, template_id)
    shape = _reshaped(template, category, components)
    if template.status == TemplateStatus.DRAFT:
        with work.session() as session:
            draft = locked_template(session, template_id)
            _put(draft, shape)
            revise(session, draft)
        return _submit(work, draft)
    if template.status not in CHANGEABLE or template.provider_id is None:
        raise WrongState(template.status, sorted(CHANGEABLE))
    changes: dict[str, Any] = {}
    if shape.category != template.category:
        changes["category"] = shape.category
    if components is not None:
        changes["components"] = shape.components
    if not changes:
        return template
    keeper, credentials = _keeper(work, template.channel_id)
    _done(keeper, keeper.ask_template_change(credentials, template.provider_id, changes))
    with work.session() as session:
        changed = locked_template(session, template_id)
        _put(changed, shape)
        # Otherwise a webhook was quicker than this answer: the review is over already.
        if changed.revision == template.revision:
            changed.status, changed.status_reason = TemplateStatus.PENDING, None
        revise(session, changed)
        return changed


def _reshaped(
    template: Template, category: str | None, components: Sequence[Mapping[str, Any]] | None
) -> TemplateDraft:
    """The template as it shall be; Invalid when WhatsApp would refuse it."""
    wanted = category.upper() if category is not None else template.category
    parts = components if components is not None else template.components
    parameter_format = format_of(parts) if components is not None else template.parameter_format
    draft = TemplateDraft(template.name, template.language, wanted, parameter_format, parts)
    return replace(_checked(draft), components=with_examples(parts, parameter_format))


def _checked(draft: TemplateDraft) -> TemplateDraft:
    problems = template_problems(
        name=draft.name,
        language=draft.language,
        category=draft.category,
        components=draft.components,
        parameter_format=draft.parameter_format,
    )
    if problems:
        raise Invalid(fields=problems)
    return draft


def _put(template: Template, draft: TemplateDraft) -> None:
    template.category, template.parameter_format = draft.category, draft.parameter_format
    template.components = list(draft.components)


def delete_template(work: Work, template_id: UUID) -> None:
    """Delete a template here and at the provider; what was sent with it keeps its snapshot.

    Conflict while a campaign is under way that still sends it.
    """
    with work.session() as session:
        template = get_template(session, template_id)
        if is_template_held(session, template_id):
            raise _in_use()
    if template.provider_id is not None:
        keeper, credentials = _keeper(work, template.channel_id)
        try:
            _done(keeper, keeper.ask_template_deletion(credentials, template.provider_id, template.name))
        except Invalid as error:
            if error.code != "template_gone":
                raise
    with work.session() as session:
        gone = locked_template(session, template_id)
        gone.deleted_at = now()
        revise(session, gone)


def sync_templates(work: Work, channel_id: UUID) -> Synced:
    """Make our templates of a channel equal to the provider's; ProviderError when it can't be asked."""
    with at_field("channel_id"):
        keeper, credentials = _keeper(work, channel_id)
    began = now()
    items: list[ProviderTemplate] = []
    after: str | None = None
    for _ in range(MOST_PAGES):
        page = keeper.read_templates(reach(keeper.ask_templates(credentials, after)))
        items += page.items
        after = page.after
        if after is None:
            break
    with work.session() as session:
        return _record(session, channel_id, items, began)


def _record(session: Session, channel_id: UUID, items: Sequence[ProviderTemplate], began: datetime) -> Synced:
    # One at a time for each channel: two synchronisations would both insert what is new.
    session.execute(select(Channel.id).where(Channel.id == channel_id).with_for_update(key_share=True))
    ours = session.scalars(
        select(Template)
        .where(Template.channel_id == channel_id, Template.deleted_at.is_(None))
        .order_by(Template.id)
        .with_for_update(key_share=True)
    ).all()
    by_id = {template.provider_id: template for template in ours if template.provider_id is not None}
    by_name = {(template.name, template.language): template for template in ours}
    created, updated, seen = 0, 0, set()
    for item in items:
        template = by_id.get(item.provider_id) or by_name.get((item.name, item.language))
        if template is None:
            template = Template(id=uuid7(), channel_id=channel_id, revision=0)
            session.add(template)
            created += 1
        elif _equals(template, item):
            seen.add(template.id)
            continue
        else:
            updated += 1
        seen.add(template.id)
        _copy(template, item)
        revise(session, template)
    # One that was submitted while the pages came may stand in none of them.
    gone = [
        template
        for template in ours
        if template.provider_id is not None and template.id not in seen and template.updated_at < began
    ]
    for template in gone:
        template.deleted_at = now()
        revise(session, template)
    return Synced(len(items), created, updated, len(gone))


FIELDS = (
    "provider_id",
    "name",
    "language",
    "category",
    "status",
    "quality",
    "parameter_format",
    "components",
)


def _equals(template: Template, item: ProviderTemplate) -> bool:
    return all(getattr(template, name) == getattr(item, name) for name in FIELDS) and (
        template.status_reason is None or item.reason == template.status_reason
    )


def _copy(template: Template, item: ProviderTemplate) -> None:
    for name in FIELDS:
        setattr(template, name, getattr(item, name))
    template.status_reason = item.reason


def _submit(work: Work, template: Template) -> Template:
    """Ask the provider to take a draft, and keep what it said; Invalid when it refuses."""
    keeper, credentials = _keeper(work, template.channel_id)
    draft = TemplateDraft(
        template.name, template.language, template.category, template.parameter_format, template.components
    )
    try:
        taken = keeper.read_template_creation(reach(keeper.ask_template_creation(credentials, draft)), draft)
    except Refused as error:
        if error.code == "template_exists" and template.status_reason is not None:
            # An earlier try had arrived, and its answer was lost.
            return _adopted(work, template)
        raise _refusal(error) from error
    except ProviderError as error:
        with work.session() as session:
            kept = locked_template(session, template.id)
            kept.status_reason = error.code
            revise(session, kept)
            return kept
    with work.session() as session:
        submitted = locked_template(session, template.id)
        submitted.provider_id, submitted.category = taken.provider_id, taken.category
        # A webhook may have been quicker than this answer.
        if submitted.status == TemplateStatus.DRAFT:
            submitted.status, submitted.status_reason = taken.status, taken.reason
        revise(session, submitted)
        return submitted


def _adopted(work: Work, template: Template) -> Template:
    sync_templates(work, template.channel_id)
    with work.session() as session:
        found = get_template(session, template.id)
    if found.status == TemplateStatus.DRAFT:
        raise _exists()
    return found


def _keeper(work: Work, channel_id: UUID) -> tuple[SyncsTemplates, Credentials]:
    with work.session() as session:
        channel = get_channel(session, channel_id)
        return template_keeper_for(ChannelKind(channel.kind)), credentials_of(session, channel)


def _done(keeper: SyncsTemplates, request: HttpRequest) -> None:
    """Have the provider do something; what it refuses is told as Invalid."""
    try:
        keeper.read_done(reach(request))
    except Refused as error:
        raise _refusal(error) from error


def _refusal(error: Refused) -> Invalid:
    """A refusal in plain words: ours where we have them, else the provider's."""
    if error.code in {"bad_parameter", "template_refused", "refused"} and error.detail:
        return Invalid(
            "template_refused",
            N_("WhatsApp refused the template: %(reason)s"),
            values={"reason": error.detail},
            extra={"provider_code": error.provider_code},
        )
    return Invalid(error.code, explain(error.code).text, extra={"provider_code": error.provider_code})


def _in_use() -> Conflict:
    return Conflict(
        "template_in_use",
        N_(
            "A campaign that is under way still sends this template. Finish or cancel it, then delete the template."
        ),
    )


def _exists() -> Invalid:
    return Invalid.field("name", "template_exists", explain("template_exists").text)
