"""A message before it is sent: filled for a person, or with the template's own examples."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from engine.contacts.rows import get_contact
from engine.core.errors import at_field
from engine.messaging.rendering import Preview, Sendable, preview, variables_of
from engine.messaging.sources import check_sources, resolve


def preview_for(
    session: Session, template: Sendable, contact_id: UUID | None, variables: Mapping[str, Any] | None
) -> Preview:
    """A template filled for a contact; without one, what comes from a contact is shown by the template's examples.

    With no variables at all every gap shows its example.
    """
    contact = None
    if contact_id is not None:
        with at_field("contact_id"):
            contact = get_contact(session, contact_id)
    sources = check_sources(template, variables or {}, complete=False)
    params = dict(resolve(contact, sources).params)
    if contact is None:
        for variable in variables_of(template):
            is_open = variables is None or variable.key in sources
            if is_open and variable.example:
                params.setdefault(variable.key, variable.example)
    return preview(template, params)
