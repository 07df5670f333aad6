"""What fills the gaps of a template."""

from collections.abc import Mapping, Sequence
from typing import ClassVar

from console.components.base import Component
from console.components.words import CHOOSING
from console.i18n import N_


class VariableMapper(Component):
    """For each variable of a template where its value comes from: a field of the contact, or a fixed text.

    The value is the API's: {"body.1": "contact.name" | "contact.phone" | "field.x" | {"text": "…"}}.
    Event: `change {variables, complete}` (debounced).
    """

    LABELS: ClassVar = {
        **CHOOSING,
        "variable": N_("Variable"),
        "source": N_("Filled with"),
        "contact": N_("Contact"),
        "contact.name": N_("Name"),
        "contact.first_name": N_("First name"),
        "contact.phone": N_("Phone"),
        "fields": N_("Custom fields"),
        "text": N_("Fixed text"),
        "text.placeholder": N_("Text for everyone"),
        "media.placeholder": N_("https://… address of the file"),
        "example": N_("e.g. {example}"),
        "body": N_("Message"),
        "header": N_("Header"),
        "button": N_("Button {n}"),
        "media": N_("File of the header"),
        "no_variables": N_("This template has no variables"),
        "no_variables.text": N_("Everyone receives the same message."),
        "failed": N_("The variables could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    def draw(
        self,
        variables: Sequence[Mapping[str, object]],
        *,
        values: Mapping[str, object] | None = None,
        fields: Sequence[str] = (),
    ) -> None:
        """Ask for these variables ({key, example}), offering these custom fields, with these values chosen."""
        self._keep(
            "variables",
            variables=[dict(variable) for variable in variables],
            values=dict(values or {}),
            fields=list(fields),
        )

    def show_errors(self, errors: Mapping[str, str]) -> None:
        """Say what is wrong, by variable key."""
        self._tell("errors", errors=dict(errors))
