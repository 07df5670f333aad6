"""Writing a message template."""

from collections.abc import Mapping
from typing import ClassVar

import param

from console.components.base import Component
from console.components.words import BUBBLE, CHOOSING, LEAVING
from console.i18n import N_


class TemplateEditor(Component):
    """Header, body with variables, footer and buttons, with the message as it will look beside them.

    Works on Meta's component shape. Variables are typed or inserted as {{1}} or {{name}}; each asks for an
    example. `change` and `submit` carry `template`: {name, language, category, components, parameter_format}.

    Events: `change {template}` (debounced), `submit {template}`, `cancel {}`.
    """

    LABELS: ClassVar = {
        **BUBBLE,
        **CHOOSING,
        **LEAVING,
        "name": N_("Name"),
        "name.help": N_("Lower-case letters, digits and underscores"),
        "language": N_("Language"),
        "category": N_("Category"),
        "channel": N_("Channel"),
        "header": N_("Header"),
        "header.none": N_("None"),
        "header.text": N_("Text"),
        "header.image": N_("Image"),
        "header.video": N_("Video"),
        "header.document": N_("Document"),
        "header.placeholder": N_("A short title"),
        "header.media": N_("Address of an example (https://…)"),
        "body": N_("Message"),
        "body.placeholder": N_("Hello {{1}}, your order is on its way."),
        "insert": N_("Insert variable"),
        "variable.new": N_("Variable name"),
        "examples": N_("Examples of the variables"),
        "examples.help": N_("WhatsApp reviews the template with these."),
        "example": N_("Example of {name}"),
        "bold": N_("Bold"),
        "italic": N_("Italic"),
        "strike": N_("Strikethrough"),
        "mono": N_("Monospace"),
        "footer": N_("Footer"),
        "footer.placeholder": N_("Reply STOP to receive no more messages"),
        "buttons": N_("Buttons"),
        "buttons.add": N_("Add button"),
        "button.number": N_("Button {n}"),
        "button.text": N_("Label"),
        "button.kind": N_("Kind of button"),
        "button.quick_reply": N_("Quick reply"),
        "button.url": N_("Open a page"),
        "button.phone_number": N_("Call a number"),
        "button.url.value": N_("https://example.com/{{1}}"),
        "button.phone.value": N_("+55 11 90000-0000"),
        "button.remove": N_("Remove button"),
        "preview": N_("Preview of the message"),
        "optional": N_("optional"),
        "characters": N_("{n} of {limit}"),
        "empty": N_("The message will appear here"),
        "required": N_("Please fill in this field"),
        "submit": N_("Submit for approval"),
        "cancel": N_("Cancel"),
        "failed": N_("The template could not be loaded"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    languages = param.List(default=[], doc="[{value, label}] on offer, e.g. pt_BR.")
    categories = param.List(default=[], doc="[{value, label, hint?}], e.g. MARKETING, UTILITY.")
    channels = param.List(
        default=[], doc="[{value, label}]; shown when there are several; `channel_id` in `template`."
    )
    fixed = param.Boolean(
        default=False, doc="Name, language and category may not be changed (an existing template)."
    )
    readonly = param.Boolean(default=False, doc="Only shown.")
    suggested = param.List(
        default=[], item_type=str, doc="Names of variables on offer, e.g. the contacts' custom fields."
    )
    sender = param.String(default="", doc="Name over the preview.")
    limits = param.Dict(
        default={"header": 60, "body": 1024, "footer": 60, "button": 25, "buttons": 10},
        doc="Meta's limits in characters, and of buttons (Message templates reference, 2026-11).",
    )

    def draw(self, template: Mapping[str, object] | None = None) -> None:
        """Draw this template, or an empty one; until then it is a skeleton."""
        self._keep("template", template=dict(template or {}))

    def show_errors(self, errors: Mapping[str, str] | None = None, text: str = "") -> None:
        """Say what is wrong: by field (name, language, category, header, body, footer, buttons) and in all."""
        self._tell("errors", errors=dict(errors or {}), text=text)

    def saved(self) -> None:
        """The submit button rests; what is typed counts as saved."""
        self._tell("saved")
