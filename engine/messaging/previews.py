"""A message before it is sent: filled for a person, or with the template's own examples."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from engine.contacts.models import Contact
from engine.core.errors import Invalid
from engine.messaging.rendering import Preview, Sendable, preview, variables_of
from engine.messaging.sources import check_sources, resolve


def preview_for(
    session: Session, template: Sendable, contact_id: UUID | None, variables: Mapping[str, Any] | None
) -> Preview:
    """A template filled for a contact; without one, what comes from a contact is shown by the template's examples.

    With no variables at all every gap shows its example.
    """
    contact = _contact(session, contact_id)
    sources = check_sources(template, variables or {}, complete=False)
    params = dict(resolve(contact, sources).params)
    if contact is None:
        for variable in variables_of(template):
            is_open = variables is None or variable.key in sources
            if is_open and variable.example:
                params.setdefault(variable.key, variable.example)
    return preview(template, params)


def _contact(session: Session, contact_id: UUID | None) -> Contact | None:
    if contact_id is None:
        return None
    contact = session.scalars(select(Contact).where(Contact.id == contact_id)).first()
    if contact is None:
        raise Invalid.field(
            "contact_id", "not_found", "We could not find this. It may have been deleted. Choose another."
        )
    return contact
