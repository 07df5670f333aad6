"""A window over the page: a dialog in the middle, or a drawer at its side."""

from typing import ClassVar

import param
from panel.viewable import Children

from console.components.base import Component
from console.i18n import N_


class Dialog(Component):
    """A modal window around other components (a Form, a table). Focus stays inside; Esc closes it.

    With `side` it is a drawer: at the right edge and as high as the window; from below on a phone. Put it anywhere in a page: closed it takes no room. Event: `closed {}`.
    """

    LABELS: ClassVar = {"close": N_("Close")}

    content = Children(doc="What it holds, one below the other.")
    open = param.Boolean(default=False, doc="Whether it is on screen, both ways.")
    side = param.Boolean(default=False, doc="At the right edge instead of in the middle.")
    title = param.String(default="")
    text = param.String(default="", doc="A sentence under the title.")
    size: "param.Selector[str]" = param.Selector(
        default="medium", objects=["small", "medium", "large"], doc="440, 600 or 880 px wide."
    )
    closable = param.Boolean(default=True, doc="Whether Esc, the cross and a click outside close it.")
