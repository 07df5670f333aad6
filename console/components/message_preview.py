"""A message as the person who receives it will see it."""

from collections.abc import Mapping
from typing import ClassVar

import param

from console.components.base import Component
from console.components.words import BUBBLE
from console.i18n import N_


class MessagePreview(Component):
    """A WhatsApp-like bubble on a chat background, with header, body, footer and buttons."""

    LABELS: ClassVar = {
        **BUBBLE,
        "preview": N_("Preview of the message"),
        "empty": N_("The message will appear here"),
        "failed": N_("The preview could not be made"),
        "retry": N_("Try again"),
        "loading": N_("Loading"),
    }

    sender = param.String(default="", doc="Name over the bubble, the channel's display name.")
    caption = param.String(default="", doc="A line under the bubble, e.g. whose data are shown.")

    def draw(self, message: Mapping[str, object]) -> None:
        """Draw a rendered message: {header?: {format, text?, media?}, body, footer?, buttons?, missing?}."""
        self._keep("message", message=dict(message))
