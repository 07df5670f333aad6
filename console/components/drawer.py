"""A panel that slides in from the side."""

from typing import ClassVar

import param
from panel.viewable import Children

from console.components.base import Component
from console.i18n import N_


class Drawer(Component):
    """Like Dialog, at the right edge and as high as the window; from below on a phone. Event: `closed {}`."""

    LABELS: ClassVar = {"close": N_("Close")}

    content = Children(doc="What it holds, one below the other.")
    open = param.Boolean(default=False, doc="Whether it is on screen, both ways.")
    title = param.String(default="")
    text = param.String(default="", doc="A sentence under the title.")
    size: "param.Selector[str]" = param.Selector(
        default="medium", objects=["small", "medium", "large"], doc="400, 560 or 800 px wide."
    )
    closable = param.Boolean(default=True, doc="Whether Esc, the cross and a click outside close it.")
