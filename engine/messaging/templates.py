"""Templates as the company keeps them: find them, keep what the provider tells, take the snapshot a send is made with.

What is asked of the provider (submit, change, delete, synchronise) stands in template_desk.py.
"""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import and_, func, or_, select, tuple_
from sqlalchemy.orm import Session

from engine.core.clock import now
from engine.core.errors import NotFound
from engine.core.ids import uuid7
from engine.core.pages import Page, decode_key, page_of
from engine.messaging.channels.base import TemplateNotice
from engine.messaging.events import template_changed
from engine.messaging.models import Channel, Template, TemplateSnapshot, TemplateStatus
from engine.messaging.sources import check_sources


def get_template(session: Session, template_id: UUID) -> Template:
    """A template of the company; NotFound when there is none, or no longer."""
    template = session.scalars(
        select(Template).where(Template.id == template_id, Template.deleted_at.is_(None))
    ).first()
    if template is None:
        raise NotFound()
    return template


def list_templates(
    session: Session,
    *,
    channel_id: UUID | None = None,
    status: TemplateStatus | None = None,
    search: str | None = None,
    after: str | None = None,
    limit: int = 50,
) -> Page[Template]:
    """Templates by name and language; `search` is a part of the name."""
    query = select(Template).where(Template.deleted_at.is_(None))
    if channel_id is not None:
        query = query.where(Template.channel_id == channel_id)
    if status is not None:
        query = query.where(Template.status == status)
    if search:
        query = query.where(func.strpos(Template.name, search.strip().lower().replace(" ", "_")) > 0)
    last = decode_key(after, (str, str, UUID))
    if last is not None:
        query = query.where(tuple_(Template.name, Template.language, Template.id) > tuple_(*last))
    rows = session.scalars(
        query.order_by(Template.name, Template.language, Template.id).limit(limit + 1)
    ).all()
    return page_of(rows, limit, lambda row: (row.name, row.language, row.id))


def locked_template(session: Session, template_id: UUID) -> Template:
    """A template to be changed; NotFound when it is gone."""
    template = session.scalars(
        select(Template)
        .where(Template.id == template_id, Template.deleted_at.is_(None))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    ).first()
    if template is None:
        raise NotFound()
    return template


def revise(session: Session, template: Template) -> None:
    """Count a change of a template and tell the screens; the last step of every change."""
    template.revision = (template.revision or 0) + 1
    template.updated_at = now()
    session.flush()
    template_changed(session, template)


def same_name(session: Session, template: Template) -> Template | None:
    """The channel's template of the same name and language, or None."""
    return session.scalars(
        select(Template).where(
            Template.channel_id == template.channel_id,
            Template.name == template.name,
            Template.language == template.language,
            Template.deleted_at.is_(None),
        )
    ).first()


def apply_notice(session: Session, notice: TemplateNotice) -> Sequence[Template]:
    """Keep what the provider told of a template; every channel of the account that has it is told.

    A review may end before the answer to the submission was written down: then the draft is known by its name.
    """
    draft = and_(
        Template.provider_id.is_(None),
        Template.name == notice.name,
        func.replace(Template.language, "-", "_") == (notice.language or "").replace("-", "_"),
        Channel.portfolio == notice.portfolio,
    )
    templates = session.scalars(
        select(Template)
        .join(Channel, Channel.id == Template.channel_id)
        .where(or_(Template.provider_id == notice.provider_template_id, draft), Template.deleted_at.is_(None))
        .order_by(Template.id)
        .with_for_update(key_share=True, of=Template)
    ).all()
    for template in templates:
        template.provider_id = notice.provider_template_id
        if notice.status is not None:
            template.status, template.status_reason = notice.status, notice.reason
        elif notice.reason is not None:
            template.status_reason = notice.reason
        if notice.quality is not None:
            template.quality = None if notice.quality == "UNKNOWN" else notice.quality
        template.category = notice.category or template.category
        revise(session, template)
    return templates


def snapshot_for(session: Session, template_id: UUID, variables: Mapping[str, Any]) -> TemplateSnapshot:
    """The template as it is now with where its variables come from, never changed; an equal one is used again."""
    template = get_template(session, template_id)
    return _snapshot(session, template, check_sources(template, variables))


def snapshot_of_words(session: Session, template: Template) -> TemplateSnapshot:
    """The template as it is now, for a message whose values stand in its own params: one serves all such messages."""
    return _snapshot(session, template, {})


def _snapshot(session: Session, template: Template, sources: Mapping[str, Any]) -> TemplateSnapshot:
    own = select(TemplateSnapshot).where(TemplateSnapshot.template_id == template.id)
    same = session.scalars(
        own.where(
            TemplateSnapshot.category == template.category,
            TemplateSnapshot.parameter_format == template.parameter_format,
            TemplateSnapshot.components == template.components,
            TemplateSnapshot.variables == sources,
        ).limit(1)
    ).first()
    if same is not None:
        return same
    newest = session.scalars(own.order_by(TemplateSnapshot.id.desc()).limit(1)).first()
    snapshot = TemplateSnapshot(
        id=uuid7(),
        template_id=template.id,
        channel_id=template.channel_id,
        name=template.name,
        language=template.language,
        category=template.category,
        parameter_format=template.parameter_format,
        components=template.components,
        variables=dict(sources),
        version=newest.version + 1 if newest is not None else 1,
    )
    session.add(snapshot)
    session.flush()
    return snapshot
